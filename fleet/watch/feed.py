"""How a live view gets its messages: from the broker as they come, and from the database what was there before."""

import msgspec

from core import topics
from core.alarms import SEVERITIES
from core.ports import Clock
from fleet.registry import every
from fleet.store import Address, reading
from fleet.told import Told, raised, reports, values_of
from fleet.watch.fleet import Fleet
from terminald.broker import Message
from terminald.mqtt import Connection


class Feed:
    """Hands a fleet what is published; a `terminald.uplink.User`."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock

    async def serve(self, connection: Connection, number: int) -> None:
        """Runs on one connection until cancelled. Raises MqttError."""
        for every_ in (topics.EVERY_STATUS, topics.EVERY_INFO, topics.EVERY_ALARM, topics.EVERY_TELE):
            await connection.subscribe(every_, self._on_message, qos=0)
        await connection.lost()

    def _on_message(self, message: Message) -> None:
        self._fleet.take(message.topic, message.payload, self._clock.monotonic_s(), retained=message.retain)


def recall(fleet: Fleet, address: Address) -> None:
    """What headquarters knows: sites, and what each terminal last told. Raises DatabaseError."""
    with reading(address) as statements:
        for place in every(statements):
            if place.retired_ms is None:
                seen = fleet.terminal(place.terminal)
                seen.site, seen.tags, seen.state = place.site, place.tags, place.state
        for name, told in reports(statements).items():
            if name in fleet.terminals:
                seen = fleet.terminals[name]
                seen.values = values_of(told)
                seen.info = told["info"][1] if "info" in told else {}
        for alarm in raised(statements):
            if alarm.terminal in fleet.terminals and alarm.severity in SEVERITIES:
                fleet.terminals[alarm.terminal].alarms[alarm.type] = msgspec.convert(
                    {"ts": alarm.since_ms, "since": alarm.since_ms, "severity": alarm.severity, "text": alarm.text},
                    Told,
                )
