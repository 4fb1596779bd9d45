"""The guides say what the code does: their tables are held against it, their worked examples are run.

A generated part stands between two marks; ``pytest tests/test_docs.py --rewrite`` writes such parts anew.
"""

import argparse
import ast
import contextlib
import dataclasses
import functools
import importlib
import json
import pkgutil
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

import core
import drivers
import fleet
import store
import terminald
from core import topics, wire
from core.alarms import KINDS as ALARMS
from core.alarms import SEVERITIES
from core.delivery import BatchError
from core.orders import ORDERS, Kind, OrderError
from core.ports import DeviceError, JournalError
from core.telemetry import GROUPS
from core.telemetry_table import rows
from drivers import registry
from fleet import cli as fleet_cli
from fleet.config import SETTINGS
from fleet.database import DatabaseError
from fleet.own_alarms import OWN
from fleet.refusal import Refused
from terminald import cli, config
from terminald.broker import MqttError
from terminald.client import call_once
from terminald.identity import IdentityError
from tests.brokers import Mosquitto, mosquitto_in
from ui.merchant.curtain import _HELP as MERCHANT_KEYS
from ui.technician.console import _HELP as CONSOLE_COMMANDS
from ui.text import WORDS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
GUIDES = ("merchant.md", "technician.md", "fleet.md", "sizing.md", "control-socket.md", "verify.md")
PROGRAMS = Path(sys.executable).parent
START_S_MAX = 20.0


def held(guide: str, name: str, expected: str, rewrite: bool) -> None:
    """The part of a guide between the marks of this name is as expected, or is made so."""
    path = DOCS / guide
    text = path.read_text()
    pattern = re.compile(rf"(<!-- {name}: generated -->\n)(?:(?!<!--).)*(<!-- end -->)", re.DOTALL)
    assert len(pattern.findall(text)) == 1, f"{guide} has no part {name}"
    whole = pattern.sub(lambda found: f"{found[1]}\n{expected}\n\n{found[2]}", text)
    if rewrite:
        path.write_text(whole)
    assert text == whole or rewrite, f"{guide}: {name} is not what the code says; --rewrite, and read the difference"


def part(guide: str, name: str) -> str:
    """The part of a guide between the marks of this name."""
    found = re.search(rf"<!-- {name}: generated -->\n(.*?)<!-- end -->", (DOCS / guide).read_text(), re.DOTALL)
    assert found, name
    return found[1].strip()


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def rows_of(guide: str, heading: str) -> dict[str, list[str]]:
    """The table under a heading, by its first cell's code."""
    _, _, section = (DOCS / guide).read_text().partition(f"\n{heading}\n")
    assert section, f"{guide} has no {heading}"
    section = re.split(r"\n##+ ", section)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {code(row[0]): row[1:] for row in rows[2:]}


def code(cell: str) -> str:
    """What stands in backticks, else the cell."""
    found = re.search(r"`([^`]+)`", cell)
    return found[1] if found else cell


# --- what people read --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guide", GUIDES)
def test_what_a_guide_points_to_is_there(guide: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)", (DOCS / guide).read_text()):
        assert target.startswith("https://") or (DOCS / target).exists(), target


