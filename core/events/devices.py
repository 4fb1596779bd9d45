"""What devices tell."""

import enum
from typing import Literal

from core.events.base import Event
from core.stripe import CardKind, Opaque


class Scanned(Event, frozen=True, kw_only=True, tag="scanned"):
    """A scanner delivered one whole code: UnifiedPOS ScanData, without prefix and terminator.

    `data` holds the bytes as ISO 8859-1 text, so that every byte survives; FNC1 as a separator is 0x1D. `aim` is the
    AIM symbology identifier without its ``]`` (``E0``) where the scanner sent one.
    """

    device: str
    data: str
    aim: str | None = None


class ScanFault(enum.StrEnum):
    """Why a scanner's bytes did not become a code."""

    TORN = "torn"
    OVERLONG = "overlong"
    BINARY = "binary"
    AMBIGUOUS = "ambiguous"
    """Two keyboard layouts read it as two different codes."""


class ScanGarbled(Event, frozen=True, kw_only=True, tag="scan_garbled"):
    """Bytes came that are no code: cut off in the middle, without an end, or not printable."""

    device: str
    fault: ScanFault
    length: int


class TagPresented(Event, frozen=True, kw_only=True, tag="tag_presented"):
    """A tag came into the reader's field. `uid` in hex (never journaled), `ndef` the text or URI of its first record."""

    device: str
    uid: str
    technology: str
    ndef: str | None = None


class TagTorn(Event, frozen=True, kw_only=True, tag="tag_torn"):
    """A tag left the field before it could be read whole."""

    device: str


class CardSwiped(Event, frozen=True, kw_only=True, tag="card_swiped"):
    """A card of the shop's own was swiped, or its chip was read. `number` is never journaled."""

    device: str
    kind: CardKind
    number: str

    def __repr__(self) -> str:
        """Without the number."""
        return f"CardSwiped(device={self.device!r}, kind={self.kind!r})"


class CardEncrypted(Event, frozen=True, kw_only=True, tag="card_encrypted"):
    """An encrypting reader delivered what it read: `data` as it came, with the key serial number that belongs to it.

    Both are carried to whoever can take a payment with them, and shown and kept nowhere.
    """

    device: str
    ksn: Opaque
    data: Opaque


class CardRefused(Event, frozen=True, kw_only=True, tag="card_refused"):
    """A card was swiped that the shop does not take in clear, or its chip is none of the shop's; what was read is wiped.

    `last` are the last digits of a number of no known range; of a payment card nothing is told.
    """

    device: str
    is_payment: bool
    last: str = ""


class CardFault(enum.StrEnum):
    """Why a stripe could not be read: UnifiedPOS MSR's START, END, PARITY and LRC, and what the reader itself says."""

    START = "start"
    END = "end"
    PARITY = "parity"
    LRC = "lrc"
    UNREADABLE = "unreadable"
    TORN = "torn"


class CardGarbled(Event, frozen=True, kw_only=True, tag="card_garbled"):
    """A swipe gave no number, or a chip went too early (TORN); `track` 0 is none in particular."""

    device: str
    fault: CardFault
    track: int = 0


class DrawerSensed(Event, frozen=True, kw_only=True, tag="drawer_sensed"):
    """The drawer's sensor changed."""

    device: str
    is_open: bool
    commanded: bool = False
    open_ms: int = 0


class DrawerFound(Event, frozen=True, kw_only=True, tag="drawer_found"):
    """How the drawer stands when its sensor is looked at for the first time since the start."""

    device: str
    is_open: bool


class DrawerLeftOpen(Event, frozen=True, kw_only=True, tag="drawer_left_open"):
    """The drawer has been open for too long; `again` where that was told before."""

    device: str
    open_ms: int
    again: bool = False


class PaperStatus(enum.StrEnum):
    """What a printer says of its paper."""

    OK = "ok"
    NEAR_END = "near_end"
    OUT = "out"
    UNKNOWN = "unknown"


class PrinterSensed(Event, frozen=True, kw_only=True, tag="printer_sensed"):
    """The printer's status changed."""

    device: str
    online: bool
    cover_open: bool
    paper: PaperStatus


KeyPosition = Literal["lock", "normal", "supervisor"]
"""UnifiedPOS LOCK_KP_LOCK, LOCK_KP_NORM and LOCK_KP_SUPR."""


class KeyLockTurned(Event, frozen=True, kw_only=True, tag="key_lock_turned"):
    """The key lock stands at another position, or was looked at for the first time."""

    device: str
    position: KeyPosition


ButtonOrder = Literal["no-sale", "cancel", "reprint", "cash", "card"]


class ButtonPressed(Event, frozen=True, kw_only=True, tag="button_pressed"):
    """A button of the counter was pressed; the configuration says which order it gives."""

    device: str
    order: ButtonOrder


class CaseOpened(Event, frozen=True, kw_only=True, tag="case_opened"):
    """The terminal's case was opened. The only event that may come on another thread than the event loop's."""

    device: str


class PowerSensed(Event, frozen=True, kw_only=True, tag="power_sensed"):
    """The board's power became too weak, or strong enough again; `flags` are the firmware's (``under-voltage``)."""

    device: str
    weak: bool
    flags: tuple[str, ...] = ()


class WeightCondition(enum.StrEnum):
    """What a scale says of its platter. Only a stable weight may be sold by."""

    STABLE = "stable"
    MOVING = "moving"
    OVERLOAD = "overload"
    UNDERLOAD = "underload"


class WeightSensed(Event, frozen=True, kw_only=True, tag="weight_sensed"):
    """A scale's reading changed while a weight is wanted (UnifiedPOS Scale).

    `weight_g` is what it shows while it is stable, a tare taken off already where `net` says so; else 0.
    `cleared` says that the scale has been at zero since the last weight that was sold.
    `reference` is that of the asking: what was said to an earlier one must not count for another item.
    """

    device: str
    condition: WeightCondition
    weight_g: int = 0
    net: bool = False
    cleared: bool = False
    reference: str = ""


class DevicePhase(enum.StrEnum):
    """Where a device stands in its supervised life."""

    ABSENT = "absent"
    OPENING = "opening"
    READY = "ready"
    STALLED = "stalled"


class DeviceChanged(Event, frozen=True, kw_only=True, tag="device_changed"):
    """A device's supervisor moved it to another phase; `fault` is the DeviceError's code, `detail` for technicians.

    `is_new`: it works for the first time, and no configuration names it.
    """

    device: str
    phase: DevicePhase
    fault: str | None = None
    detail: str = ""
    is_new: bool = False
