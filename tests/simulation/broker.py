"""A broker of MQTT 5 on virtual time that keeps its word only as far as the standard binds it, and forgets the rest.

Each connection is a socket pair, so that both ends run their real client. Publishes are lost after their PUBACK,
doubled, delayed past each other, damaged; retained messages are forgotten at a restart; connections break, or go on and
carry nothing.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from terminald.broker import Broker, Dial

_CONNECT, _CONNACK, _PUBLISH, _PUBACK = 1, 2, 3, 4
_SUBSCRIBE, _SUBACK, _UNSUBSCRIBE, _UNSUBACK = 8, 9, 10, 11
_PINGREQ, _PINGRESP, _DISCONNECT = 12, 13, 14
_NOBODY_LISTENS = 16
_BUFFER_BYTES = 4 << 20
LATENCY_MAX_S = 0.05
LATE_MAX_S = 20.0

Hear = Callable[[str, bytes], None]


@dataclass(slots=True)
class Weather:
    """How hostile it is: chances of each publish that is handed on. All zero is a broker that works."""

    lose: float = 0.0
    double: float = 0.0
    late: float = 0.0
    damage: float = 0.0


@dataclass(slots=True)
class _Will:
    topic: str
    payload: bytes
    retain: bool


class _Plug(socket.socket):
    """One end of a socket pair, which takes what is set on a TCP socket."""

    def setsockopt(self, *arguments: object) -> None:
        """A pair has neither Nagle's algorithm nor delayed acknowledgements."""


@dataclass(slots=True, eq=False)
class _Session:
    """A client's connection, as the broker sees it."""

    name: str
    plug: socket.socket
    received: bytearray = field(default_factory=bytearray)
    filters: list[str] = field(default_factory=list)
    will: _Will | None = None
    number: int = 0
    deaf: bool = False
    last_s: float = 0.0


