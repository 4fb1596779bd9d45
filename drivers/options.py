"""What each driver can be told in its `[device.NAME]` table: one frozen dataclass a driver, without the driver's library.

A field is a `str`, `int`, `float`, `bool`, `Path`, a `Literal` of strings, a tuple of such (a list in the table), or one of these or None; its name is the key
in the table, its default the value of a missing key. `__post_init__` raises ValueError for a value out of range, its
message beginning with the key. A relative Path counts from the configuration's own folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.wallet import Wallet
from drivers.codecs.apdu import AID_BYTES_MAX, AID_BYTES_MIN, is_payment
from drivers.codecs.keymap import FUNCTION_KEYS
from drivers.codecs.layout_choice import AUTO
from drivers.codecs.layouts import LAYOUTS
from drivers.codecs.scan import SoftwareParity, Terminator

Parity = Literal["none", "even", "odd"]
ScaleProtocol = Literal["toledo-8217", "mettler-sics", "cas"]
CodePage = Literal["CP437", "CP850", "CP852", "CP858", "CP1252", "GB18030"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialScannerOptions:
    """scanner-serial: a scanner on a serial port, RS-232 or USB CDC."""

    path: Path
    baud: int = 9600
    data_bits: int = 8
    parity: Parity = "none"
    stop_bits: int = 1
    software_parity: SoftwareParity = "none"
    """Taken off bit 7 here, where the port cannot be set to 7 bits; then `data_bits` is 8 and `parity` none."""
    terminator: Terminator = "auto"
    """`auto` takes CR, LF or both; `none` ends a code by a pause of `gap_s`."""
    prefix: str = ""
    suffix: str = ""
    """What the scanner puts before and after each code; taken off, and a code without them is torn."""
    length_max: int = 2048
    gap_s: float = 0.1
    """The longest pause between two bytes of one code."""

    def __post_init__(self) -> None:
        _within("baud", self.baud, 50, 4_000_000)
        _within("data_bits", self.data_bits, 7, 8)
        _within("stop_bits", self.stop_bits, 1, 2)
        if self.software_parity != "none" and (self.data_bits, self.parity) != (8, "none"):
            raise ValueError("software_parity: needs data_bits = 8 and parity = none: it is in the eighth bit")
        _framing(self.prefix, self.suffix, self.length_max, self.gap_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class HidScannerOptions:
    """scanner-hid: a scanner that acts as a keyboard."""

    path: Path
    layout: str = AUTO
    """What the scanner is set to: `auto`, one of `layouts.LAYOUTS`, or several, apart by spaces, to choose among."""
    terminator: Literal["auto", "enter", "tab", "none"] = "auto"
    """`auto` takes Enter or Tab; `none` ends a code by a pause of `gap_s`."""
    fnc1_key: str = "f8"
    """The function key that stands for GS (FNC1), `f1` to `f12` or `none`; Ctrl+] and Alt+029 always do."""
    prefix: str = ""
    suffix: str = ""
    length_max: int = 2048
    gap_s: float = 0.15
    """The longest pause between two keys of one code."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.layouts if name not in LAYOUTS]
        if unknown or not self.layouts:
            named = f"{unknown[0]!r} is no layout" if unknown else "is empty"
            raise ValueError(f"layout: {named}; give {AUTO}, or some of {', '.join(LAYOUTS)}")
        if self.fnc1_key != "none" and self.fnc1_key not in FUNCTION_KEYS:
            raise ValueError(f"fnc1_key: {self.fnc1_key!r} is not none, or f1 to f12")
        _framing(self.prefix, self.suffix, self.length_max, self.gap_s)

    @property
    def layouts(self) -> tuple[str, ...]:
        """The names to choose among."""
        return tuple(LAYOUTS) if self.layout == AUTO else tuple(self.layout.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class EscposPrinterOptions:
    """printer-escpos: a receipt printer that speaks ESC/POS, on a character device or on the network."""

    path: Path | None = None
    """A serial port, or `/dev/usb/lp0`."""
    host: str | None = None
    port: int = 9100
    """Where `host` is set, in place of `path`."""
    baud: int = 38_400
    columns: int = 42
    codepage: CodePage = "CP858"
    logo: Path | None = None
    """A PNG or BMP file that is printed at the head of each receipt; dark dots are black."""
    write_timeout_s: float = 2.0
    """The longest time in which the printer takes nothing of a receipt."""
    status_timeout_s: float = 0.3
    print_timeout_s: float = 10.0
    """The longest time from the last byte of a receipt until the printer says that it is printed."""
    health_interval_s: float = 10.0
    """How often an idle printer is asked whether it is there."""

    def __post_init__(self) -> None:
        if (self.path is None) == (self.host is None):
            raise ValueError("path: give either a path or a host")
        _within("port", self.port, 1, 65_535)
        _within("baud", self.baud, 50, 4_000_000)
        _within("columns", self.columns, 20, 80)
        _within("write_timeout_s", self.write_timeout_s, 0.05, 60.0)
        _within("status_timeout_s", self.status_timeout_s, 0.05, 10.0)
        _within("print_timeout_s", self.print_timeout_s, 0.05, 120.0)
        _within("health_interval_s", self.health_interval_s, 0.1, 3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialScaleOptions:
    """scale-serial: a scale on a serial port, RS-232 or USB CDC, set to kilograms or grams."""

    path: Path
    protocol: ScaleProtocol
    baud: int = 9600
    data_bits: int = 8
    parity: Parity = "none"
    """A Toledo 8217 leaves the factory with 7 bits and even parity."""
    stop_bits: int = 1
    answer_timeout_s: float = 0.5
    """The longest time for an answer."""
    interval_s: float = 0.02
    """The pause between an answer and the next question, while a weight is wanted."""
    health_interval_s: float = 10.0
    """How often an idle scale is asked whether it is there."""

    def __post_init__(self) -> None:
        _within("baud", self.baud, 50, 4_000_000)
        _within("data_bits", self.data_bits, 7, 8)
        _within("stop_bits", self.stop_bits, 1, 2)
        _within("answer_timeout_s", self.answer_timeout_s, 0.02, 10.0)
        _within("interval_s", self.interval_s, 0.001, 2.0)
        _within("health_interval_s", self.health_interval_s, 0.1, 3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NfcOptions:
    """nfc-pn532: an NFC reader with NXP's PN532 on a serial port."""

    path: Path
    sense_interval_s: float = 0.05
    """The pause between two looks for a tag."""
    presence_interval_s: float = 0.1
    """The pause between two looks whether a tag is still there."""
    stall_timeout_s: float = 15.0
    """The longest time without a sign of life from the reader."""

    def __post_init__(self) -> None:
        _within("sense_interval_s", self.sense_interval_s, 0.005, 5.0)
        _within("presence_interval_s", self.presence_interval_s, 0.02, 5.0)
        _within("stall_timeout_s", self.stall_timeout_s, 1.0, 300.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbNfcOptions(NfcOptions):
    """nfc-usb: an NFC reader on USB: ACR122U, or one with a PN533 such as the SCL3711."""


MsrReport = Literal["magtek", "idtech"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialMsrOptions:
    """msr-serial: a reader of magnetic stripes on a serial port."""

    path: Path
    baud: int = 9600
    data_bits: int = 8
    parity: Parity = "none"
    stop_bits: int = 1
    format: Literal["text", "idtech", "msr605"] = "text"
    """`text`: tracks between their sentinels; `idtech`: ID TECH's messages; `msr605`: bits, when asked for them."""
    gap_s: float = 0.15
    """The longest pause between two bytes of one swipe."""

    def __post_init__(self) -> None:
        _within("baud", self.baud, 50, 4_000_000)
        _within("data_bits", self.data_bits, 7, 8)
        _within("stop_bits", self.stop_bits, 1, 2)
        _within("gap_s", self.gap_s, 0.005, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HidrawMsrOptions:
    """msr-hidraw: a reader of magnetic stripes as a raw HID device."""

    path: Path
    format: Literal["auto", "magtek", "idtech"] = "auto"
    """`auto` goes by the maker."""
    gap_s: float = 0.15
    """The longest pause between two parts of one report."""

    def __post_init__(self) -> None:
        _within("gap_s", self.gap_s, 0.005, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbMsrOptions:
    """msr-usb: a reader of magnetic stripes straight on USB, with no driver of the kernel's."""

    vendor: int
    product: int | None = None
    serial: str | None = None
    """Where there is more than one: the reader's serial number."""
    format: Literal["auto", "magtek", "idtech"] = "auto"
    gap_s: float = 0.15
    """The longest pause between two parts of one report."""

    def __post_init__(self) -> None:
        _within("vendor", self.vendor, 1, 0xFFFF)
        if self.product is not None:
            _within("product", self.product, 0, 0xFFFF)
        _within("gap_s", self.gap_s, 0.005, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmartCardOptions:
    """smartcard-pcsc: a reader of chip cards (CCID) by the PC/SC service, for members and staff."""

    member_aid: str
    staff_aid: str = ""
    """The identifiers (hex) of the shop's own applications on such cards; one may be empty."""
    reader: str = ""
    """A part of the reader's name as the PC/SC service has it; empty is the first one."""
    stall_timeout_s: float = 15.0
    """The longest time without a sign of life from the PC/SC service."""

    def __post_init__(self) -> None:
        for key, value in (("member_aid", self.member_aid), ("staff_aid", self.staff_aid)):
            _application(key, value)
        if not (self.member_aid or self.staff_aid):
            raise ValueError("member_aid: give member_aid, staff_aid or both: nothing else on a card is read")
        _within("stall_timeout_s", self.stall_timeout_s, 5.0, 300.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NexoOptions:
    """payment-nexo: a payment device that speaks nexo's Sale to POI protocol in JSON over TCP."""

    host: str
    port: int
    poi_id: str
    """The payment device's name, as set on it."""
    sale_id: str = "terminald"
    """This terminal's name, as set on the payment device."""
    payment_timeout_s: float = 90.0
    """How long a customer may take; after it the outcome is enquired about."""
    reversal_timeout_s: float = 30.0
    """A reversal may have to reach the acquirer."""
    answer_timeout_s: float = 5.0
    """How long the device may take for everything that it answers by itself."""
    heartbeat_s: float = 30.0
    """How often an idle device is asked whether it is there."""
    wallets: tuple[Wallet, ...] = ()
    """The phones' wallets whose scanned codes it takes."""

    def __post_init__(self) -> None:
        _within("port", self.port, 1, 65_535)
        for key, value in (("host", self.host), ("poi_id", self.poi_id), ("sale_id", self.sale_id)):
            if not value:
                raise ValueError(f"{key}: is empty")
        _within("payment_timeout_s", self.payment_timeout_s, 0.05, 600.0)
        _within("reversal_timeout_s", self.reversal_timeout_s, 0.05, 600.0)
        _within("answer_timeout_s", self.answer_timeout_s, 0.05, 60.0)
        _within("heartbeat_s", self.heartbeat_s, 0.05, 3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpioDrawerOptions:
    """drawer-gpio: a cash drawer on two pins, its solenoid and its sensor. Pins have Broadcom's numbers (GPIO17: 17)."""

    kick_pin: int
    kick_level: Literal["high", "low"] = "high"
    """The level that powers the solenoid."""
    pulse_ms: int = 150
    sensor_pin: int | None = None
    sensor_open_level: Literal["high", "low"] = "high"
    """The level that means open."""
    sensor_pull: Literal["up", "down", "off"] = "up"
    debounce_ms: int = 20
    commanded_window_s: float = 2.0
    """An opening within this time of a kick was commanded."""
    left_open_s: float = 60.0
    """Open for longer it is told, and again as often; 0 is never."""

    def __post_init__(self) -> None:
        _within("kick_pin", self.kick_pin, 0, 53)
        _within("pulse_ms", self.pulse_ms, 10, 500)
        if self.sensor_pin is not None:
            _within("sensor_pin", self.sensor_pin, 0, 53)
        if self.sensor_pin == self.kick_pin:
            raise ValueError(f"sensor_pin: {self.sensor_pin} is the pin of the solenoid already")
        _within("debounce_ms", self.debounce_ms, 1, 1000)
        _within("commanded_window_s", self.commanded_window_s, 0.1, 60.0)
        _within("left_open_s", self.left_open_s, 0.0, 3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrinterDrawerOptions:
    """drawer-printer: a cash drawer on a receipt printer's connector."""

    printer: str
    """The printer's own device: NAME of its `[device.NAME]`."""
    connector: Literal["pin2", "pin5"] = "pin2"
    """Which pin of the connector powers the solenoid; a printer for one drawer has pin 2."""
    pulse: Literal["buffered", "realtime"] = "buffered"
    """ESC p, which every printer has; or DLE DC4, which also works while the printer has no paper."""
    pulse_ms: int = 120
    sensor_open_level: Literal["high", "low", "none"] = "high"
    """The level of the connector's pin 3 that means open; none where no sensor is wired."""
    commanded_window_s: float = 2.0
    """An opening within this time of a kick was commanded."""
    left_open_s: float = 60.0
    """Open for longer it is told, and again as often; 0 is never."""

    def __post_init__(self) -> None:
        if not self.printer:
            raise ValueError("printer: is empty")
        _within("pulse_ms", self.pulse_ms, 10, 500)
        _within("commanded_window_s", self.commanded_window_s, 0.1, 60.0)
        _within("left_open_s", self.left_open_s, 0.0, 3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EscposDisplayOptions:
    """display-escpos: a customer's display of two rows that speaks Epson's ESC/POS, on a serial port."""

    path: Path
    baud: int = 9600
    columns: int = 20
    codepage: CodePage = "CP858"
    refresh_s: float = 10.0
    """How often it is drawn anew, for one that was switched off and on."""

    def __post_init__(self) -> None:
        _display(self.baud, self.columns, self.refresh_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cd5220DisplayOptions:
    """display-cd5220: a customer's display of two rows that speaks CD5220, on a serial port."""

    path: Path
    baud: int = 9600
    columns: int = 20
    codepage: Literal["CP437", "CP850"] = "CP850"
    refresh_s: float = 10.0
    """How often it is drawn anew, for one that was switched off and on."""

    def __post_init__(self) -> None:
        _display(self.baud, self.columns, self.refresh_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpioLightsOptions:
    """lights-gpio: lamps on pins, each behind a driver stage. Pins have Broadcom's numbers."""

    green_pin: int | None = None
    yellow_pin: int | None = None
    red_pin: int | None = None
    lit_level: Literal["high", "low"] = "high"

    def __post_init__(self) -> None:
        _pins({"green_pin": self.green_pin, "yellow_pin": self.yellow_pin, "red_pin": self.red_pin})


@dataclass(frozen=True, slots=True, kw_only=True)
class GpioToneOptions:
    """tone-gpio: a passive buzzer on a pin. Pins have Broadcom's numbers."""

    pin: int
    pitch_hz: int = 2400

    def __post_init__(self) -> None:
        _within("pin", self.pin, 0, 53)
        _within("pitch_hz", self.pitch_hz, 100, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpioKeylockOptions:
    """keylock-gpio: a key lock with a contact for each position. Pins have Broadcom's numbers."""

    normal_pin: int
    supervisor_pin: int | None = None
    lock_pin: int | None = None
    approves: bool = False
    """Whether the supervisor's position allows what takes a supervisor."""
    closed_level: Literal["high", "low"] = "low"
    pull: Literal["up", "down", "off"] = "up"
    debounce_ms: int = 30

    def __post_init__(self) -> None:
        if self.approves and self.supervisor_pin is None:
            raise ValueError("approves: there is no supervisor_pin")
        _pins({"normal_pin": self.normal_pin, "supervisor_pin": self.supervisor_pin, "lock_pin": self.lock_pin})
        _within("debounce_ms", self.debounce_ms, 1, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpioButtonsOptions:
    """buttons-gpio: buttons that each give an order. Pins have Broadcom's numbers."""

    no_sale_pin: int | None = None
    cancel_pin: int | None = None
    reprint_pin: int | None = None
    cash_pin: int | None = None
    card_pin: int | None = None
    closed_level: Literal["high", "low"] = "low"
    """The level while a button is pressed."""
    pull: Literal["up", "down", "off"] = "up"
    debounce_ms: int = 20

    def __post_init__(self) -> None:
        pins = {
            "no_sale_pin": self.no_sale_pin,
            "cancel_pin": self.cancel_pin,
            "reprint_pin": self.reprint_pin,
            "cash_pin": self.cash_pin,
            "card_pin": self.card_pin,
        }
        _pins(pins)
        _within("debounce_ms", self.debounce_ms, 1, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpioTamperOptions:
    """tamper-gpio: the switch under the terminal's case. Pins have Broadcom's numbers."""

    pin: int
    intact_level: Literal["high", "low"] = "low"
    """The level while the case is closed."""
    pull: Literal["up", "down", "off"] = "up"
    confirm_ms: int = 5
    """A level counts once it has lasted so long."""

    def __post_init__(self) -> None:
        _within("pin", self.pin, 0, 53)
        _within("confirm_ms", self.confirm_ms, 0, 50)


@dataclass(frozen=True, slots=True, kw_only=True)
class RpiPowerOptions:
    """power-rpi: the board's power, as the Raspberry Pi's firmware sees it."""

    path: Path | None = None
    """Its file; else it is looked for."""
    poll_ms: int = 250
    recover_s: float = 3.0
    """The power must have been strong for so long before a payment may begin again."""

    def __post_init__(self) -> None:
        _within("poll_ms", self.poll_ms, 20, 500)
        _within("recover_s", self.recover_s, 0.0, 600.0)


def _display(baud: int, columns: int, refresh_s: float) -> None:
    _within("baud", baud, 50, 4_000_000)
    _within("columns", columns, 16, 40)
    _within("refresh_s", refresh_s, 0.1, 3600.0)


def _pins(pins: Mapping[str, int | None]) -> None:
    """Pins of one device: at least one, each once."""
    taken: dict[int, str] = {}
    for key, pin in pins.items():
        if pin is not None:
            _within(key, pin, 0, 53)
            if pin in taken:
                raise ValueError(f"{key}: {pin} is {taken[pin]} already")
            taken[pin] = key
    if not taken:
        raise ValueError(f"{next(iter(pins))}: give at least one of {', '.join(pins)}")


def _framing(prefix: str, suffix: str, length_max: int, gap_s: float) -> None:
    for key, value in (("prefix", prefix), ("suffix", suffix)):
        try:
            value.encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError(f"{key}: {value!r} has a character that is no single byte (ISO 8859-1)") from None
    _within("length_max", length_max, 8, 16_384)
    _within("gap_s", gap_s, 0.005, 10.0)


def _application(key: str, value: str) -> None:
    try:
        aid = bytes.fromhex(value)
    except ValueError:
        aid = b""
    if value and not AID_BYTES_MIN <= len(aid) <= AID_BYTES_MAX:
        raise ValueError(f"{key}: {value!r} must be {AID_BYTES_MIN} to {AID_BYTES_MAX} bytes in hexadecimal digits")
    if value and is_payment(aid):
        raise ValueError(f"{key}: {value!r} is a payment application, and such are never selected")


def _within(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{key}: {value} is not within {low} to {high}")
