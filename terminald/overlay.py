"""Headquarters' configuration on this terminal's medium: the document in force, the one on trial, and what became of each.

Files beside the journal, each replaced whole. A document's tables take the place of those of the same name in the
terminal's own file, which nobody writes. A document on trial counts for `TRIAL_STARTS` starts; one that was not confirmed by
then is taken back by the next start, so that whatever it broke is not broken for good.
"""

import os
import tomllib
from pathlib import Path

import msgspec

from core.desired import ReportedState
from store.database import sync_folder

TRIAL_STARTS = 2
"""A power cut during the trial is not the document's fault; a second one is taken for it."""
REFUSED_MAX = 32
"""Documents that failed here and are remembered by their hashes."""
_ACTIVE, _TRIAL, _STATE = "configuration.toml", "configuration.trial.toml", "configuration.json"


class OverlayState(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the newest document that headquarters wished for (`core.desired.Reported`).

    `ready` are the devices that worked when it was put on trial, `starts` the starts since then, `refused` the hashes of
    those that failed here. `active` is the hash of the one in force, empty where there is none.
    """

    epoch: int = 0
    version: int = 0
    hash: str = ""
    state: ReportedState = "applied"
    code: str = ""
    text: str = ""
    active: str = ""
    ready: tuple[str, ...] = ()
    starts: int = 0
    refused: tuple[str, ...] = ()


class Overlay:
    """The files in a terminal's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def state(self) -> OverlayState:
        """What is known of it; of a terminal that was told nothing, nothing."""
        try:
            return msgspec.json.decode((self._folder / _STATE).read_bytes(), type=OverlayState)
        except (FileNotFoundError, msgspec.MsgspecError):
            return OverlayState()

    def document(self) -> str:
        """The document that counts now; empty where none does. Raises OSError, UnicodeDecodeError."""
        name = _TRIAL if self.state().state == "trial" else _ACTIVE
        try:
            return (self._folder / name).read_text("utf-8")
        except FileNotFoundError:
            return ""

    def note(self, state: OverlayState) -> None:
        """Keeps what became of a document that is not put in force. Raises OSError."""
        self._write(_STATE, msgspec.json.encode(state))

    def begin(self, document: str, state: OverlayState) -> None:
        """Puts a document on trial, from the next start on. Raises OSError."""
        self._write(_TRIAL, document.encode())
        self.note(msgspec.structs.replace(state, state="trial", starts=0))

    def confirm(self) -> OverlayState:
        """The document on trial is in force from now on. Raises OSError."""
        state = self.state()
        self._write(_ACTIVE, (self._folder / _TRIAL).read_bytes())
        confirmed = msgspec.structs.replace(state, state="applied", active=state.hash, ready=(), starts=0)
        self.note(confirmed)  # until then the trial's file counts: it says the same
        (self._folder / _TRIAL).unlink(missing_ok=True)
        return confirmed

    def roll_back(self, code: str, text: str) -> OverlayState:
        """What was in force before is so again, and the document is remembered as one that failed. Raises OSError."""
        state = self.state()
        back = msgspec.structs.replace(
            state, state="rolled-back", code=code, text=text, ready=(), starts=0,
            refused=(*state.refused, state.hash)[-REFUSED_MAX:],
        )  # fmt: skip
        self.note(back)
        (self._folder / _TRIAL).unlink(missing_ok=True)
        return back

    def started(self) -> bool:
        """Counts a start; True where it was one too many for a document on trial, which was taken back. Raises OSError."""
        state = self.state()
        if state.state != "trial":
            return False
        if state.starts >= TRIAL_STARTS:
            self.roll_back(
                "configuration-unhealthy", f"the terminal was started {state.starts} times and did not stay up"
            )
            return True
        self.note(msgspec.structs.replace(state, starts=state.starts + 1))
        return False

    def _write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        draft = path.with_name(name + ".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.replace(path)
        sync_folder(self._folder)


def overlay_of(file: Path) -> Overlay | None:
    """The overlay of the terminal whose own configuration is in a file; None where that cannot be read."""
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    journal = document.get("journal")
    path = journal.get("path", "journal.db") if isinstance(journal, dict) else "journal.db"
    return Overlay((file.resolve().parent / path).parent) if isinstance(path, str) and "\0" not in path else None
