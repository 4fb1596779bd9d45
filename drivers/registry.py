"""Which drivers there are: a name as the configuration gives it, its options, and where its class is.

A driver's module is imported when a device is built, so that a terminal without a printer never pays for the printer's
library. This is a table and nothing more: `terminald.daemon` alone asks it.
"""

import dataclasses
import difflib
import importlib
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.ports import Clock, Device, Emit
from drivers import options as o
from drivers.nodes import Match, NodeKind

Options = Any
"""One of the dataclasses of `drivers.options`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """`kind` is a UnifiedPOS device class, `implementation` is ``module:Class``.

    `nodes` are the kinds of node that its option `path` may lead to. A driver that has some can be told what to look for
    (vendor, product, serial, port_path) in place of `path`: the path is then a link that leads to whatever fits, and to
    nothing while that is not plugged in. A USB device without a driver of the kernel's has the node ``usb``.
    """

    kind: str
    options: type
    implementation: str
    nodes: tuple[NodeKind, ...] = ()


DRIVERS: Mapping[str, Driver] = {
    "scanner-serial": Driver(
        kind="Scanner",
        options=o.SerialScannerOptions,
        implementation="drivers.scanner:SerialScanner",
        nodes=("serial",),
    ),
    "scanner-hid": Driver(
        kind="Scanner",
        options=o.HidScannerOptions,
        implementation="drivers.hid_scanner:HidScanner",
        nodes=("keyboard",),
    ),
    "printer-escpos": Driver(
        kind="POSPrinter",
        options=o.EscposPrinterOptions,
        implementation="drivers.printer:EscposPrinter",
        nodes=("usb-printer", "serial"),
    ),
    "nfc-pn532": Driver(
        kind="RFIDScanner", options=o.NfcOptions, implementation="drivers.nfc:NfcReader", nodes=("serial",)
    ),
    "nfc-usb": Driver(
        kind="RFIDScanner", options=o.UsbNfcOptions, implementation="drivers.nfc:NfcReader", nodes=("usb",)
    ),
    "msr-serial": Driver(
        kind="MSR", options=o.SerialMsrOptions, implementation="drivers.msr:SerialCardReader", nodes=("serial",)
    ),
    "msr-hidraw": Driver(
        kind="MSR", options=o.HidrawMsrOptions, implementation="drivers.msr:HidrawCardReader", nodes=("hidraw",)
    ),
    "smartcard-pcsc": Driver(
        kind="SmartCardRW", options=o.SmartCardOptions, implementation="drivers.smartcard:PcscReader"
    ),
    "scale-serial": Driver(
        kind="Scale", options=o.SerialScaleOptions, implementation="drivers.scale:SerialScale", nodes=("serial",)
    ),
    "msr-usb": Driver(kind="MSR", options=o.UsbMsrOptions, implementation="drivers.msr_usb:UsbCardReader"),
    "payment-nexo": Driver(kind="CAT", options=o.NexoOptions, implementation="drivers.payment:NexoPaymentDevice"),
    "display-escpos": Driver(
        kind="LineDisplay",
        options=o.EscposDisplayOptions,
        implementation="drivers.display:SerialDisplay",
        nodes=("serial",),
    ),
    "display-cd5220": Driver(
        kind="LineDisplay",
        options=o.Cd5220DisplayOptions,
        implementation="drivers.display:SerialDisplay",
        nodes=("serial",),
    ),
    "lights-gpio": Driver(kind="Lights", options=o.GpioLightsOptions, implementation="drivers.lights:GpioLights"),
    "tone-gpio": Driver(kind="ToneIndicator", options=o.GpioToneOptions, implementation="drivers.tone:GpioTone"),
    "keylock-gpio": Driver(kind="Keylock", options=o.GpioKeylockOptions, implementation="drivers.contacts:GpioKeylock"),
    "buttons-gpio": Driver(
        kind="POSKeyboard", options=o.GpioButtonsOptions, implementation="drivers.contacts:GpioButtons"
    ),
    "power-rpi": Driver(kind="POSPower", options=o.RpiPowerOptions, implementation="drivers.power:RpiPower"),
    "tamper-gpio": Driver(
        kind="TamperSwitch", options=o.GpioTamperOptions, implementation="drivers.tamper:GpioTamperSwitch"
    ),
    "drawer-printer": Driver(
        kind="CashDrawer", options=o.PrinterDrawerOptions, implementation="drivers.drawer_printer:PrinterDrawer"
    ),
    "drawer-gpio": Driver(kind="CashDrawer", options=o.GpioDrawerOptions, implementation="drivers.drawer:GpioDrawer"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionFault:
    """One thing wrong with a device's table. `key` is the key it is about, or None for the table itself."""

    where: str
    key: str | None
    message: str


class OptionsRejected(ValueError):
    """A device's table cannot be used; `faults` holds everything that is wrong with it."""

    def __init__(self, faults: tuple[OptionFault, ...]) -> None:
        super().__init__("; ".join(f"{fault.where}: {fault.message}" for fault in faults))
        self.faults = faults