@functools.cache
def literals(*folders: str) -> set[str]:
    """All texts that stand in the code of some folders: a message whose id is nowhere is never said."""
    return {
        node.value
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_the_merchants_messages(rewrite: bool) -> None:
    def plain(template: str) -> str:
        return re.sub(r"\{(\w+?)(_minor)?\}", lambda found: f"*{found[1].replace('_', ' ')}*", template)

    rows = [
        (plain(condition), plain(remedy) or "Nothing.", f"`{id_}`")
        for id_, (condition, remedy) in WORDS.items()
        if id_ in literals("core", "store", "terminald", "ui/merchant")
    ]
    held("merchant.md", "messages", table(("The screen says", "What to do", "id"), rows), rewrite)


def test_the_merchants_keys(rewrite: bool) -> None:
    rows = [(f"**{key}**", words) for key, words in MERCHANT_KEYS]
    held("merchant.md", "keys", table(("Key", "What it does"), rows), rewrite)


def test_the_technicians_commands(rewrite: bool) -> None:
    rows = [(f"`{name}`", words) for name, words in CONSOLE_COMMANDS]
    held("technician.md", "console", table(("Command", "What it does"), rows), rewrite)


def commands(parser: argparse.ArgumentParser, words: str) -> Iterator[tuple[str, str]]:
    """Each command that ends in an action, with its arguments, and what it does."""
    subs = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for sub in subs:
        summaries = {choice.dest: choice.help or "" for choice in sub._choices_actions}
        for name, child in sub.choices.items():
            nested = list(commands(child, f"{words} {name}"))
            usage = re.sub(r"\s+", " ", child.format_usage()).removeprefix("usage: ").strip()
            yield from nested or [(usage.replace("[-h] ", "").replace(" [-h]", ""), summaries[name])]


def test_each_command_of_the_terminal(rewrite: bool) -> None:
    rows = [(f"`{usage}`", summary) for usage, summary in commands(cli._parser(), "terminald")]
    held("technician.md", "commands", table(("Command", "What it does"), rows), rewrite)


def test_each_command_of_headquarters(rewrite: bool) -> None:
    rows = [(f"`{usage}`", summary) for usage, summary in commands(fleet_cli._parser(), "terminald-fleet")]
    held("fleet.md", "commands", table(("Command", "What it does"), rows), rewrite)


def test_each_order(rewrite: bool) -> None:
    def takes(kind: Kind) -> str:
        fields = msgspec.structs.fields(kind.params)
        return ", ".join(f"`{each.name}`" + ("" if each.required else " (optional)") for each in fields) or "nothing"

    def how(kind: Kind) -> str:
        words = {"two persons": kind.persons == 2, "disruptive": kind.disruptive, "by a file": kind.by_file}
        return ", ".join(word for word, applies in words.items() if applies)

    rows = [(f"`{name}`", kind.what, takes(kind), f"`{kind.role}`", how(kind)) for name, kind in ORDERS.items()]
    held("fleet.md", "orders", table(("Order", "The terminal", "Takes", "Role", "How"), rows), rewrite)


# --- errors ------------------------------------------------------------------------------------------------------


@functools.cache
def load_all() -> None:
    """Imports every module: an error that is not loaded is not seen."""
    for package in (core, drivers, store, terminald, fleet):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__") and ".simulated" not in module.name:
                importlib.import_module(module.name)


def family(base: type[Exception]) -> list[type[Exception]]:
    """An error and all that are derived from it, in the order of their code."""
    load_all()
    found = {base: None}
    for child in base.__subclasses__():
        found |= dict.fromkeys(family(child))
    return sorted(found, key=lambda error: str(getattr(error, "code", "")))


def errors(base: type[Exception]) -> str:
    rows = [
        (f"`{getattr(error, 'code', '')}`", summary(error), str(getattr(error, "remedy", "")))
        for error in family(base)
        if not error.__module__.startswith("tests")
    ]
    return table(("Code", "What is the matter", "What to do"), rows)


def summary(error: type[Exception]) -> str:
    """Its docstring in one line, without what only programmers need to know."""
    return " ".join((error.__doc__ or "").split(" `code` is stable")[0].split("\n\n")[0].split())


@pytest.mark.parametrize(
    ("guide", "name", "base"),
    [
        ("technician.md", "device errors", DeviceError),
        ("technician.md", "journal errors", JournalError),
        ("technician.md", "link errors", MqttError),
        ("technician.md", "identity errors", IdentityError),
        ("fleet.md", "database errors", DatabaseError),
        ("fleet.md", "refused commands", Refused),
    ],
)
def test_each_error_with_its_remedy(guide: str, name: str, base: type[Exception], rewrite: bool) -> None:
    held(guide, name, errors(base), rewrite)


def test_why_a_batch_is_not_taken(rewrite: bool) -> None:
    rows = [
        (f"`{getattr(error, 'code', '')}`", summary(error)) for error in family(BatchError) if error is not BatchError
    ]
    held("fleet.md", "refusals", table(("Code", "Why"), rows), rewrite)


# --- the configuration -------------------------------------------------------------------------------------------

DRIVERS = {f"device.NAME with driver {name}": driver for name, driver in registry.DRIVERS.items()}
KEYS = "## Every key of terminal.toml"
REQUIRED = "required, such as "


def documented() -> dict[str, dict[str, str]]:
    """What the guide says of all keys: a table of the configuration to its keys and their defaults."""
    _, _, part = (DOCS / "technician.md").read_text().partition(f"\n{KEYS}\n")
    headings = re.findall(r"^### .*$", part.partition("\n## ")[0], re.MULTILINE)
    return {
        re.sub(r"[`\[\]]|^### ", "", heading): {
            key: default for key, (default, *_) in rows_of("technician.md", heading).items()
        }
        for heading in headings
    }


def known(tmp_path: Path, tables: dict[str, str]) -> set[str]:
    """The keys that the loader says it knows of the last of these tables (a header to its body)."""
    path = tmp_path / "probe.toml"
    path.write_text("".join(f"{head}\n{body}\n" for head, body in tables.items()) + "nonsense = 1\n")
    with pytest.raises(config.ConfigError) as raised:
        config.load(path)
    (fault,) = (fault for fault in raised.value.faults if "nonsense" in fault.message)
    return set(fault.message.partition("Known are: ")[2].split(", "))


ALWAYS = {"[terminal]": 'id = "till-1"', "[shop]": 'name = "Shop"'}
TABLES = {
    "terminal": ("[terminal]", ALWAYS["[terminal]"]),
    "shop": ("[shop]", ALWAYS["[shop]"]),
    "shop.tax": ("[[shop.tax]]", 'code = "A"'),
    "shop.voucher": ("[[shop.voucher]]", 'prefix = "V10-"'),
    "promotion": ("[[promotion]]", 'id = "p"\nreason = "r"\nkind = "percent"\nvalue = "10"'),
    "journal": ("[journal]", ""),
    "keys": ("[keys]", ""),
    "catalogue": ("[catalogue]", ""),
    "history": ("[history]", ""),
    "weighing": ("[weighing]", ""),
    "drawer": ("[drawer]", ""),
    "till": ("[till]", ""),
    "disk": ("[disk]", ""),
    "devices": ("[devices]", ""),
    "mirror": ("[mirror]", 'path = "stick"'),
    "backup": ("[backup]", 'path = "stick"'),
    "customers": ("[customers]", ""),
    "credentials": ("[credentials]", ""),
    "operators": ("[operators]", ""),
    "control": ("[control]", ""),
    "scan": ("[scan]", ""),
    "scan.variable": ("[[scan.variable]]", 'prefix = "21"'),
    "cards.range": ("[[cards.range]]", 'kind = "loyalty"\nprefix = "600649"'),
    "gift_cards": ("[gift_cards]", ""),
    "headquarters": ("[headquarters]", f'broker = "mqtt://localhost"\nack_key = "{"00" * 32}"'),
}
"""Each table with what it requires."""


def test_each_table_of_the_configuration_is_documented(tmp_path: Path) -> None:
    path = tmp_path / "probe.toml"
    path.write_text("nonsense = 1\n" + "".join(f"{head}\n{body}\n" for head, body in ALWAYS.items()))
    with pytest.raises(config.ConfigError) as raised:
        config.load(path)
    top = set(raised.value.faults[0].message.partition("Known are: ")[2].split(", "))
    assert {name.split(".")[0] for name in TABLES} | {"device"} == top | {"headquarters"}
    assert documented().keys() == TABLES.keys() | DRIVERS.keys() | {"device.NAME"}


@pytest.mark.parametrize("name", TABLES)
def test_each_key_of_the_configuration_is_documented(tmp_path: Path, name: str) -> None:
    head, body = TABLES[name]
    around = {key: text for key, text in ALWAYS.items() if key != head}
    subtables = {"shop": {"tax", "voucher"}, "scan": {"variable"}}.get(name, set())
    assert documented()[name].keys() | subtables == known(tmp_path, {**around, head: body})


@pytest.mark.parametrize("name", TABLES)
def test_each_default_is_the_documented_one(tmp_path: Path, name: str) -> None:
    head, _ = TABLES[name]
    keys = documented()[name]
    required = [f"{key} = {code(cell)}" for key, cell in keys.items() if cell.startswith(REQUIRED)]
    given = [f"{key} = {code(cell)}" for key, cell in keys.items() if not cell.startswith(REQUIRED) and cell != "none"]

    def load(lines: Sequence[str]) -> config.Config:
        around = "".join(f"{key}\n{text}\n" for key, text in ALWAYS.items() if key != head)
        path = tmp_path / "terminal.toml"
        path.write_text(around + f"{head}\n" + "\n".join(lines) + "\n")
        return config.load(path)

    assert load(required) == load([*required, *given])
    for line in required:
        with pytest.raises(config.ConfigError, match=f"{line.partition(' ')[0]} is missing"):
            load([other for other in required if other != line])


ONE_OF: dict[str, dict[str, object]] = {
    "printer-escpos": {"path": "/dev/usb/lp0"},
    "lights-gpio": {"red_pin": 6},
    "buttons-gpio": {"cancel_pin": 6},
}
"""Drivers that need one of several keys."""


@pytest.mark.parametrize("name", DRIVERS)
def test_each_option_of_a_driver_is_documented(name: str) -> None:
    fields = {field.name: field for field in dataclasses.fields(DRIVERS[name].options)}
    keys = documented()[name]
    assert keys.keys() == fields.keys()
    for key, cell in keys.items():
        assert cell.startswith(REQUIRED) == (fields[key].default is dataclasses.MISSING), key
        assert (cell == "none") == (fields[key].default is None), key
    values = {key: tomllib.loads(f"x = {code(cell)}")["x"] for key, cell in keys.items() if cell != "none"}
    required = {key: values[key] for key, cell in keys.items() if cell.startswith(REQUIRED)}
    driver = name.rpartition(" ")[2]
    if driver in ONE_OF:
        required, values = ONE_OF[driver], {**ONE_OF[driver], **values}
    assert registry.options_for(driver, values, "doc") == registry.options_for(driver, required, "doc")


def test_each_key_of_headquarters_is_documented() -> None:
    assert rows_of("fleet.md", "## Every key of fleet.toml").keys() == set(SETTINGS)


# --- the control socket ------------------------------------------------------------------------------------------


class Example:
    """The worked example of the control socket's guide: its files in a folder of their own, its commands to be run."""

    def __init__(self, folder: Path) -> None:
        text = (DOCS / "control-socket.md").read_text()
        for name, content in re.findall(r"`(\w+\.\w+)`:\n\n```\w+\n(.*?)```", text, re.DOTALL):
            (folder / name).write_text(content)
        self.folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def run(self, command: str) -> str:
        """What a command of the example prints, both streams as they come."""
        environment = {"PATH": f"{PROGRAMS}:/usr/bin:/bin"}
        if command.endswith(" &"):
            with (self.folder / "daemon.log").open("w") as log:
                self._started.append(
                    subprocess.Popen(command[:-2].split(), cwd=self.folder, env=environment, stderr=log)
                )
            wait_until((self.folder / "control.sock").exists)
            return ""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.stdout

    def end(self) -> None:
        for process in self._started:
            process.terminate()
            assert process.wait(START_S_MAX) == 0


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Example]:
    running = Example(tmp_path)
    try:
        yield running
    finally:
        running.end()


