"""`terminald devices`: what is plugged in and how it does, through the daemon where one runs, else by looking.

``list``     {"running", "devices": [a `core.view.DeviceView` each]}; without a daemon `phase` is ``plugged-in``,
             ``absent`` or ``not-looked-at``
``watch``    a `DeviceView` whenever one has changed, a line each, until interrupted
``test``     {"name", "works", "fault", "remedy", "through": "daemon" or "driver"}
``suggest``  {"devices": [{"name", "driver", "vendor", "product", "serial", "port_path", "path", "maker", "table"}]}
"""

import argparse
import asyncio
import textwrap
from collections.abc import Sequence
from typing import Any

import msgspec

from core.card import wipe
from core.view import DeviceView, View
from drivers import nodes, registry
from drivers.nodes import Node, NodeKind
from store.device_book import DeviceBook
from terminald.cli import CANNOT, FINDING, emit, fail, load_config
from terminald.client import CallFailed, CallRefused, Disconnected, call_once, connect
from terminald.config import Config
from terminald.devices import BOOK, adopters, places
from terminald.direct import DeviceUnknown, InUse, tried

ANSWER_S_MAX = 10.0
ROW_CELLS = 80
INDENT = " " * 17


def list_devices(given: argparse.Namespace) -> int:
    """The devices, their state and their quality."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    running, listed = True, []
    try:
        listed = msgspec.convert(call_once(config.socket, "device.list", timeout_s=ANSWER_S_MAX), list[DeviceView])
    except (Disconnected, CallFailed, TimeoutError):
        running, listed = False, _at_rest(config)
    if given.json:
        emit({"running": running, "devices": listed})
    else:
        print("\n".join(_rows(device) for device in listed) or "no device is configured or plugged in")
    return 0 if running else FINDING


def watch(given: argparse.Namespace) -> int:
    """Says each change of a device until it is interrupted, or the daemon ends."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        asyncio.run(_watch(config, as_json=given.json))
    except Disconnected as error:
        return fail(str(error), FINDING)
    return 0


def test(given: argparse.Namespace) -> int:
    """Whether a device works: as the daemon has it, else by opening it."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        answer = call_once(config.socket, "device.test", {"name": given.name}, timeout_s=ANSWER_S_MAX)
        assert isinstance(answer, dict)
        said = {**answer, "through": "daemon"}
    except CallRefused as error:
        return fail(f"{error.message.id}: {wipe(given.name)}", CANNOT)
    except (Disconnected, CallFailed, TimeoutError):
        try:
            said = {**asyncio.run(tried(config, given.name)), "through": "driver"}
        except (DeviceUnknown, InUse, ImportError) as error:
            return fail(wipe(str(error)))
    if given.json:
        emit(said)
    else:
        print(f"{given.name}: works" if said["works"] else f"{given.name}: {said['fault']}. {said['remedy']}")
    return 0 if said["works"] else FINDING


def suggest(given: argparse.Namespace) -> int:
    """A table for each device that is plugged in and that no table has."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    suggested = _suggested(config, everything=given.all)
    if given.json:
        emit({"devices": suggested})
    else:
        print("\n\n".join(each["table"] for each in suggested) or "# Nothing is plugged in that no table has.")
    return 0


# --- list and watch ----------------------------------------------------------------------------------------------


def _at_rest(config: Config) -> list[DeviceView]:
    """Without a daemon: what the configuration names, where it is plugged in, and what is remembered of it."""
    book = DeviceBook(config.journal.parent / BOOK)
    found, listed = places(config), []
    for device in config.devices:
        node, is_there = found.get(device.name, (None, None))
        phase = {None: "not-looked-at", True: "plugged-in", False: "absent"}[is_there]
        identity = node.identity if node is not None else book.holder_of(device.name) or ""
        listed.append(
            DeviceView(
                name=device.name,
                kind=registry.kind_of(device.options),
                phase=phase,
                identity=identity,
                driver=device.driver,
                place=node.port_path if node is not None else "",
                between_faults_s=book.past(identity).between_faults_s,
            )
        )
    return listed


async def _watch(config: Config, *, as_json: bool) -> None:
    seen: dict[str, DeviceView] = {}
    async with connect(config.socket) as client:
        async for view in client.views():
            for device in _changed(view, seen, quietly=not as_json):
                if as_json:
                    emit(device, now=True)
                else:
                    print(_row(device), flush=True)
            for name in set(seen) - {device.name for device in view.devices}:
                gone = msgspec.structs.replace(seen.pop(name), phase="forgotten")
                if as_json:
                    emit(gone, now=True)
                else:
                    print(_row(gone), flush=True)


