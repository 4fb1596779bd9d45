"""MQTT 5 packets, as far as a simulated terminal needs them. No I/O. Source: MQTT Version 5.0, OASIS Standard (2019).

A client object of paho's for each of ten thousand sessions would be most of the load that is measured; these few packets
are what it would send.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 13, 14
PACKET_BYTES_MAX = 1 << 20
"""No answer to a terminal is nearly as long."""
PING = b"\xc0\x00"
GOODBYE = b"\xe0\x00"

_LENGTH_BYTES_MAX = 4


class Malformed(ValueError):
    """What came is not MQTT."""


class Packet(NamedTuple):
    """A packet as it came: its type, its flags and the bytes after its length."""

    kind: int
    flags: int
    body: bytes


class Published(NamedTuple):
    """A message to us. `packet` is 0 for QoS 0."""

    topic: str
    packet: int
    payload: bytes
    retain: bool


class Reader:
    """Cuts a stream of bytes into packets."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Packet]:
        """The packets that are whole now. Raises Malformed."""
        rest = self._rest + data if self._rest else data
        start = 0
        while (cut := _cut(rest, start)) is not None:
            begin, end = cut
            yield Packet(rest[start] >> 4, rest[start] & 15, rest[begin:end])
            start = end
        self._rest = rest[start:]


def connect(
    client_id: str, keepalive_s: int, *, username: str | None, password: str | None, will_topic: str, will: bytes
) -> bytes:
    """A first packet: a clean start, and a retained will of QoS 1."""
    flags = 0x02 | 0x04 | 0x08 | 0x20 | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    body = _text("MQTT") + bytes((5, flags)) + keepalive_s.to_bytes(2, "big") + b"\0"
    body += _text(client_id) + b"\0" + _text(will_topic) + _bytes(will)
    body += b"".join(_text(each) for each in (username, password) if each is not None)
    return _packet(0x10, body)


def subscribe(packet: int, filters: Iterable[str]) -> bytes:
    """Subscriptions of QoS 1, the first of which must be allowed."""
    return _packet(0x82, packet.to_bytes(2, "big") + b"\0" + b"".join(_text(each) + b"\x01" for each in filters))


def publish(topic: str, payload: bytes, *, packet: int = 0, retain: bool = False) -> bytes:
    """A message: of QoS 1 under the number `packet`, or of QoS 0 where that is 0."""
    number = packet.to_bytes(2, "big") if packet else b""
    return _packet(0x30 | (0x02 if packet else 0) | retain, _text(topic) + number + b"\0" + payload)


def puback(packet: int) -> bytes:
    """The acknowledgement of a message that came."""
    return _packet(0x40, packet.to_bytes(2, "big"))


def reason_of(packet: Packet) -> int:
    """The reason code of a CONNACK, PUBACK, DISCONNECT or a SUBACK's first filter; 0x80 and above is a refusal. Raises Malformed."""
    body = packet.body
    if packet.kind == CONNACK and len(body) >= 2:
        return body[1]
    if packet.kind == PUBACK and len(body) >= 2:
        return body[2] if len(body) > 2 else 0
    if packet.kind == SUBACK and (length := _length(body, 2)) is not None and sum(length) < len(body):
        return body[sum(length)]
    if packet.kind == DISCONNECT:
        return body[0] if body else 0
    raise Malformed(f"a packet of type {packet.kind} is too short")


def number_of(packet: Packet) -> int:
    """The number that a PUBACK answers."""
    return int.from_bytes(packet.body[:2], "big")


def published(packet: Packet) -> Published:
    """The message of a PUBLISH. Raises Malformed."""
    body = packet.body
    end = 2 + int.from_bytes(body[:2], "big")
    qos = packet.flags >> 1 & 3
    number_end = end + (2 if qos else 0)
    if len(body) <= number_end or qos > 1:
        raise Malformed("a message is too short, or of a QoS that was not asked for")
    length = _length(body, number_end)
    if length is None:
        raise Malformed("a message ends within its properties")
    properties, start = length
    if start + properties > len(body):
        raise Malformed("a message ends within its properties")
    try:
        topic = body[2:end].decode()
    except UnicodeDecodeError as error:
        raise Malformed("a topic is not UTF-8") from error
    return Published(
        topic, int.from_bytes(body[end:number_end], "big"), body[start + properties :], bool(packet.flags & 1)
    )


def _cut(rest: bytes, start: int) -> tuple[int, int] | None:
    """Where the first packet's body begins and ends; None where it is not whole."""
    if len(rest) - start < 2:
        return None
    length = _length(rest, start + 1)
    if length is None:
        return None
    size, begin = length
    if size > PACKET_BYTES_MAX:
        raise Malformed(f"a packet of {size} bytes")
    return (begin, begin + size) if begin + size <= len(rest) else None


def _length(data: bytes, start: int) -> tuple[int, int] | None:
    """A variable byte integer and where it ends [MQTT 5, 1.5.5]; None where it is cut off."""
    value = 0
    for index in range(_LENGTH_BYTES_MAX):
        if start + index >= len(data):
            return None
        byte = data[start + index]
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value, start + index + 1
    raise Malformed("a length of more than four bytes")


def _packet(first: int, body: bytes) -> bytes:
    head, rest = bytearray((first,)), len(body)
    while True:
        rest, byte = rest >> 7, rest & 0x7F
        head.append(byte | (0x80 if rest else 0))
        if not rest:
            return bytes(head) + body


def _text(text: str) -> bytes:
    return _bytes(text.encode())


def _bytes(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data
