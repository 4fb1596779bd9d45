"""What each driver can be told in its `[device.NAME]` table: one frozen dataclass a driver, without the driver's library.

A field is a `str`, `int`, `float`, `bool`, `Path`, a `Literal` of strings, or one of these or None; its name is the key
in the table, its default the value of a missing key. `__post_init__` raises ValueError for a value out of range, its
message beginning with the key. A relative Path counts from the configuration's own folder.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Terminator = Literal["auto", "cr", "lf", "crlf", "tab"]
Parity = Literal["none", "even", "odd"]
CodePage = Literal["CP437", "CP850", "CP852", "CP858", "CP1252"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialScannerOptions:
    """scanner-serial: a scanner on a serial port, RS-232 or USB CDC."""

    path: Path
    baud: int = 9600
    data_bits: int = 8
    parity: Parity = "none"
    stop_bits: int = 1
    terminator: Terminator = "auto"
    """`auto` takes CR, LF or both."""
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
        _framing(self.prefix, self.suffix, self.length_max, self.gap_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class HidScannerOptions:
    """scanner-hid: a scanner that acts as a keyboard, set to the US layout."""

    path: Path
    terminator: Literal["enter", "tab"] = "enter"
    prefix: str = ""
    suffix: str = ""
    length_max: int = 2048
    gap_s: float = 0.15
    """The longest pause between two keys of one code."""

    def __post_init__(self) -> None:
        _framing(self.prefix, self.suffix, self.length_max, self.gap_s)


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


def _framing(prefix: str, suffix: str, length_max: int, gap_s: float) -> None:
    for key, value in (("prefix", prefix), ("suffix", suffix)):
        try:
            value.encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError(f"{key}: {value!r} has a character that is no single byte (ISO 8859-1)") from None
    _within("length_max", length_max, 8, 16_384)
    _within("gap_s", gap_s, 0.005, 10.0)


def _within(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{key}: {value} is not within {low} to {high}")