def test_the_worked_example_of_a_sale(example: Example, rewrite: bool) -> None:
    (shown,) = re.findall(r"```console\n(.*?)```", (DOCS / "control-socket.md").read_text(), re.DOTALL)
    said = [f"$ {command}\n{example.run(command)}" for command in re.findall(r"^\$ (.*)$", shown, re.MULTILINE)]
    held("control-socket.md", "example", f"```console\n{''.join(said)}```", rewrite)
    assert "sale-completed" in "".join(said)


APPROVAL = ("approver", "approver_pin")
"""What every order takes is said once, in the guide's words."""


def parameter(name: str, schema: dict[str, object]) -> str:
    kinds = schema.get("anyOf", [schema])
    assert isinstance(kinds, list)
    kind = " or ".join(
        str(each["type"]) if "type" in each else ", ".join(each["enum"]) for each in kinds if each.get("type") != "null"
    )
    return f"`{name}` {kind}{', may be left out' if 'default' in schema else ''}"


def test_the_methods(example: Example, rewrite: bool) -> None:
    example.run("terminald run --config terminal.toml &")
    listed = call_once(example.folder / "control.sock", "rpc.discover")
    assert isinstance(listed, list)
    rows = [
        (
            f"`{each['name']}`",
            each["summary"],
            "; ".join(parameter(name, schema) for name, schema in each["params"].items() if name not in APPROVAL),
        )
        for each in listed
    ]
    held("control-socket.md", "methods", table(("Method", "What it does", "Parameters"), rows), rewrite)


