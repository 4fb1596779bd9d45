"""The far end of a cable: what a simulated device holds of the pty or the TCP port that the real driver opens.

Both cables work on the running event loop, in whatever process hosts the simulated device, and have one shape:
`plug`, `unplug`, `send`, `deaf`, `close`. Unplugged looks to the driver as a pulled cable does: a hangup. A driver's
process that dies is no unplugging: the cable stays, and the next driver finds it.
"""

import asyncio
import contextlib
import os
import pty
import socket
import termios
import tty
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

READ_BYTES_MAX = 4096
UNSENT_BYTES_MAX = 1 << 16
"""What a driver that does not read can leave unsent; more is dropped, as a wire would."""

Receive = Callable[[bytes], None]


class Cable(Protocol):
    """What a simulated device needs of its cable."""

    @property
    def plugged(self) -> bool:
        """Whether a driver can open it."""

    def plug(self) -> None:
        """Makes it openable. Harmless when it is plugged in already."""

    def unplug(self) -> None:
        """Hangs up. Harmless when it is unplugged already."""

    def send(self, data: bytes) -> None:
        """Puts bytes on the wire towards the driver; drops them where nobody can get them."""

    def deaf(self, is_deaf: bool) -> None:
        """A deaf end reads nothing, so that the driver's writes come to a stop."""

    def close(self) -> None:
        """Unplugs for good. May be called twice."""


class PtyCable:
    """A pty whose slave the driver opens as a serial port, through a symlink at `link`.

    `receive` gets what the driver writes. Raw mode. The slave is held open here too: otherwise the end of the driver's
    process would give EIO at this end, and its settings would be lost.
    """

    def __init__(self, link: Path, receive: Receive) -> None:
        self.link = link
        self._receive = receive
        self._master = -1
        self._slave = -1
        self._deaf = False
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0

    @property
    def plugged(self) -> bool:
        return self._master >= 0

    def plug(self) -> None:
        if self.plugged:
            return
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        _point(self.link, os.ttyname(self._slave))
        self._listen()

    def unplug(self) -> None:
        if not self.plugged:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._master)
        loop.remove_writer(self._master)
        with contextlib.suppress(FileNotFoundError):
            self.link.unlink()
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1
        self._unsent.clear()
        self._unsent_bytes = 0

    def send(self, data: bytes) -> None:
        if not self.plugged or self._unsent_bytes + len(data) > UNSENT_BYTES_MAX:
            return
        if not self._unsent:
            data = data[_write_some(self._master, data) :]
        if data:
            self._unsent.append(data)
            self._unsent_bytes += len(data)
            asyncio.get_running_loop().add_writer(self._master, self._on_writable)

    def deaf(self, is_deaf: bool) -> None:
        self._deaf = is_deaf
        if self.plugged:
            self._listen()

    def forget(self) -> None:
        """Throws away what the driver wrote and nobody read."""
        if self.plugged:
            termios.tcflush(self._slave, termios.TCOFLUSH)
            with contextlib.suppress(BlockingIOError):
                while os.read(self._master, READ_BYTES_MAX):
                    pass

    def close(self) -> None:
        self.unplug()

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        if self._deaf:
            loop.remove_reader(self._master)
        else:
            loop.add_reader(self._master, self._on_readable)

    def _on_readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._receive(os.read(self._master, READ_BYTES_MAX))

    def _on_writable(self) -> None:
        while self._unsent:
            piece = self._unsent.popleft()
            count = _write_some(self._master, piece)
            self._unsent_bytes -= count
            if count < len(piece):
                self._unsent.appendleft(piece[count:])
                return
        asyncio.get_running_loop().remove_writer(self._master)


class TcpCable:
    """A listening TCP port on the loopback, one connection at a time as a printer's print server has it.

    `port` 0 picks a free one; it stays the same through unplugging.
    """

    def __init__(self, receive: Receive, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self.on_connect: Callable[[], None] = _nothing
        """Called when a driver has connected; what was half said on the connection before is void."""
        self._receive = receive
        self._door: socket.socket | None = None
        self._link: socket.socket | None = None
        self._deaf = False

    @property
    def plugged(self) -> bool:
        return self._door is not None

    def plug(self) -> None:
        if self._door is not None:
            return
        self._door = socket.create_server((self.host, self.port), backlog=8)
        self._door.setblocking(False)
        self.port = self._door.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._door, self._on_connect)

    def unplug(self) -> None:
        self._hang_up()
        if self._door is not None:
            asyncio.get_running_loop().remove_reader(self._door)
            self._door.close()
            self._door = None

    def send(self, data: bytes) -> None:
        if self._link is not None:
            # A loopback socket holds far more than a device ever says; what it does not take is lost, as on a wire.
            with contextlib.suppress(BlockingIOError, ConnectionError):
                self._link.send(data)

    def deaf(self, is_deaf: bool) -> None:
        self._deaf = is_deaf
        self._listen()

    def close(self) -> None:
        self.unplug()

    def _on_connect(self) -> None:
        assert self._door is not None
        with contextlib.suppress(BlockingIOError, ConnectionError):
            link, _ = self._door.accept()
            self._hang_up()
            link.setblocking(False)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._link = link
            self.on_connect()
            self._listen()

    def _listen(self) -> None:
        if self._link is None:
            return
        loop = asyncio.get_running_loop()
        if self._deaf:
            loop.remove_reader(self._link)
        else:
            loop.add_reader(self._link, self._on_readable)

    def _on_readable(self) -> None:
        assert self._link is not None
        try:
            data = self._link.recv(READ_BYTES_MAX)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data:
            self._receive(data)
        else:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._link is not None:
            asyncio.get_running_loop().remove_reader(self._link)
            self._link.close()
            self._link = None


def _point(link: Path, target: str) -> None:
    """Sets the symlink in one step, so that nobody finds half of it."""
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    fresh.symlink_to(target)
    fresh.replace(link)


def _write_some(fd: int, data: bytes) -> int:
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0


def _nothing() -> None:
    """Nobody needs to know."""
