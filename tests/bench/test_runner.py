"""The runner of proofs and benchmarks, on packages written for the occasion."""

import importlib
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import bench
import tests.proofs
from bench.registry import CannotRun, Entry, Proof, Result, Scale, at_least, at_most, cannot, entries, exactly
from bench.runner import report, run_one

HEAD = "import sys\nfrom bench.registry import CannotRun, Proof, at_most, at_least, exactly\n"

P1 = """
def run(scale):
    print("noise of a run")
    yield at_most(1.2, 1.25, part="a", what="against the floor")
    yield at_most(scale.pick(smoke=0.9, commit=1.1, release=2), 1.0, part="b")
BENCHES = [Proof(id="P1", title="a commit", parts=("a", "b"), run=run)]
"""
P2 = """
def run(scale):
    raise CannotRun("strace is not installed")
BENCHES = [Proof(id="P2", title="flushes", run=run)]
"""
P3 = """
def run(scale):
    yield at_least(1, 4)
BENCHES = [Proof(id="P3", title="group commit", run=run)]
"""
P10 = "import a_library_that_is_not_there"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A package `sums` with four modules, one a helper of no id."""
    package = tmp_path / "sums"
    package.mkdir()
    (package / "__init__.py").write_text('"""Sums."""\n')
    (package / "__main__.py").write_text(
        "import sys, sums\nfrom bench.runner import main\nsys.exit(main(sums, 'BENCHES'))\n"
    )
    (package / "helper.py").write_text("raise AssertionError('no id, so never imported')\n")
    modules = {"p1_commit": HEAD + P1, "p2_flushes": HEAD + P2, "p3_group": HEAD + P3, "p10_collector": P10}
    for name, text in modules.items():
        (package / f"{name}.py").write_text(text)
    return tmp_path


def lines(project: Path, *arguments: str) -> tuple[int, list[dict[str, object]]]:
    done = subprocess.run(
        [sys.executable, "-m", "sums", "--json", *arguments], cwd=project, capture_output=True, text=True, timeout=30
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_goal_with_two_halves_gives_two_lines(project: Path) -> None:
    assert lines(project, "--only", "P1", "--scale", "smoke") == (
        0,
        [
            {"id": "P1a", "figure": 1.2, "goal": 1.25, "holds": True},
            {"id": "P1b", "figure": 0.9, "goal": 1.0, "holds": True},
        ],
    )


def test_one_half_can_be_asked_for(project: Path) -> None:
    assert lines(project, "--only", "P1a") == (0, [{"id": "P1a", "figure": 1.2, "goal": 1.25, "holds": True}])


def test_everything_is_run_in_the_order_of_the_ids(project: Path) -> None:
    status, found = lines(project)
    assert status == 1
    assert [(line["id"], line["holds"]) for line in found] == [
        ("P1a", True),
        ("P1b", False),
        ("P2", None),
        ("P3", False),
        ("P10", False),
    ]
    assert found[2]["reason"] == "strace is not installed"
    assert found[4]["reason"] == "ModuleNotFoundError: No module named 'a_library_that_is_not_there'"


def test_what_cannot_run_is_no_failure(project: Path) -> None:
    status, found = lines(project, "--only", "P2,P1a")
    assert status == 0
    assert [line["holds"] for line in found] == [None, True]


def test_a_broken_module_fails_for_its_half_too(project: Path) -> None:
    status, found = lines(project, "--only", "P10a")
    assert (status, [line["id"] for line in found]) == (1, ["P10a"])


LATE = """
from pathlib import Path
def run(scale):
    first = not Path("ran").exists()
    Path("ran").touch()
    yield at_most(2 if first else 1, 1)
BENCHES = [Proof(id="P4", title="late once", run=run)]
"""


def test_what_was_late_once_may_be_run_again_and_what_is_wrong_is_wrong_twice(project: Path) -> None:
    (project / "sums" / "p4_late.py").write_text(HEAD + LATE)
    status, said = lines(project, "--only", "P4", "--again")
    assert (status, said[0]["holds"]) == (0, True)
    (project / "ran").unlink()
    assert lines(project, "--only", "P4")[0] == 1
    status, said = lines(project, "--only", "P3", "--again")
    assert (status, said[0]["holds"]) == (1, False)


def test_an_unknown_id_is_an_error(project: Path) -> None:
    assert lines(project, "--only", "P4") == (2, [])


def test_without_json_a_table_is_printed(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sums", "--only", "P1a,P2"], cwd=project, capture_output=True, text=True, timeout=30
    )
    assert [" ".join(line.split()) for line in done.stdout.splitlines()] == [
        "P1a holds a commit: against the floor 1.2 against 1.25",
        "P2 not run flushes strace is not installed",
    ]


def broken(scale: Scale) -> Iterable[Result]:
    yield at_most(1, 2, part="a")
    raise ZeroDivisionError("half way")


def short(scale: Scale) -> Iterable[Result]:
    yield at_least(2, 2, part="a")


def partly(scale: Scale) -> Iterable[Result]:
    yield exactly(0, 0, part="a")
    raise CannotRun("no second disk")


def twice(scale: Scale) -> Iterable[Result]:
    yield cannot("no tape", part="a")
    yield exactly("x", "x", part="a")


@pytest.mark.parametrize(
    ("run", "held"),
    [(broken, [True, False]), (short, [True, False]), (partly, [True, None]), (twice, [None, False])],
)
def test_each_half_gives_a_result_whatever_happens(
    run: Callable[[Scale], Iterable[Result]], held: list[bool | None]
) -> None:
    results = list(run_one(Proof(id="R1", title="t", parts=("a", "b"), run=run), Scale.SMOKE))
    assert [(result.part, result.holds) for result in results] == list(zip("ab", held, strict=True))


def test_an_error_after_the_last_result_is_not_lost() -> None:
    results = list(run_one(Proof(id="R1", title="t", parts=("a",), run=broken), Scale.SMOKE))
    assert [result.holds for result in results] == [True, False]


def test_the_exit_status_is_that_of_the_results() -> None:
    out = io.StringIO()
    assert report([("R1", "t", exactly(1, 1)), ("R2", "t", cannot("why"))], as_json=True, out=out) == 0
    assert report([("R1", "t", exactly(1, 2))], as_json=False, out=out) == 1


@pytest.mark.parametrize(
    "entry",
    [*entries(bench, "BENCHES"), *entries(tests.proofs, "PROOFS")],
    ids=lambda entry: f"{entry.module}-{entry.id}",
)
def test_each_module_holds_what_its_name_says(entry: Entry) -> None:
    assert entry.load().id == entry.id
    held = {proof.id for proof in getattr(importlib.import_module(entry.module), entry.attribute)}
    announced = {each.id for each in entries(bench, "BENCHES") + entries(tests.proofs, "PROOFS")}
    assert held <= announced
