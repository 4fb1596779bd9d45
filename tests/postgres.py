"""Real PostgreSQL servers of our own, in a folder, on a Unix socket: for tests, proofs and benchmarks.

Debian keeps the server's programs out of a user's PATH, and the server refuses to run as root: it runs as the first
unprivileged user of the system that there is.
"""

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

from fleet.postgres import Postgres
from fleet.store import Server

START_TIMEOUT_S = 60
_SYNCFS_SINCE = 14
_USERS = ("postgres", "nobody")


def find_postgres() -> Path | None:
    """The folder of the newest server's programs, or None."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if folders:
        return folders[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Cluster:
    """A server of our own, made by `start`. Databases are made by `database`."""

    def __init__(self, folder: Path, options: str = "") -> None:
        programs = find_postgres()
        assert programs is not None
        self._programs = programs
        self._data = folder / "data"
        self._socket = folder
        # After a crash the server flushes its whole folder, file by file unless it is told better: many databases, minutes.
        version = programs.parent.name
        if version.isdigit() and int(version) >= _SYNCFS_SINCE:
            options += " -c recovery_init_sync_method=syncfs"
        self._options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c shared_buffers=64MB {options}"
        self._template: str | None = None
        self._user: str | None = None
        if os.getuid() == 0:
            self._user = next(name for name in _USERS if _is_there(name))
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)

    def start(self) -> None:
        """Makes the cluster where there is none, and returns once the server answers. May be called twice."""
        if (self._data / "postmaster.pid").exists():
            return
        if not self._data.exists():
            self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        log = self._socket / "server.log"
        self._run("pg_ctl", "-D", self._data, "-l", log, "-o", self._options, "-w", "-t", START_TIMEOUT_S, "start")

    def stop(self, mode: str = "fast") -> None:
        """Ends the server: ``fast``, or ``immediate``, which is a crash. May be called twice."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def database(self, name: str) -> Server:
        """A new database, of whatever name a test has."""
        name = re.sub(r"\W", "_", name.lower())[-40:] + os.urandom(4).hex()
        if self._template is None:
            self.sql("postgres", "CREATE DATABASE made_once")
            Postgres.open(self.server("made_once"), now_ms=0).close()  # a copy of it is quicker than its tables anew
            self.sql("made_once", "DELETE FROM headquarters")
            self._template = "made_once"
        self.sql("postgres", f'CREATE DATABASE "{name}" TEMPLATE {self._template}')
        return self.server(name)

    def server(self, database: str) -> Server:
        """The address of one of its databases."""
        return Server(f"postgresql://postgres@/{database}?host={quote(str(self._socket))}")

    def sql(self, database: str, statement: str) -> str:
        """What psql prints, without heads."""
        words = [
            "-X",
            "-At",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            self._socket,
            "-U",
            "postgres",
            "-d",
            database,
            "-c",
            statement,
        ]
        return self._run("psql", *words)

    def dump(self, server: Server, to: Path) -> None:
        """A backup by the server's own tool, while others write."""
        with to.open("wb") as out:
            subprocess.run(
                [self._programs / "pg_dump", "--format=custom", server.url],
                stdout=out,
                timeout=2 * START_TIMEOUT_S,
                check=True,
            )

    def restore(self, server: Server, dump: Path) -> None:
        """Puts a database back as a dump has it. Nobody may be connected."""
        name = conninfo_to_dict(server.url)["dbname"]
        self.sql("postgres", f'DROP DATABASE "{name}"')
        self.sql("postgres", f'CREATE DATABASE "{name}" TEMPLATE template0')
        with dump.open("rb") as given:
            subprocess.run(
                [self._programs / "pg_restore", "--exit-on-error", f"--dbname={server.url}"], stdin=given,
                timeout=2 * START_TIMEOUT_S, check=True,
            )  # fmt: skip

    def _run(self, program: str, *words: object) -> str:
        # A server holds on to what it is given: its output must not be a pipe that we read to the end.
        output = subprocess.PIPE if program == "psql" else subprocess.DEVNULL
        done = subprocess.run(
            [str(self._programs / program), *map(str, words)],
            stdin=subprocess.DEVNULL, stdout=output, text=True, timeout=2 * START_TIMEOUT_S, cwd="/", check=True,
            user=self._user,
        )  # fmt: skip
        return done.stdout or ""


@contextlib.contextmanager
def cluster(options: str = "") -> Iterator[Cluster]:
    """A running server, gone at the end with all that it held. A socket's path must be short: not below pytest's own."""
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as name:
        made = Cluster(Path(name), options)
        made.start()
        try:
            yield made
        finally:
            made.stop("immediate")


def need_postgres() -> None:
    """Skips the test where there is no server to be had."""
    if find_postgres() is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: postgresql)")


def _is_there(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