def test_the_numbers_of_errors() -> None:
    numbers = {
        str(getattr(wire, name))
        for name in (
            "PARSE_ERROR",
            "INVALID_REQUEST",
            "METHOD_NOT_FOUND",
            "INVALID_PARAMS",
            "INTERNAL_ERROR",
            "REFUSED",
        )
    }
    assert rows_of("control-socket.md", "## Errors").keys() == numbers


# --- what goes to headquarters -----------------------------------------------------------------------------------


def test_each_key_that_a_terminal_tells(rewrite: bool) -> None:
    found = [
        (f"`{row.topic}`", f"`{row.key}`", row.kind + " or none" * row.none, row.unit, row.meaning, row.rate)
        for row in rows()
    ]
    heads = ("Topic", "Key", "Type", "Unit", "Meaning", "Rate")
    held("fleet.md", "telemetry", table(heads, found), rewrite)


def test_each_alarm(rewrite: bool) -> None:
    found = [
        (f"`{kind.type}`", kind.severity, kind.when, re.sub(r"{(\w+)}", r"*\1*", kind.text), kind.remedy)
        for kind in sorted(ALARMS.values(), key=lambda kind: (SEVERITIES.index(kind.severity), kind.type))
    ]
    held("fleet.md", "alarms", table(("Type", "Severity", "Raised while", "Text", "What to do"), found), rewrite)


