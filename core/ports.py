"""What the daemon needs of the outside, as Protocols, and the tree of device errors.

Drivers and stores fulfil these without knowing each other; `terminald.daemon` puts them together.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, runtime_checkable

import msgspec

from core.document import Document
from core.effects import LightState, ShowOnDisplay, ToneName
from core.entries import CardTotal, StoredValueOperation
from core.events import (
    BalanceTold,
    BalanceUntold,
    DeviceEvent,
    GiftCardReserved,
    GiftCardUnreserved,
    PaymentAnswered,
    PaymentRefused,
    PaymentTakenBack,
    StoredValueAnswered,
    StoredValueRefused,
)
from core.gift_card import GiftCard
from core.ledger import Draft, Head, Record, Stamp
from core.stripe import CardRange
from core.wallet import WalletCode

Emit = Callable[[DeviceEvent], None]
"""How a driver hands an event on; called on the event loop's thread, never blocks."""


# --- errors ------------------------------------------------------------------------------------------------------


class DeviceError(Exception):
    """A device does not do what it should. `code` is stable, `remedy` tells the operator what to do."""

    code: ClassVar[str] = "device"
    remedy: ClassVar[str] = "Unplug the device, wait five seconds, plug it in again."


class DeviceAbsent(DeviceError, FileNotFoundError):
    """Nothing is plugged in where the configuration says."""

    code = "device-absent"
    remedy = "Plug the device in, or correct its place in the configuration."


class DeviceGone(DeviceError, ConnectionError):
    """It was there, and its cable, power or connection went."""

    code = "device-gone"
    remedy = "Check the cable and the power of the device; it is taken up again by itself."


class DeviceDenied(DeviceError, PermissionError):
    """The system does not let us open it."""

    code = "device-denied"
    remedy = "Install terminald's udev rules, or run as a user of the group terminald."


class DeviceBusy(DeviceError, BlockingIOError):
    """Another program holds it (UnifiedPOS E_CLAIMED)."""

    code = "device-busy"
    remedy = "Stop the other program that uses the device."


class DeviceStalled(DeviceError, TimeoutError):
    """It is open and does not answer or take what we send in time."""

    code = "device-stalled"
    remedy = "Switch the device off and on."


class ProtocolError(DeviceError, ValueError):
    """It said something that its protocol does not allow."""

    code = "device-protocol"
    remedy = "Check that the configured driver fits the device."


class LibraryMissing(DeviceError, ImportError):
    """What the device's driver needs of the system is not installed."""

    code = "library-missing"
    remedy = "Install what the message names; the technician's guide says how."


class PrinterFault(DeviceError):
    """The printer is there and cannot print now."""

    code = "printer"


class PaperOut(PrinterFault):
    """No paper."""

    code = "paper-out"
    remedy = "Put in a new roll of paper; the receipt is printed then."


class CoverOpen(PrinterFault):
    """The printer's cover is open."""

    code = "cover-open"
    remedy = "Close the printer's cover; the receipt is printed then."


class PrinterOffline(PrinterFault):
    """The printer is switched offline or reports an error."""

    code = "printer-offline"
    remedy = "Press the printer's feed button, or switch it off and on; the receipt is printed then."


class PrintInterrupted(DeviceError):
    """The printer stopped in the middle of a paper: some of it may have been printed."""

    code = "print-interrupted"
    remedy = "See to the printer's paper and cover; the receipt is printed again and says that it may be a copy."


class JournalError(Exception):
    """The journal cannot be used. `code` is stable, `remedy` tells the operator what to do."""

    code: ClassVar[str] = "journal"
    remedy: ClassVar[str] = "Call your technician; nothing was lost."


class OutcomeUnknown(JournalError):
    """A commit failed: its records may or may not be there. The process must stop and look after a restart."""

    code = "journal-outcome-unknown"
    remedy = "The terminal restarts by itself and looks whether the last step was kept."


