"""Where devices turn up, without polling, and what to call them so that a replug changes nothing.

A `Watcher` listens to udev where there is one, and by inotify to the folders of the configured paths: a symlink that is
made anew in a container, or on the demonstration's bench, is noticed as quickly as a real plug.
"""

import asyncio
import contextlib
import ctypes
import os
import select
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from drivers.nodes import node_at

SUBSYSTEMS = ("tty", "input", "hidraw", "usbmisc", "usb")
"""Where our devices appear."""
EVENT_BYTES_MAX = 1 << 16
LOOKS_MAX = 3
UDEV_DRAIN_MAX = 256
"""udev events taken in one wake-up."""

# From <sys/inotify.h>; a symlink made, moved in, or given its rights by udev.
_IN_ATTRIB, _IN_MOVED_FROM, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE = 0x004, 0x040, 0x080, 0x100, 0x200
_IN_Q_OVERFLOW = 0x4000
_IN_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_HEADER = struct.Struct("iIII")


def identity(path: Path) -> str:
    """What names the physical device at `path` through a replug: its USB serial number, or the port it hangs at.

    Where the node is no udev device (a pty, a container), the configured path itself.
    """
    node = node_at(path)
    return node.identity if node is not None and (node.serial or node.port_path) else str(path)


def real_path(path: Path) -> str:
    """Where a path leads now, links followed as far as there are any; never fails.

    `os.path.realpath` does, where a link goes between its two looks at it.
    """
    for _ in range(LOOKS_MAX):
        with contextlib.suppress(OSError):
            return os.path.realpath(path)
    return os.path.abspath(path)


class Watcher:
    """Says when something appeared that may be one of `paths`. An async context manager, on the running loop::

        async with Watcher([path]) as watcher:
            await watcher.wait()

    With `media` the paths are where media are mounted: it then says too when something went, and when something was
    mounted or unmounted anywhere. With `removals` it says too when udev lost a device; `appeared` tells the two apart.

    Two file descriptors, three for media; no thread, no timer.
    """

    def __init__(self, paths: Iterable[Path], *, media: bool = False, removals: bool = False) -> None:
        self.appeared = False
        """Since it was last set back by its reader: something appeared, and did not only go."""
        self._paths = tuple(Path(os.path.abspath(path)) for path in paths)
        self._media = media
        self._removals = removals
        self._mounts: select.epoll | None = None
        self._mount_table = -1
        self._changed = asyncio.Event()
        self._inotify = -1
        self._names: dict[int, set[bytes]] = {}
        self._udev: Any = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            self._inotify = _libc_call("inotify_init1", _IN_FLAGS)
            loop.add_reader(self._inotify, self._on_folder)
            self._watch_folders()
        if self._media:
            self._watch_mounts()
        self._udev = None if self._media else _udev_monitor()
        if self._udev is not None:
            loop.add_reader(self._udev.fileno(), self._on_udev)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        if self._inotify >= 0:
            loop.remove_reader(self._inotify)
            os.close(self._inotify)
            self._inotify = -1
        if self._udev is not None:
            loop.remove_reader(self._udev.fileno())
            self._udev = None
        if self._mounts is not None:
            loop.remove_reader(self._mounts.fileno())
            self._mounts.close()
            os.close(self._mount_table)
            self._mounts = None

    async def wait(self) -> None:
        """Returns once something has appeared since the last call."""
        await self._changed.wait()
        self._changed.clear()

    def _on_folder(self) -> None:
        is_ours = False
        with contextlib.suppress(BlockingIOError):
            for watch, mask, name in _events(os.read(self._inotify, EVENT_BYTES_MAX)):
                if mask & _IN_Q_OVERFLOW or name in self._names.get(watch, ()):
                    is_ours = True
        if is_ours:
            self.appeared = True
            self._changed.set()
            self._watch_folders()

    def _watch_mounts(self) -> None:
        """The kernel marks its table of mounts as urgent data when it changes (proc(5), /proc/pid/mountinfo)."""
        with contextlib.suppress(OSError):
            self._mount_table = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
            self._mounts = select.epoll()
            # An epoll of its own: the loop's would find the table always readable.
            self._mounts.register(self._mount_table, select.EPOLLPRI)
            asyncio.get_running_loop().add_reader(self._mounts.fileno(), self._on_mount)

    def _on_mount(self) -> None:
        # The loop's own look at it has taken the mark away already, so there is nothing left to ask.
        assert self._mounts is not None
        self._mounts.poll(0)
        self._changed.set()

    def _on_udev(self) -> None:
        for _ in range(UDEV_DRAIN_MAX):
            try:
                device = self._udev.poll(timeout=0)
            except OSError:
                # More came than the socket holds, and some is lost: whoever waits looks for himself.
                self.appeared = True
                self._changed.set()
                return
            if device is None:
                return
            if device.action in ("add", "change", "bind"):
                self.appeared = True
                self._changed.set()
            elif self._removals and device.action == "remove":
                self._changed.set()

    def _watch_folders(self) -> None:
        """Watches the folder of each path, or the nearest one above it that exists, for the next step down the path.

        A link that is followed counts too: `/dev/serial/by-id/x` may be there while its target is not.
        """
        self._names = {}
        for path in self._paths:
            for step in _steps(path):
                with contextlib.suppress(OSError):
                    mask = _IN_ATTRIB | _IN_MOVED_TO | _IN_CREATE
                    if self._media:
                        mask |= _IN_MOVED_FROM | _IN_DELETE
                    watch = _libc_call("inotify_add_watch", self._inotify, os.fsencode(step.parent), mask)
                    self._names.setdefault(watch, set()).add(os.fsencode(step.name))


def _steps(path: Path) -> Iterator[Path]:
    """What has to appear for `path` to be openable: each missing or linked step whose folder is there."""
    for _ in range(8):  # a chain of links longer than this is none of ours
        missing = path
        while not missing.parent.is_dir() and missing.parent != missing:
            missing = missing.parent
        yield missing
        try:
            path = Path(os.path.abspath(path.parent / path.readlink()))
        except OSError:
            return  # it is no link, or not any more: whoever pulls a cable takes it away at any moment


def _events(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(watch, mask, name) of each event [inotify(7)]."""
    offset = 0
    while offset < len(data):
        watch, mask, _, length = _HEADER.unpack_from(data, offset)
        offset += _HEADER.size
        yield watch, mask, data[offset : offset + length].rstrip(b"\0")
        offset += length


def _udev_monitor() -> Any:
    """A started monitor, or None where libudev or its netlink socket is not to be had."""
    try:
        import pyudev

        monitor = pyudev.Monitor.from_netlink(pyudev.Context())
        for subsystem in SUBSYSTEMS:
            monitor.filter_by(subsystem)
        monitor.start()
    except (ImportError, OSError, ValueError):
        return None
    return monitor


def _libc_call(name: str, *arguments: object) -> int:
    result = getattr(_LIBC, name)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return int(result)


_LIBC = ctypes.CDLL(None, use_errno=True)
