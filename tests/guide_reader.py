"""Somebody else's reader: mosquitto_sub, and nothing but the guide's tables to understand what it prints.

It imports none of our code. What a terminal tells has to be found in docs/fleet.md: each topic, each key, its type.
"""

import json
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "fleet.md"
_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,), "whole number": (int,), "number": (int, float), "true or false": (bool,),
}  # fmt: skip


class Guide:
    """The tables of topics, keys and alarms."""

    def __init__(self) -> None:
        text = GUIDE.read_text()
        self.keys: dict[str, dict[str, str]] = {}
        """Topic to key to type."""
        for topic, key, type_, *_ in _table(text, "telemetry"):
            self.keys.setdefault(topic, {})[key] = type_
        self.alarms = {type_: severity for type_, severity, *_ in _table(text, "alarms")}

    def check(self, terminal: str, devices: set[str], topic: str, payload: bytes) -> None:
        """Fails where a message is not what the guide says."""
        stem, _, type_ = topic.replace(f"/{terminal}/", "/TERMINAL/", 1).rpartition("/")
        is_alarm = stem.endswith("/alarm")
        known = self.keys[f"{stem}/TYPE" if is_alarm else f"{stem}/{type_}"]
        if is_alarm:
            assert type_ in self.alarms, topic
            if not payload:
                return
        message = json.loads(payload)
        flat = {f"v.{name}": value for name, value in message.pop("v", {}).items()} | message
        for key, value in flat.items():
            self._check_value(f"{topic} {key}", _plain(key, devices), value, known)
        if is_alarm:
            assert message["severity"] == self.alarms[type_]
        required = {key for key in known if "NAME" not in key and not (is_alarm and key.startswith("v."))}
        assert required <= {_plain(key, devices) for key in flat}, topic

    def _check_value(self, place: str, key: str, value: object, known: dict[str, str]) -> None:
        assert key in known, f"the guide does not know {place}"
        type_ = known[key]
        if value is None:
            assert type_.endswith(" or none"), place
            return
        kind = type_.removesuffix(" or none")
        assert isinstance(value, _TYPES[kind]), f"{place}: {value!r} is no {kind}"
        assert isinstance(value, bool) == (kind == "true or false"), place


class Reader:
    """What mosquitto_sub printed, each line checked against the guide as it comes."""

    def __init__(self, port: int, terminal: str, devices: set[str]) -> None:
        program = shutil.which("mosquitto_sub")
        if program is None:
            pytest.skip("mosquitto_sub is not installed")
        self.faults: list[str] = []
        self.messages: list[tuple[str, bool, bytes]] = []
        """Topic under the terminal, whether it was retained, payload."""
        self._guide, self._terminal, self._devices = Guide(), terminal, devices
        filters = [
            word for what in ("status", "info", "tele/+", "alarm/+") for word in ("-t", f"pos/v1/{terminal}/{what}")
        ]
        self._process = subprocess.Popen(
            [program, "-h", "127.0.0.1", "-p", str(port), "-V", "5", *filters, "-F", "%t %r %p"], stdout=subprocess.PIPE
        )
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def last(self, what: str) -> dict[str, Any]:
        """The newest message of a topic; nothing where there is none."""
        found = [payload for topic, _, payload in self.messages if topic == what and payload]
        return dict(json.loads(found[-1])) if found else {}

    def alarms(self) -> set[str]:
        """The types that are raised now."""
        raised: set[str] = set()
        for topic, _, payload in tuple(self.messages):
            if topic.startswith("alarm/"):
                (raised.add if payload else raised.discard)(topic.removeprefix("alarm/"))
        return raised

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            topic, retained, payload = line.rstrip(b"\n").split(b" ", 2)
            try:
                self._guide.check(self._terminal, self._devices, topic.decode(), payload)
            except (AssertionError, KeyError, ValueError) as error:
                self.faults.append(f"{topic.decode()}: {error!r} in {payload[:300]!r}")
            self.messages.append((topic.decode().split("/", 3)[3], retained == b"1", payload))


def _table(text: str, name: str) -> list[list[str]]:
    found = re.search(rf"<!-- {name}: generated -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert found
    lines = [line for line in found[1].splitlines() if line.startswith("|")][2:]
    return [[re.sub(r"^`(.*)`$", r"\1", cell.strip()) for cell in line.strip("|").split(" | ")] for line in lines]


def _plain(key: str, devices: set[str]) -> str:
    """A key as the guide has it, with NAME for a device's."""
    prefix, is_device, rest = key.partition("device_")
    name = max((each for each in devices if rest == each or rest.startswith(f"{each}_")), key=len, default=None)
    return f"{prefix}device_NAME{rest[len(name) :]}" if is_device and name is not None else key