def test_each_refusal_of_an_order(rewrite: bool) -> None:
    found = [(f"`{kind.code}`", (kind.__doc__ or "").strip()) for kind in OrderError.__subclasses__()]
    held("fleet.md", "order refusals", table(("Code", "Why"), sorted(found)), rewrite)


def test_each_alarm_of_headquarters(rewrite: bool) -> None:
    found = [(f"`{type_}`", *told) for type_, told in OWN.items()]
    held("fleet.md", "own alarms", table(("Type", "Severity", "Text", "What to do"), found), rewrite)


def test_the_topics() -> None:
    documented_topics = {key.replace("TERMINAL", "till-1") for key in rows_of("fleet.md", "## Topics")}
    assert documented_topics == {
        topics.status("till-1"),
        topics.info("till-1"),
        topics.tele("till-1", "group").replace("group", "GROUP"),
        topics.alarm("till-1", "type").replace("type", "TYPE"),
        topics.batch("till-1"),
        topics.ack("till-1"),
        topics.recall("till-1"),
        topics.replay("till-1"),
        topics.order("till-1", "kind", "ID").replace("kind", "ORDER"),
        topics.result("till-1", "kind", "ID").replace("kind", "ORDER"),
        topics.desired("till-1"),
        topics.reported("till-1"),
    }