class HostileBroker:
    """Takes connections through `dial`. `hear` is told each publish as it came, before anything befalls it."""

    def __init__(self, chance: Random, hear: Hear = lambda topic, payload: None) -> None:
        self.weather = Weather()
        self.harmed = 0
        self._chance = chance
        self._hear = hear
        self._retained: dict[str, bytes] = {}
        self._sessions: list[_Session] = []
        self._unreachable: set[str] = set()

    # --- what befalls it ---

    def dial(self, name: str) -> Dial:
        """How the one of this name reaches the broker."""

        async def connect(_: Broker) -> socket.socket:
            await asyncio.sleep(self._chance.random() * LATENCY_MAX_S)
            if name in self._unreachable or "" in self._unreachable:
                raise ConnectionRefusedError(111, "nobody listens")
            theirs, ours = (_Plug(fileno=each.detach()) for each in socket.socketpair())
            for each in (theirs, ours):
                each.setblocking(False)
                socket.socket.setsockopt(each, socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            session = _Session(name, ours)
            self._sessions.append(session)
            asyncio.get_running_loop().add_reader(ours, self._on_readable, session)
            return theirs

        return connect

    def close(self, name: str = "") -> None:
        """Breaks the connections of one client, or of all."""
        for session in [each for each in self._sessions if name in ("", each.name)]:
            self._drop(session)

    def bar(self, name: str = "") -> None:
        """Breaks them, and lets none in until `open`."""
        self.close(name)
        self._unreachable.add(name)

    def open(self, name: str = "") -> None:
        """They may connect again."""
        self._unreachable.discard(name)

    def numb(self, name: str) -> None:
        """The client's connection stays, and carries nothing any more."""
        for session in self._sessions:
            session.deaf |= session.name == name

    def restart(self, *, forgets: bool) -> None:
        """All connections break; without its persistence it has forgotten what was retained."""
        self.close()
        if forgets:
            self._retained.clear()

    def shut(self) -> None:
        """Lets go of everything."""
        self.bar()

    # --- packets ---

    def _on_readable(self, session: _Session) -> None:
        try:
            data = session.plug.recv(_BUFFER_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(session)
        elif not session.deaf:
            session.received += data
            while session in self._sessions and (packet := _packet(session.received)) is not None:
                self._take(session, *packet)

    def _take(self, session: _Session, first: int, body: bytes) -> None:
        match first >> 4:
            case 1:
                session.will = _will(body)
                self._send(session, _CONNACK << 4, b"\x00\x00\x00")
            case 3:
                self._take_publish(session, first, body)
            case 8:
                self._subscribe(session, body)
            case 10:
                session.filters = [each for each in session.filters if each not in _filters(body, 0)]
                self._send(session, _UNSUBACK << 4, body[:2] + b"\x00\x00")
            case 12:
                self._send(session, _PINGRESP << 4, b"")
            case 14:
                session.will = None
                self._drop(session)
            case _:
                pass

    def _take_publish(self, session: _Session, first: int, body: bytes) -> None:
        topic, at = _text(body, 0)
        qos = first >> 1 & 3
        number, at = (body[at : at + 2], at + 2) if qos else (b"", at)
        length, at = _varint(body, at)
        payload = body[at + length :]
        self._hear(topic, payload)
        heard = self._publish(topic, payload, retain=bool(first & 1))
        if qos:
            self._send(session, _PUBACK << 4, number + bytes((0 if heard else _NOBODY_LISTENS, 0)))

    def _publish(self, topic: str, payload: bytes, *, retain: bool) -> bool:
        if retain and payload:
            self._retained[topic] = payload
        elif retain:
            self._retained.pop(topic, None)
        heard = [each for each in self._sessions if any(_matches(wanted, topic) for wanted in each.filters)]
        for session in heard:
            self._hand_on(session, topic, payload)
        return bool(heard)

    def _hand_on(self, session: _Session, topic: str, payload: bytes) -> None:
        weather, roll = self.weather, self._chance.random()
        if roll < weather.lose:
            self.harmed += 1
            return
        self._deliver(session, topic, payload, retained=False)
        roll = self._chance.random()
        if roll < weather.double:
            self.harmed += 1
            self._deliver(session, topic, payload, retained=False)

    def _deliver(self, session: _Session, topic: str, payload: bytes, *, retained: bool) -> None:
        if payload and self._chance.random() < self.weather.damage:
            self.harmed += 1
            at = self._chance.randrange(len(payload))
            payload = payload[:at] + bytes((payload[at] ^ 1 << self._chance.randrange(8),)) + payload[at + 1 :]
        session.number = session.number % 65_535 + 1
        name = topic.encode()
        body = len(name).to_bytes(2, "big") + name + session.number.to_bytes(2, "big") + b"\x00" + payload
        if self._chance.random() < self.weather.late:
            self.harmed += 1
            delay_s = self._chance.random() * LATE_MAX_S
            asyncio.get_running_loop().call_later(delay_s, self._write, session, _PUBLISH << 4 | 2 | retained, body)
        else:
            self._send(session, _PUBLISH << 4 | 2 | retained, body)

    def _subscribe(self, session: _Session, body: bytes) -> None:
        filters = _filters(body, 1)
        session.filters += filters
        self._send(session, _SUBACK << 4, body[:2] + b"\x00" + b"\x01" * len(filters))
        for topic, payload in list(self._retained.items()):
            if any(_matches(wanted, topic) for wanted in filters):
                self._deliver(session, topic, payload, retained=True)

    def _send(self, session: _Session, first: int, body: bytes) -> None:
        """Soon, and after all that was sent before."""
        loop = asyncio.get_running_loop()
        session.last_s = max(session.last_s, loop.time() + self._chance.random() * LATENCY_MAX_S)
        loop.call_at(session.last_s, self._write, session, first, body)

    def _write(self, session: _Session, first: int, body: bytes) -> None:
        if session not in self._sessions or session.deaf:
            return
        try:
            session.plug.send(bytes((first,)) + _length(len(body)) + body)
        except OSError:
            self._drop(session)

    def _drop(self, session: _Session) -> None:
        if session not in self._sessions:
            return
        self._sessions.remove(session)
        asyncio.get_running_loop().remove_reader(session.plug)
        session.plug.close()
        if session.will is not None:
            self._publish(session.will.topic, session.will.payload, retain=session.will.retain)


# --- MQTT 5, as far as a broker needs it: https://docs.oasis-open.org/mqtt/mqtt/v5.0/ ---------------------------------


def _packet(received: bytearray) -> tuple[int, bytes] | None:
    """The first whole packet, taken away: its first byte and its body."""
    length, shift, at = 0, 0, 1
    while True:
        if at >= len(received):
            return None
        length |= (received[at] & 0x7F) << shift
        shift += 7
        at += 1
        if received[at - 1] < 0x80:
            break
    if len(received) < at + length:
        return None
    packet = received[0], bytes(received[at : at + length])
    del received[: at + length]
    return packet


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (body[at] & 0x7F) << shift
        shift += 7
        at += 1
        if body[at - 1] < 0x80:
            return value, at


def _length(value: int) -> bytes:
    digits = bytearray()
    while True:
        value, digit = value >> 7, value & 0x7F
        digits.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(digits)


def _text(body: bytes, at: int) -> tuple[str, int]:
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    return body[at + 2 : end].decode(), end


def _will(body: bytes) -> _Will | None:
    _, at = _text(body, 0)
    flags = body[at + 1]
    length, at = _varint(body, at + 4)
    _, at = _text(body, at + length)
    if not flags & 4:
        return None
    length, at = _varint(body, at)
    topic, at = _text(body, at + length)
    return _Will(topic, body[at + 2 : at + 2 + int.from_bytes(body[at : at + 2], "big")], bool(flags & 32))


def _filters(body: bytes, options: int) -> list[str]:
    """The topic filters of a SUBSCRIBE (each with a byte of options) or an UNSUBSCRIBE."""
    length, at = _varint(body, 2)
    at += length
    found = []
    while at < len(body):
        wanted, at = _text(body, at)
        found.append(wanted)
        at += options
    return found


def _matches(wanted: str, topic: str) -> bool:
    ours, theirs = wanted.split("/"), topic.split("/")
    if ours[0] == "$share":
        ours = ours[2:]
    if ours[-1] == "#":
        return ours[:-1] == theirs[: len(ours) - 1]
    return len(ours) == len(theirs) and all(one in ("+", other) for one, other in zip(ours, theirs, strict=True))
