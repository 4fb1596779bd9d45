"""The table of all that a terminal tells: topic by topic, key by key, as the guide prints it and as a reader may check it."""

from collections.abc import Iterator
from typing import NamedTuple

from core import topics
from core.alarms import KINDS
from core.telemetry import ALARM, ENVELOPE, GROUPS, INFO, STATUS, Field, Group

TERMINAL = "TERMINAL"


class Row(NamedTuple):
    """A key of a topic. `key` is a path with dots; NAME in it is a device's name. `none`: null is possible."""

    topic: str
    key: str
    kind: str
    none: bool
    unit: str
    meaning: str
    rate: str


def rows() -> Iterator[Row]:
    """All keys of all topics but those of money and of orders."""
    yield from _of(topics.status(TERMINAL), "", STATUS, "retained; on connecting and on parting")
    yield from _of(topics.info(TERMINAL), "", INFO, "retained; on connecting and on changes, every 10 s at most")
    for group in GROUPS:
        topic = topics.tele(TERMINAL, group.name)
        yield from _of(topic, "", ENVELOPE, _rate(group))
        for field in group.fields:
            yield from _of(topic, "v.", (field,), _field_rate(group, field))
    topic = topics.alarm(TERMINAL, "type").replace("/type", "/TYPE")
    yield from _of(topic, "", ALARM, "retained; when it is raised, and when its words change")
    for name, types in sorted(_params().items()):
        kind = (
            "text"
            if name in ("devices", "kind", "reason", "code", "fault", "business_day", "incident")
            else "whole number"
        )
        yield Row(topic, f"v.{name}", kind, False, "", f"of {', '.join(f'`{type_}`' for type_ in types)}", "as above")


def _of(topic: str, prefix: str, fields: tuple[Field, ...], rate: str) -> Iterator[Row]:
    for field in fields:
        yield Row(topic, prefix + field.name, field.kind, field.none, field.unit, field.meaning, rate)


def _rate(group: Group) -> str:
    return f"on changes, every {group.floor_s:g} s at most; else every {group.heartbeat_s:g} s"


def _field_rate(group: Group, field: Field) -> str:
    if field.step is None:
        return "with the others"
    unit = f" {field.unit}" if field.unit else ""
    return f"on changes of {field.step:g}{unit}" if field.step else "on changes"


def _params() -> dict[str, list[str]]:
    """What alarms' words need, to the types that have it."""
    found: dict[str, list[str]] = {}
    for kind in KINDS.values():
        for name in kind.params:
            found.setdefault(name, []).append(kind.type)
    return found