class Branch:
    """A broker with the guide's access list, a collector, and a terminal with one device that sells one item."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        self.folder = folder
        self.broker = broker
        self.told: dict[str, dict[str, object]] = {}
        """The first message of each topic."""
        self.states: list[bytes] = []
        self._watcher = self.client("headquarters")
        self._watcher.on_message = self._see
        every = (topics.EVERY_TELE, topics.EVERY_INFO, topics.EVERY_ALARM, topics.EVERY_STATUS)
        self._watcher.subscribe([(topic, 1) for topic in every])
        self._watcher.loop_start()
        self._processes: list[subprocess.Popen[bytes]] = []

    def client(self, user: str) -> mqtt.Client:
        """A connection of its own to the broker."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set(user)
        client.connect("127.0.0.1", self.broker.port)
        return client

    def sell(self) -> None:
        """One sale, until headquarters has signed for it."""
        address = f"127.0.0.1:{self.broker.port}"
        key = self.output("terminald-fleet", "key", "--database", "headquarters.db").strip()
        (self.folder / "fleet.toml").write_text(
            f'broker = "mqtt://headquarters@{address}"\ndatabase = "headquarters.db"\n'
        )
        (self.folder / "terminal.toml").write_text(
            '[terminal]\nid = "till-1"\n[shop]\nname = "Shop"\n[[shop.tax]]\ncode = "A"\n'
            f'[headquarters]\nbroker = "mqtt://till-1@{address}"\nack_key = "{key}"\n'
            '[device.name]\ndriver = "scanner-serial"\npath = "none"\n'
            '[device.printer]\ndriver = "printer-escpos"\npath = "none"\n'
            '[device.drawer]\ndriver = "drawer-printer"\nprinter = "printer"\n'
        )
        (self.folder / "goods.csv").write_text("gtin,name,unit,price,tax\n4006381333931,Pen,each,1.50,A\n")
        self.output("terminald", "catalogue", "import", "--config", "terminal.toml", "goods.csv")
        self._start("terminald-fleet", "collect", "--config", "fleet.toml")
        self._start("terminald", "run", "--config", "terminal.toml")
        wait_until((self.folder / "control.sock").exists)
        self.call("sale.scan", data="4006381333931")
        self.call("sale.cash")
        wait_until(lambda: self.call("journal.status")["acknowledged_seq"] == self.call("journal.status")["seq"])

    def call(self, method: str, **params: object) -> dict[str, object]:
        answer = call_once(self.folder / "control.sock", method, params)
        assert isinstance(answer, dict)
        return answer

    def output(self, program: str, *arguments: str) -> str:
        done = subprocess.run([PROGRAMS / program, *arguments], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def end(self) -> None:
        for process in self._processes:
            process.terminate()
            process.wait(START_S_MAX)
        self._watcher.loop_stop()
        self._watcher.disconnect()

    def _start(self, program: str, *arguments: str) -> None:
        self._processes.append(
            subprocess.Popen([PROGRAMS / program, *arguments], cwd=self.folder, stderr=subprocess.DEVNULL)
        )

    def _see(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic.endswith("/status"):
            self.states.append(bytes(message.payload))
        with contextlib.suppress(ValueError):
            self.told.setdefault(message.topic, json.loads(message.payload))


def wait_until(done: Callable[[], bool], limit_s: float = START_S_MAX) -> None:
    until_s = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < until_s, "not in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def branch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Branch]:
    folder = tmp_path_factory.mktemp("branch")
    (rules,) = re.findall(r"```\n(pattern .*?)```", (DOCS / "fleet.md").read_text(), re.DOTALL)
    (folder / "access").write_text(rules)
    (folder / "access").chmod(0o600)
    with mosquitto_in(folder, f"allow_anonymous true\nacl_file {folder / 'access'}") as broker:
        running = Branch(folder, broker)
        try:
            running.sell()
            yield running
        finally:
            running.end()


@pytest.mark.xdist_group("branch")
def test_the_access_list_allows_what_is_needed(branch: Branch) -> None:
    assert json.loads(branch.output("terminald-fleet", "list", "--json", "--database", "headquarters.db"))[
        "totals"
    ] == {"EUR": 150}


@pytest.mark.xdist_group("branch")
def test_the_access_list_keeps_a_terminal_out_of_anothers_name(branch: Branch) -> None:
    intruder = branch.client("till-2")
    intruder.loop_start()
    for terminal in ("till-1", "till-2"):
        intruder.publish(topics.status(terminal), f"by {terminal}", qos=1).wait_for_publish(START_S_MAX)
    wait_until(lambda: b"by till-2" in branch.states)
    intruder.loop_stop()
    assert b"by till-1" not in branch.states


@pytest.mark.xdist_group("branch")
def test_the_columns_of_the_list(branch: Branch) -> None:
    head = branch.output("terminald-fleet", "list", "--database", "headquarters.db").splitlines()[0]
    assert ["TERMINAL", *rows_of("fleet.md", "## What headquarters holds")] == re.split(r"\s{2,}", head)


KINDS: dict[str, type | tuple[type, ...]] = {
    "text": str,
    "whole number": int,
    "number": (int, float),
    "true or false": bool,
}


def told(branch: Branch, topic: str) -> dict[str, object]:
    """What the terminal last said under a topic, flat: its keys as the guide has them, devices by NAME."""
    wait_until(lambda: topic in branch.told, 2 * START_S_MAX)
    message = branch.told[topic]
    values = message.pop("v", {})
    assert isinstance(values, dict)
    flat = {**message, **{f"v.{name}": value for name, value in values.items()}}
    found: dict[str, object] = {}
    for key, value in flat.items():
        known = re.sub(r"device_(name|printer|drawer)(?=_|$)", "device_NAME", key)
        assert type(found.setdefault(known, value)) in (type(value), type(None)) or value is None, key
    return found


@pytest.mark.xdist_group("branch")
def test_the_telemetry_is_as_documented_and_all_of_it(branch: Branch) -> None:
    documented: dict[str, dict[str, tuple[str, ...]]] = {}
    for line in part("fleet.md", "telemetry").splitlines()[2:]:
        topic, key, *more = (code(cell.strip()) for cell in line.strip("|").split(" | "))
        documented.setdefault(topic.replace("TERMINAL", "till-1"), {})[key] = tuple(more)
    alarm = topics.alarm("till-1", "type").replace("type", "TYPE")
    assert documented.keys() == {
        topics.status("till-1"), topics.info("till-1"), alarm,
        *(topics.tele("till-1", group.name) for group in GROUPS),
    }  # fmt: skip
    missing = topics.alarm("till-1", "device-missing")
    keys = documented.pop(alarm)
    assert told(branch, missing).keys() == {key for key in keys if not key.startswith("v.") or key == "v.devices"}
    for topic, expected in documented.items():
        values = told(branch, topic)
        assert values.keys() == expected.keys(), topic
        for key, value in values.items():
            kind = expected[key][0].removesuffix(" or none")
            assert isinstance(value, KINDS[kind]) or (value is None and expected[key][0].endswith(" or none")), key
            assert type(value) is not bool or kind == "true or false", key
