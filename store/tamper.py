"""The latch of the case's switch: files beside the journal that say that the case was opened, and how that ended.

``tamper.armed``     lies ready while the terminal runs; it holds the name of the next incident, and is on the medium
``tamper.latch``     the case was opened: the armed file under another name. So latching writes no data, takes no room on a
                     full medium, and is whole or not at all; the time of the incident is that of the renaming
``tamper.released``  the last order that was carried out

None of them is a secret; a key is in none of them. Who can write this folder can take the latch away, and has the card.
"""

import os
import secrets
from pathlib import Path

import msgspec

from core.orders import RELEASE_TAMPER, OrderError, OrderMisaddressed, open_order
from store.database import alone, sync_folder
from store.errors import OrderRefused, TamperLatched

_ARMED, _LATCH, _RELEASED = "tamper.armed", "tamper.latch", "tamper.released"
_INCIDENT_BYTES = 8


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """An opening of the case: its name (hex) and when it was, by the terminal's clock."""

    incident: str
    opened_ms: int


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """How an incident ended: by the order of this `counter`, in the name of `role`."""

    incident: str
    opened_ms: int
    released_ms: int
    counter: int
    role: str


class Latch:
    """The latch of the terminal whose journal is at `journal`."""

    def __init__(self, journal: Path) -> None:
        self.folder = journal.parent
        self.armed = self.folder / _ARMED
        self.latch = self.folder / _LATCH
        self._released = self.folder / _RELEASED

    def incident(self) -> Incident | None:
        """The opening that no order has ended yet."""
        try:
            text, status = self.latch.read_text("ascii", "replace"), self.latch.stat()
        except FileNotFoundError:
            return None
        # Whatever is in it, a file of this name latches: the incident of an unreadable one is named by its inode.
        name = text.strip() or f"{status.st_ino:x}"
        return Incident(incident=name[: 2 * _INCIDENT_BYTES], opened_ms=status.st_ctime_ns // 1_000_000)

    def released(self) -> Released | None:
        """How the last incident ended, where there was one."""
        try:
            return msgspec.json.decode(self._released.read_bytes(), type=Released)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def refuse_latched(self) -> None:
        """Raises TamperLatched where the case was opened."""
        if (incident := self.incident()) is not None:
            raise TamperLatched(f"the case was opened: incident {incident.incident}")

    def arm(self) -> None:
        """Lays the next incident's file ready, on the medium. Raises OSError."""
        if self.armed.exists() and self.armed.stat().st_size == 2 * _INCIDENT_BYTES:
            return
        self._write(self.armed, secrets.token_hex(_INCIDENT_BYTES).encode())

    def release(self, payload: bytes, *, terminal: str, public_key: bytes, now_ms: int) -> Released:
        """Carries out a signed order, durably. Raises OrderRefused, and OSError; the latch then stays."""
        with alone(self.folder):
            incident, last = self.incident(), self.released()
            if incident is None:
                raise OrderRefused("the case's switch is not latched: there is nothing to release")
            # An order whose carrying out was cut off is carried out again.
            counter = last.counter if last is not None and last.incident != incident.incident else 0
            try:
                order = open_order(
                    payload,
                    terminal=terminal,
                    wanted=RELEASE_TAMPER,
                    public_key=public_key,
                    now_ms=now_ms,
                    counter=counter,
                )
                if order.params.get("incident") != incident.incident:
                    raise OrderMisaddressed(f"it does not release incident {incident.incident}")
            except OrderError as error:
                raise OrderRefused(f"{error} ({error.code})") from error
            released = Released(
                incident=incident.incident,
                opened_ms=incident.opened_ms,
                released_ms=now_ms,
                counter=order.counter,
                role=order.role,
            )
            self._write(self._released, msgspec.json.encode(released))
            self.latch.unlink()
            sync_folder(self.folder)
        return released

    def _write(self, path: Path, content: bytes) -> None:
        """The file, whole, on the medium; it belongs to whoever the folder belongs to, whoever runs this."""
        draft = path.with_name(path.name + ".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, content)
            owner = self.folder.stat()
            if os.geteuid() == 0:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.replace(path)
        sync_folder(self.folder)