def _changed(view: View, seen: dict[str, DeviceView], *, quietly: bool) -> list[DeviceView]:
    """The devices that are others than when they were last seen; `quietly`: what a person wants to know of alone."""
    changed = []
    for device in view.devices:
        before = seen.get(device.name)
        told = msgspec.structs.replace(device, between_faults_s=None)
        if before is None or told != before:
            if not (quietly and before is not None and _headline(told) == _headline(before)):
                changed.append(device)
            seen[device.name] = told
    return changed


def _headline(device: DeviceView) -> tuple[str, str | None, str]:
    return device.phase, device.fault, device.place


def _row(device: DeviceView) -> str:
    return f"{device.name:<16} {device.kind:<12} {device.phase:<14} {device.fault or ''}".rstrip()


def _rows(device: DeviceView) -> str:
    """A device's state, and under it where it is and how it does."""
    told: dict[str, object] = {"driver": device.driver, "identity": device.identity, "at": device.place}
    told |= device.detail
    if device.between_faults_s is not None:
        told["between_faults_s"] = device.between_faults_s
    facts = " ".join(f"{name}={value}" for name, value in told.items() if value not in ("", None))
    return "\n".join([_row(device), *_under(facts), *_under(device.remedy)])


def _under(text: str) -> list[str]:
    """Rows under a device's name; what has no space in it stays whole."""
    return textwrap.wrap(
        text, ROW_CELLS, initial_indent=INDENT, subsequent_indent=INDENT, break_long_words=False, break_on_hyphens=False
    )


# --- suggest -----------------------------------------------------------------------------------------------------


def _suggested(config: Config, *, everything: bool) -> list[dict[str, Any]]:
    found = places(config)
    taken = {node.path for name, (node, _) in found.items() if node is not None and "/" not in name}
    taken_devices = {node.device for node, _ in found.values() if node is not None and node.path in taken}
    strangers = [
        node for node in _foremost(nodes.plugged_in()) if everything or node.device not in taken_devices - {""}
    ]
    return [_suggestion(node, config) for node in strangers if everything or node.path not in taken]


def _foremost(plugged: Sequence[Node]) -> list[Node]:
    """Of a device's nodes those that the kernel has a driver for; the USB device as a whole where there is none."""
    kept = {node.device for node in plugged if node.kind in ("serial", "keyboard", "usb-printer")}
    kept_raw = kept | {node.device for node in plugged if node.kind == "hidraw"}
    hidden: dict[NodeKind, set[str]] = {"hidraw": kept, "usb": kept_raw}
    # A USB device without an identity is a hub.
    return [n for n in plugged if n.vendor and n.device not in hidden.get(n.kind, set())]


def _suggestion(node: Node, config: Config) -> dict[str, Any]:
    drivers = [name for name, driver in registry.DRIVERS.items() if node.kind in driver.nodes]
    maker = nodes.scanner_maker(node)
    scanners = [name for name in drivers if registry.DRIVERS[name].kind == "Scanner"]
    chosen = scanners[0] if maker is not None and scanners else next(iter(drivers), "")
    kind = registry.DRIVERS[chosen].kind if chosen else "device"
    stem = {"Scanner": "scanner", "POSPrinter": "printer", "RFIDScanner": "nfc"}.get(kind, kind.lower())
    name = f"{stem}-{nodes.short_name(node)}"[:32].rstrip("-")
    said = {
        "name": name,
        "driver": chosen,
        "vendor": node.vendor,
        "product": node.product,
        "serial": node.serial,
        "port_path": node.port_path,
        "path": node.path,
        "maker": maker or "",
    }
    return said | {"table": _table(node, name, drivers, chosen, maker, config)}


def _table(node: Node, name: str, drivers: Sequence[str], chosen: str, maker: str | None, config: Config) -> str:
    lines = [f"# {node.name or node.path} at {node.port_path or node.path} ({node.path})"]
    if maker is not None and chosen in {each.driver for each in adopters(config).values()}:
        lines.append(f"# A scanner by {maker}: it works without a table, which would give it settings of its own.")
    elif node.kind == "keyboard":
        lines.append("# A keyboard, unless it is a scanner: with a table nobody can type on it any more.")
    if not chosen:
        return "\n".join([*lines, "# No driver takes such a device."])
    others = [driver for driver in drivers if driver != chosen]
    if others:
        lines.append(f"# Drivers that could be meant too: {', '.join(others)}")
    lines += [f"[device.{name}]", f'driver = "{chosen}"', f'vendor = "{node.vendor}:{node.product}"']
    # The serial number tells two of a model apart; where there is none, the port does.
    keys = [("serial", node.serial), ("port_path", node.port_path)]
    first = next((key for key, value in keys if value), "")
    lines += [
        f"{'' if key == first else '# '}{key} = {msgspec.json.encode(value).decode()}" for key, value in keys if value
    ]
    return "\n".join(lines)
