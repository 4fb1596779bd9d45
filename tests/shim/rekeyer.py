"""Gives a terminal's files new keys, over the shim, by the hundred; and looks at what a killed one left.

One process (`Rekeyers`) has all modules loaded and forks: each rotation, and each look, is a process of its own. `Fault`
makes a rotation that is wrong in one way: what looks for such faults must find these.
"""

import enum
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from store.database import connect
from store.keys import DATABASES, KeyFile, Keys
from store.keys_rotate import begin, change_root, finish, is_unfinished, rekey, retire, rotate
from tests.shim.boundary import ROOT, library

KEY = "journal.key"
KILLED = -9


class Fault(enum.StrEnum):
    """One way to be wrong."""

    KEYRING_FIRST = "keyring-first"  # the keyring forgets the old keys before the files are under the new ones
    ROOT_FIRST = "root-first"  # the new root takes the old one's place before the keyring knows it


def turn(folder: Path, fault: Fault | None) -> None:
    """A rotation, or a mutant of one."""
    store = KeyFile(folder / KEY)
    match fault:
        case None:
            rotate(store)
        case Fault.KEYRING_FIRST:
            begin(store)
            ring = change_root(store)
            retire(store)
            for purpose in DATABASES:
                rekey(store, ring, purpose)
        case Fault.ROOT_FIRST:
            ring = store.open()
            root = store.root.prepare()
            store.root.adopt()
            store.ring.write(ring.renew().admit(store.root.tier, root))
            rotate(store)


def look(folder: Path, expected: dict[str, str]) -> list[str]:
    """What is wrong with a terminal's files after a rotation was cut off: as they are, and once a start has finished it."""
    store = KeyFile(folder / KEY)
    faults = []
    try:
        ring = store.open()
        for purpose in expected:
            opening = [
                generation
                for generation in ring.generations(purpose)
                if _opens(store.databases[purpose], ring.secrets[purpose, generation])
            ]
            if len(opening) != 1:
                faults.append(f"{purpose}.db is opened by {len(opening)} of {len(ring.generations(purpose))} keys")
        faults += _differing(store.load(), folder, expected, "as it was left")
        finish(store)
        keys = store.load_or_make([])
        faults += _differing(keys, folder, expected, "after a start")
        if is_unfinished(store):
            faults.append("a start leaves the rotation unfinished")
        over = [each.name for each in folder.iterdir() if each.name.endswith((".rekey", ".next", ".next.new"))]
        if over:
            faults.append(f"left over: {', '.join(over)}")
    except Exception as error:
        faults.append(f"{type(error).__name__}: {error}")
    return faults


def digests(keys: Keys, folder: Path) -> dict[str, str]:
    """All that each database holds, as a hash."""
    return {
        purpose: _digest(folder / f"{purpose}.db", getattr(keys, purpose))
        for purpose in DATABASES
        if (folder / f"{purpose}.db").exists()
    }


class Rekeyers:
    """One process that forks rotations, one at a time. Used by ``with``."""

    def __init__(self, scratch: Path) -> None:
        """`scratch` is a folder for what is said."""
        self._said = scratch / "said"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.shim.rekeyer"],
            env={**os.environ, "LD_PRELOAD": str(library()), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def turn(self, folder: Path, fault: Fault | None = None, **shim: str | int) -> tuple[int, str]:
        """Runs a rotation to its end: its status (negative for a signal), and what it said. ``at=3`` sets ``SHIM_AT``."""
        environment = {f"SHIM_{name.upper()}": str(value) for name, value in shim.items()}
        return self._order(folder, fault=fault, environment={**environment, "SHIM_DIR": str(folder.resolve())})

    def look(self, folder: Path, expected: dict[str, str]) -> list[str]:
        """`look` in a process of its own."""
        status, said = self._order(folder, expected=expected)
        return said.splitlines() if status == 0 else [f"the look ended with {status}: {said[-300:]}"]

    def _order(self, folder: Path, **order: Any) -> tuple[int, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"folder": str(folder), "said": str(self._said), **order}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the rekeyers' process ended")
        return int(answer), self._said.read_text()


def _serve() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(_child(order))
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _child(order: dict[str, Any]) -> int:
    said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    try:
        if "expected" in order:
            print("\n".join(look(Path(order["folder"]), order["expected"])), flush=True)
        else:
            os.environ.update(order["environment"])
            turn(Path(order["folder"]), Fault(order["fault"]) if order["fault"] else None)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        return 1
    return 0


def _opens(path: Path, key: bytes) -> bool:
    try:
        connect(path, key).close()
    except Exception:
        return False
    return True


def _differing(keys: Keys, folder: Path, expected: dict[str, str], when: str) -> Sequence[str]:
    found = digests(keys, folder)
    return [
        f"{when}: {name}.db is another one, or gone" for name, digest in expected.items() if found.get(name) != digest
    ]


def _digest(path: Path, key: bytes) -> str:
    connection = connect(path, key)
    try:
        digest = hashlib.sha256()
        for name, sql in connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"):
            digest.update(f"{name} {sql}".encode())
            if sql.startswith("CREATE TABLE"):
                for row in connection.execute(f'SELECT * FROM "{name}"'):
                    digest.update(repr(row).encode())
    finally:
        connection.close()
    return digest.hexdigest()


if __name__ == "__main__":
    _serve()
