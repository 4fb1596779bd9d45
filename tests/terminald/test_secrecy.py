"""A process that holds keys leaves no core file, and nobody looks into it."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from store.keys import KeyFile
from terminald.secrecy import overwrite
from terminald.tamper import secrets_of

DIES = (
    "import os, resource, sys; from terminald.secrecy import keep_memory_private;"
    "resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2);"
    "sys.argv[1] == 'private' and keep_memory_private(); os.chdir(sys.argv[2]); os.abort()"
)


def dumped(how: str, folder: Path) -> bool:
    """Whether the kernel says that it wrote a core file of a process that ended itself by a fault."""
    pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", DIES, how, str(folder)])
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status)
    return os.WCOREDUMP(status)


def test_it_leaves_no_core_file(tmp_path: Path) -> None:
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("core files are forbidden here anyway")
    if not dumped("open", tmp_path):
        pytest.skip("the kernel writes no core files here")
    assert not dumped("private", tmp_path)


def test_none_but_root_looks_into_it() -> None:
    code = (
        "import ctypes, resource; from terminald.secrecy import PR_GET_DUMPABLE, keep_memory_private;"
        "get = ctypes.CDLL(None).prctl; before = get(PR_GET_DUMPABLE); keep_memory_private(); keep_memory_private();"
        "print(before, get(PR_GET_DUMPABLE), resource.getrlimit(resource.RLIMIT_CORE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0", "0"]


def test_a_secret_is_overwritten_where_it_lies() -> None:
    secret = os.urandom(48)
    before = id(secret)
    overwrite(secret)
    assert id(secret) == before
    assert secret == bytes(48)


def test_every_key_of_a_terminal_is_found_and_overwritten(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "journal.key").load_or_make(())
    for secret in secrets_of(keys):
        overwrite(secret)
    assert not any(any(getattr(keys, name)) for name in keys.__slots__ if isinstance(getattr(keys, name), bytes))