# --- devices -----------------------------------------------------------------------------------------------------


class Device(Protocol):
    """One device on its cable, as its supervisor runs it: open, serve until it fails, close, and again.

    A device object lives through many openings. `identity` names the physical device (its serial number or port path)
    once it has been opened, and stays the same when it is plugged in again.
    """

    identity: str

    async def open(self) -> None:
        """Opens it. Raises DeviceError."""

    async def serve(self) -> None:
        """Runs until the device fails, and then raises DeviceError. Cancelled to stop.

        A device that can be asked something is asked here, so often that a dead one is found out within a minute; one
        that only speaks by itself is a `Probed`.
        """

    def close(self) -> None:
        """Lets go of it. Never raises, may be called twice."""

    def facts(self) -> dict[str, str | int]:
        """Flat facts for status and telemetry: counts of reads and faults, paper, firmware."""


class CardReader(Device, Protocol):
    """A reader of cards (UnifiedPOS MSR). Until it is told which to admit, it refuses every card in clear."""

    def admit(self, ranges: Sequence[CardRange]) -> None:
        """Which cards in clear the shop takes."""


@runtime_checkable
class Probed(Device, Protocol):
    """A device that never answers anything (a scanner): its supervisor has it looked at, every few seconds."""

    async def probe(self) -> None:
        """Returns if what was opened is still there. Raises DeviceError; not to return in time is a stall."""


class Printer(Device, Protocol):
    """A receipt printer (UnifiedPOS POSPrinter)."""

    async def print(self, document: Document) -> None:
        """Returns when the printer has taken all of it. Raises PrinterFault before the first byte, else DeviceError."""


class CashDrawer(Device, Protocol):
    """A cash drawer (UnifiedPOS CashDrawer) with its sensor."""

    async def kick(self) -> None:
        """Opens it with one pulse whose length is bounded outside this process. Raises DeviceError."""


class DrawerPort(Protocol):
    """A printer's connector for a cash drawer. `drawer_level` is its sensor's pin; None while the printer is not there."""

    @property
    def drawer_level(self) -> bool | None:
        """High, low, or None."""

    def watch_drawer(self, changed: Callable[[], None]) -> None:
        """Has `changed` called whenever the level is another, or the printer comes or goes."""

    async def kick_drawer(self, connector: int, pulse_ms: int, *, realtime: bool) -> None:
        """A pulse on connector 1 or 2, now or not at all. Raises DeviceError."""


class PrinterDriven(Protocol):
    """A drawer on a printer's connector."""

    def attach(self, port: DrawerPort) -> None:
        """Its printer. Called once, before it is opened."""

    async def plugged(self) -> None:
        """Waits until its printer is there."""


class LineDisplay(Device, Protocol):
    """What the customer reads (UnifiedPOS LineDisplay)."""

    async def show(self, shown: ShowOnDisplay) -> None:
        """Replaces all that it shows; returns when the display has taken it. Raises DeviceError."""


class Lights(Device, Protocol):
    """Lamps that are seen from afar (UnifiedPOS Lights)."""

    async def set(self, state: LightState) -> None:
        """Switches them. Raises DeviceError."""


class ToneIndicator(Device, Protocol):
    """A buzzer (UnifiedPOS ToneIndicator)."""

    async def sound(self, tone: ToneName) -> None:
        """Returns when the tone has ended; cancelled, it ends at once. Raises DeviceError."""


class Scale(Device, Protocol):
    """A scale (UnifiedPOS Scale). It remembers over its openings what is wanted of it; both orders never block."""

    def weigh(self, reference: str) -> None:
        """A weight is wanted: what it shows is told now, and each change of it, under `reference`, until `rest`."""

    def rest(self, *, sold: bool) -> None:
        """No weight is wanted. Where what lies on it was `sold`, it has to return to zero before the next one."""


class PaymentTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What a payment device counted since its last end of day, and its own number for this one."""

    totals: tuple[CardTotal, ...]
    reconciliation: str = ""


class PaymentDevice(Device, Protocol):
    """A payment terminal (nexo POI). `reference` is ours and unique: the device is asked about it later."""

    async def pay(
        self, reference: str, amount_minor: int, currency: str, shown: WalletCode | GiftCard | None = None
    ) -> PaymentAnswered | PaymentRefused:
        """Charges a card, or the wallet or gift card that is given, which may pay less than was asked. Raises DeviceError when
        the outcome is not certain."""

    async def refund(
        self, reference: str, amount_minor: int, currency: str, original: str, poi_transaction: str
    ) -> PaymentAnswered | PaymentRefused:
        """Gives a part of the payment `original` back, or all. Raises DeviceError when the outcome is not certain."""

    async def abort(self, reference: str) -> None:
        """Asks to stop a running payment; its own answer says how it ended. Raises DeviceError."""

    async def enquire(self, reference: str) -> PaymentAnswered | PaymentRefused | None:
        """What became of `reference`; None while it is still in progress. Raises DeviceError."""

    async def reverse(self, reference: str, amount_minor: int, currency: str, poi_transaction: str) -> PaymentTakenBack:
        """Gives an approved payment back; a second call for one already given back succeeds. Raises DeviceError."""

    async def balance(self, card: GiftCard, currency: str) -> BalanceTold | BalanceUntold:
        """What is on a gift card. Raises DeviceError."""

    async def reserve(
        self, reference: str, card: GiftCard, account: str, amount_minor: int, currency: str
    ) -> GiftCardReserved | GiftCardUnreserved:
        """Holds a gift card for a sale; nothing has changed where no answer comes. Raises DeviceError."""

    async def change_value(
        self, reference: str, operation: StoredValueOperation, amount_minor: int, currency: str, original: str
    ) -> StoredValueAnswered | StoredValueRefused:
        """Puts value on the gift card that was reserved as `original`, or takes off what our reference `original` put on one.
        Raises DeviceError when the outcome is not certain."""

    async def enquire_value(self, reference: str, currency: str) -> StoredValueAnswered | StoredValueRefused | None:
        """What became of `reference`; None while it is still in progress. Raises DeviceError."""

    async def reconcile(self, currency: str) -> PaymentTotals:
        """Closes the device's period and tells its totals of it. Raises DeviceError where it does not answer."""


# --- store -------------------------------------------------------------------------------------------------------


class Journal(Protocol):
    """The chain of records, insert-only; also the outbox (headquarters' cursor lives beside it)."""

    @property
    def head(self) -> Head:
        """The last record of the current epoch."""

    @property
    def synced(self) -> Head:
        """The last record that is on the medium: all that forwarder, anchor and signatures may see."""

    async def append(self, drafts: Sequence[Draft], stamp: Stamp, *, key: str | None = None) -> tuple[Record, ...]:
        """Commits all drafts as one, in order; returns once they are as durable as they ask to be.

        `key` is an idempotency key kept with the first of them. Raises OutcomeUnknown when the commit failed.
        """

    async def find(self, key: str) -> Record | None:
        """The record that was committed under an idempotency key."""

    async def read(self, epoch: str, after_seq: int, count_max: int) -> Sequence[Record]:
        """Synced records of an epoch, in order, from the one after `after_seq`."""

    async def sync(self) -> None:
        """Everything committed so far is on the medium when this returns."""


class Clock(Protocol):
    """Time as the daemon's shell sees it: real, or virtual in a simulation."""

    def stamp(self) -> Stamp:
        """Now, with the wall clock's quality."""

    def monotonic_s(self) -> float:
        """Seconds that never go back."""

    async def sleep(self, seconds: float) -> None:
        """Waits."""


class Signer(Protocol):
    """Holds the terminal's Ed25519 signing key."""

    public_key: bytes

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
