"""A disk that fails under the journal, and a process that is killed: no false acknowledgement, and nothing lost.

The till and the disk's faults are real processes and real calls (`tests.shim`); `tests.proofs.r3_kill` does the same at
every call.
"""

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proofs.killing import list_calls
from tests.proofs.r3_kill import judge_till, till
from tests.shim.boundary import ROOT, Call, read_log
from tests.shim.boundary import run as run_over_shim
from tests.shim.seller import recorded

SALES = 4

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler for the shim")


def acknowledged(said: str) -> list[str]:
    return [line.removeprefix("ack ") for line in said.splitlines()]


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    """What an undisturbed till does to its folder."""
    return list_calls(till(SALES))


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_failed_flush_of_a_commit_ends_it(tmp_path: Path, calls: list[Call], which: int, number: int) -> None:
    flushes = [call.number for call in calls if call.kind == "fdatasync"]
    ended = run_over_shim(till(SALES).command(tmp_path), tmp_path, at=flushes[which], action=number)
    assert ended.returncode == 1
    assert "OutcomeUnknown" in ended.stderr
    said = acknowledged(ended.stdout)
    assert len(said) < SALES * 3
    assert judge_till(tmp_path, SALES, said) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_failed_write_of_the_log_ends_it(tmp_path: Path, calls: list[Call], number: int) -> None:
    writes = [call.number for call in calls if call.name == "journal.db-wal" and call.bytes == 4096]
    for place, at in enumerate(writes[1::5]):
        folder = tmp_path / str(place)
        folder.mkdir()
        ended = run_over_shim(till(SALES).command(folder), folder, at=at, action=number, last=1)
        assert ended.returncode == 1
        assert "OutcomeUnknown" in ended.stderr
        assert judge_till(folder, SALES, acknowledged(ended.stdout)) == []


def test_a_failed_checkpoint_is_not_kept_secret(tmp_path: Path, calls: list[Call]) -> None:
    copied = next(call.number for call in calls if call.name == "journal.db" and call.kind == "pwrite")
    ended = run_over_shim(till(SALES).command(tmp_path), tmp_path, at=copied, action=errno.EIO)
    assert "OutcomeUnknown" in ended.stderr
    assert judge_till(tmp_path, SALES, acknowledged(ended.stdout)) == []


def test_a_failure_that_nobody_waits_for_is_told(tmp_path: Path) -> None:
    folder, log = tmp_path / "terminal", tmp_path / "calls"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.shim.idler", str(folder)]
    ended = run_over_shim(command, folder, kinds="fdatasync", at=1, action=errno.EIO)
    assert ended.stdout.split() == ["journal-outcome-unknown", "journal-outcome-unknown"], ended.stderr
    well = run_over_shim(command, folder, log=str(log))
    assert well.stdout.split() == ["well", "appended"], well.stderr


def test_after_a_failed_flush_nothing_more_is_written(tmp_path: Path) -> None:
    folder, log = tmp_path / "terminal", tmp_path / "calls"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.shim.idler", str(folder)]
    run_over_shim(command, folder, log=str(log))
    flush = next(call.number for call in read_log(log) if call.kind == "fdatasync")
    shutil.rmtree(folder)
    folder.mkdir()
    log.unlink()
    run_over_shim(command, folder, log=str(log), at=flush, action=errno.EIO)
    assert [call for call in read_log(log) if call.number > flush] == []


def test_a_medium_that_fills_up(tmp_path: Path) -> None:
    """The kernel refuses to let the files grow: a checkpoint fails, and the till stops selling."""
    sales = 300

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    ended = subprocess.run(
        till(sales).command(tmp_path), capture_output=True, text=True, preexec_fn=limit, cwd=ROOT, check=False
    )
    said = acknowledged(ended.stdout)
    assert ended.returncode == 1
    assert "OutcomeUnknown" in ended.stderr
    assert 50 < len(said) < sales * 3
    assert judge_till(tmp_path, sales, said) == []


def test_kill_minus_9(tmp_path: Path) -> None:
    sales = 2_000
    with subprocess.Popen(till(sales).command(tmp_path), stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(100)]
        process.kill()
        said += process.stdout.read().splitlines(keepends=True)
    # The last line may have been cut off in the pipe.
    steps = acknowledged("".join(line for line in said if line.endswith("\n")))
    assert len(steps) >= 100
    assert recorded(tmp_path)[: len(steps)] == steps
    assert os.path.exists(tmp_path / "journal.db-wal")
    assert judge_till(tmp_path, len(steps) // 3 + 1, steps) == []