def options_for(driver: str, table: Mapping[str, object], where: str) -> Options:
    """The options of a device's table, its own key `driver` left out. `where` names the table (``device.scanner``).

    Raises OptionsRejected with every fault found.
    """
    entry = DRIVERS.get(driver)
    if entry is None:
        raise OptionsRejected((OptionFault(where=where, key="driver", message=_unknown("driver", driver, DRIVERS)),))
    fields = {field.name: field for field in dataclasses.fields(entry.options)}
    hints = typing.get_type_hints(entry.options)
    faults: list[OptionFault] = []
    values: dict[str, object] = {}
    for key, value in table.items():
        if key == "driver":
            continue
        if key not in fields:
            faults.append(OptionFault(where=where, key=key, message=_unknown("key", key, fields)))
            continue
        try:
            values[key] = _convert(value, hints[key])
        except TypeError as error:
            faults.append(OptionFault(where=where, key=key, message=f"{key} {error}"))
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in table:
            faults.append(OptionFault(where=where, key=None, message=f"{name} is missing: {driver} needs it"))
    if faults:
        raise OptionsRejected(tuple(faults))
    try:
        return entry.options(**values)
    except ValueError as error:
        key = str(error).partition(":")[0]
        raise OptionsRejected((OptionFault(where=where, key=key, message=str(error)),)) from error


MATCH_KEYS = tuple(field.name for field in dataclasses.fields(Match))


def match_for(driver: str, table: Mapping[str, object], where: str) -> Match | None:
    """What a device's table says to look for; None where it gives a path or an address instead.

    `vendor` may hold both ids (``0c2e:0b61``). Raises OptionsRejected with every fault found.
    """
    entry = DRIVERS.get(driver)
    if entry is None:
        return None
    # A driver that finds its device by itself has keys of its own by these names.
    own = {field.name for field in dataclasses.fields(entry.options)}
    given = {key: table[key] for key in MATCH_KEYS if key in table and key not in own}
    if not given:
        return None
    faults = [
        OptionFault(where=where, key=key, message=f"{key} must be a text, not {value!r}")
        for key, value in given.items()
        if not isinstance(value, str) or not value
    ]
    if not entry.nodes:
        faults.append(OptionFault(where=where, key=next(iter(given)), message=f"{driver} is not found by such keys"))
    if "path" in table:
        faults.append(OptionFault(where=where, key="path", message=f"give either a path or {', '.join(given)}"))
    if faults:
        raise OptionsRejected(tuple(faults))
    texts = {key: str(value) for key, value in given.items()}
    vendor, colon, product = texts.get("vendor", "").partition(":")
    if colon:
        if "product" in texts:
            raise OptionsRejected((OptionFault(where=where, key="product", message="vendor holds a product already"),))
        texts |= {"vendor": vendor, "product": product}
    for key in ("vendor", "product"):
        if key in texts:
            texts[key] = texts[key].lower().removeprefix("0x")
            if not re.fullmatch(r"[0-9a-f]{4}", texts[key]):
                message = f"{key} must be four hexadecimal digits, such as 0c2e, not {texts[key]!r}"
                faults.append(OptionFault(where=where, key=key if key in given else "vendor", message=message))
    if "product" in texts and "vendor" not in texts:
        faults.append(OptionFault(where=where, key="product", message="product needs a vendor"))
    if faults:
        raise OptionsRejected(tuple(faults))
    return Match(**texts)


def placed_at(options: Options, path: Path) -> Options:
    """The same options for a device at another path."""
    return dataclasses.replace(options, path=path)


def kind_of(options: Options) -> str:
    """The UnifiedPOS device class of the driver that these options are for."""
    return _entry(options).kind


def paths_of(options: Options, base_dir: Path) -> tuple[Path, ...]:
    """Where in the file system the device will turn up: what a `drivers.hotplug.Watcher` should watch."""
    placed = _placed(options, base_dir)
    path = getattr(placed, "path", None)
    return (path,) if isinstance(path, Path) else ()


def build(name: str, options: Options, emit: Emit, base_dir: Path, clock: Clock) -> Device:
    """The device, not yet opened. Relative paths count from `base_dir`. Raises ImportError where a library is missing."""
    module, _, class_name = _entry(options).implementation.partition(":")
    make: Callable[[str, Options, Emit, Clock], Device] = getattr(importlib.import_module(module), class_name)
    return make(name, _placed(options, base_dir), emit, clock)


def _entry(options: Options) -> Driver:
    return next(driver for driver in DRIVERS.values() if driver.options is type(options))


def _placed(options: Options, base_dir: Path) -> Options:
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    return dataclasses.replace(options, **{k: base_dir / v for k, v in values.items() if isinstance(v, Path)})


def _unknown(what: str, name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {name!r}.{guess} Known are: {', '.join(sorted(known))}"


def _convert(value: object, hint: Any) -> object:
    """A TOML value as a field's type. Raises TypeError whose message reads on after the key's name."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        hint = next(arm for arm in typing.get_args(hint) if arm is not type(None))
        return _convert(value, hint)
    if origin is tuple:
        (item, _) = typing.get_args(hint)
        if not isinstance(value, list):
            raise TypeError(f"must be a list, not {value!r}")
        return tuple(_convert(each, item) for each in value)
    if origin is Literal:
        allowed = typing.get_args(hint)
        if value in allowed:
            return value
        raise TypeError(f"must be one of {', '.join(allowed)}, not {value!r}")
    if hint is float and type(value) is int:
        return float(value)
    if hint is Path and isinstance(value, str) and value:
        return Path(value)
    if type(value) is hint:
        return value
    raise TypeError(f"must be {_WORDS.get(hint, hint.__name__)}, not {value!r}")


_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path in quotes"}
