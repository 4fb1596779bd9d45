"""MQTT 5 by hand over one blocking socket: a client that says what it likes, for proofs about what a broker allows."""

import socket
import ssl
import struct
from dataclasses import dataclass, field
from typing import Self

TIMEOUT_S = 10.0
_CONNACK, _PUBLISH, _PUBACK, _SUBACK, _PINGRESP, _DISCONNECT = 2, 3, 4, 9, 13, 14


class Refused(Exception):
    """The other side did not let us in."""


@dataclass(slots=True)
class Client:
    """One connection. `got` gathers what came on topics: (topic, payload)."""

    sock: socket.socket
    got: list[tuple[str, bytes]] = field(default_factory=list)
    _buffer: bytes = b""
    _number: int = 0

    @classmethod
    def connect(
        cls,
        port: int,
        context: ssl.SSLContext | None,
        client_id: str,
        *,
        username: str | None = None,
        will: tuple[str, bytes] | None = None,
    ) -> Self:
        """Raises Refused, whatever way it was refused."""
        sock: socket.socket | None = None
        try:
            sock = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                sock = context.wrap_socket(sock, server_hostname="127.0.0.1")
            client = cls(sock)
            flags = 0x02 | (0x2C if will else 0) | (0x80 if username is not None else 0)
            body = _text("MQTT") + bytes([5, flags]) + struct.pack(">H", 60) + b"\0" + _text(client_id)
            if will is not None:
                body += b"\0" + _text(will[0]) + struct.pack(">H", len(will[1])) + will[1]
            if username is not None:
                body += _text(username)
            client._send(0x10, body)
            kind, answer = client._read()
            if kind != _CONNACK or answer[1] != 0:
                raise Refused(f"packet {kind}, reason {answer[1]}")
        except (OSError, EOFError) as error:
            if sock is not None:
                sock.close()
            raise Refused(str(error)) from error
        except Refused:
            if sock is not None:
                sock.close()
            raise
        return client

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """By QoS 1; the broker's reason code, below 0x80 where it took it. Raises EOFError where it hung up."""
        self._number += 1
        self._send(0x32 | retain, _text(topic) + struct.pack(">H", self._number) + b"\0" + payload)
        answer = self._until(_PUBACK)
        return answer[2] if len(answer) > 2 else 0

    def subscribe(self, topic_filter: str) -> int:
        """By QoS 1; the broker's reason code. Raises EOFError where it hung up."""
        self._number += 1
        self._send(0x82, struct.pack(">H", self._number) + b"\0" + _text(topic_filter) + b"\x01")
        return self._until(_SUBACK)[-1]

    def flush(self) -> None:
        """All that the broker had for us by now is in `got`: it answers a ping after it."""
        self._send(0xC0, b"")
        self._until(_PINGRESP)

    def drop(self) -> None:
        """The connection ends without a goodbye."""
        self.sock.close()

    def _until(self, kind: int) -> bytes:
        while True:
            found, body = self._read()
            if found == kind:
                return body
            if found == _DISCONNECT:
                raise EOFError(f"the broker hung up, reason {body[0] if body else 0:#x}")

    def _send(self, first: int, body: bytes) -> None:
        size, length = len(body), b""
        while True:
            size, low = divmod(size, 128)
            length += bytes([low | (0x80 if size else 0)])
            if not size:
                break
        try:
            self.sock.sendall(bytes([first]) + length + body)
        except OSError as error:
            raise EOFError(str(error)) from error

    def _read(self) -> tuple[int, bytes]:
        first = self._take(1)[0]
        size, shift = 0, 0
        while True:
            byte = self._take(1)[0]
            size |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                break
        body = self._take(size)
        if first >> 4 == _PUBLISH:
            length = struct.unpack(">H", body[:2])[0]
            rest = body[2 + length :]
            if first & 0x06:
                number, rest = rest[:2], rest[2:]
                self._send(0x40, number)
            self.got.append((body[2 : 2 + length].decode(), rest[1 + rest[0] :]))
        return first >> 4, body

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            try:
                some = self.sock.recv(65536)
            except OSError as error:
                raise EOFError(str(error)) from error
            if not some:
                raise EOFError("the broker hung up")
            self._buffer += some
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">H", len(encoded)) + encoded
