"""Unix sockets as both ends of the control socket need them: long paths, stale files, and who is at the other end."""

import contextlib
import fcntl
import grp
import os
import socket
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PATH_BYTES_MAX = 107
"""What fits into ``sun_path`` (unix(7): 108 bytes with the closing NUL)."""
BACKLOG_MAX = 16
MODE = 0o660

_SO_PEERGROUPS = 59  # asm-generic/socket.h; Python has no name for it
_GROUPS_BYTES_MAX = 1024  # as much as socket.getsockopt takes: 256 groups
_PEERCRED = struct.Struct("=iII")


class SocketTaken(Exception):
    """Another daemon answers on this socket: stop it first, or give this one a socket of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who is at the other end, by the kernel: process, user, and all groups of the process."""

    pid: int
    uid: int
    gids: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may come in: root, the daemon's own user, the users named, and members of the group (None: of none)."""

    uids: frozenset[int] = frozenset()
    gid: int | None = None

    def admits(self, peer: Peer) -> bool:
        """Whether this peer may use the till."""
        return (
            peer.uid in (0, os.geteuid()) or peer.uid in self.uids or (self.gid is not None and self.gid in peer.gids)
        )


def access(group: str | None = None, uids: frozenset[int] = frozenset()) -> Access:
    """Access for the members of a group by its name. Raises ValueError when the system has no such group."""
    try:
        return Access(uids=uids, gid=None if group is None else grp.getgrnam(group).gr_gid)
    except KeyError:
        raise ValueError(f"the system has no group {group!r}: create it, or name another") from None


def peer_of(connection: socket.socket) -> Peer:
    """Who is at the other end of a connected Unix socket. Raises OSError when the kernel does not say."""
    pid, uid, gid = _PEERCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
    try:
        packed = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BYTES_MAX)
    except OSError:
        packed = b""  # It has more groups than fit: its user and first group decide.
    return Peer(pid=pid, uid=uid, gids=frozenset({gid, *struct.unpack(f"={len(packed) // 4}I", packed)}))


@contextlib.contextmanager
def address(path: Path) -> Iterator[str]:
    """A name of `path` that fits into a socket address while the block runs.

    A path that is too long is reached through its folder. Raises FileNotFoundError when that folder does not exist,
    ValueError when the file's own name is too long.
    """
    if len(os.fsencode(path)) <= PATH_BYTES_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        short = f"/proc/self/fd/{folder}/{path.name}"
        if len(os.fsencode(short)) > PATH_BYTES_MAX:
            raise ValueError(f"the socket's name {path.name!r} is too long: choose a shorter one")
        yield short
    finally:
        os.close(folder)


class Listener:
    """The one listening socket at a path. A lock beside it dies with the process, so that of two daemons which start
    at the same moment one has it."""

    def __init__(self, path: Path, gid: int | None) -> None:
        """Takes the path; a file that a killed daemon left is replaced. `gid` is the group that may connect.

        Raises SocketTaken when another daemon has it, FileExistsError when something else lies there, OSError.
        """
        self._path = path
        self._lock: int | None = _take_lock(path)
        try:
            _clear(path)
            self.socket = _listen(path, gid)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Lets go of the path and removes its file. Never raises, may be called twice."""
        lock, self._lock = self._lock, None
        if lock is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            self.socket.close()
            os.close(lock)


def _take_lock(path: Path) -> int:
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise SocketTaken(f"another daemon has {path}: stop it first, or give this one a socket of its own") from None
    return lock


def _clear(path: Path) -> None:
    """Removes a socket's file that nobody listens on any more."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} is no socket: remove it, or name another place for the control socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe, address(path) as where:
        probe.setblocking(False)
        try:
            probe.connect(where)
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass  # Its queue is full: somebody listens.
    raise SocketTaken(f"another program listens on {path}: stop it first, or give this daemon a socket of its own")


def _listen(path: Path, gid: int | None) -> socket.socket:
    """A listening socket that appears under its name only when its mode is set and it can be connected to."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        with address(new) as where:
            listener.bind(where)
        new.chmod(MODE)
        # The service's group is the file's already, and its sandbox forbids the call.
        if gid is not None and new.stat().st_gid != gid:
            os.chown(new, -1, gid)
        listener.listen(BACKLOG_MAX)
        new.rename(path)
    except BaseException:
        listener.close()
        raise
    return listener
