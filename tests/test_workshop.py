"""The workshop itself: pure core, locked packages, import contracts, set-up."""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

IMPURE_CALLS = {"open", "input", "print", "__import__", "eval", "exec"}
IMPURE_METHODS = {"now", "utcnow", "today", "fromtimestamp", "monotonic", "time_ns", "urandom", "uuid4"}


def impurities(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of each call that asks the world for something."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name(id=name) if name in IMPURE_CALLS:
                yield node.lineno, name
            case ast.Attribute(attr=name) if name in IMPURE_METHODS:
                yield node.lineno, name
            case _:
                pass


def test_the_core_asks_the_world_for_nothing() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted((ROOT / "core").rglob("*.py"))
        for line, name in impurities(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    ["open('x')", "datetime.datetime.now(tz)", "datetime.now()", "date.today()", "import time\ntime.time_ns()"],
)
def test_a_question_to_the_world_is_found(source: str) -> None:
    assert list(impurities(source))


# --- locked packages ---------------------------------------------------------------------------------------------


def locked(name: str) -> dict[str, str]:
    """Package to version, of one lock file."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def wanted(name: str) -> set[str]:
    lines = (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
    return {re.split(r"[\[<>=; ]", line)[0] for line in lines if line and line[0] not in "#-"}


@pytest.mark.parametrize("name", ["build", "runtime", "demo", "dev", "gpio", "smartcard"])
def test_each_locked_package_is_pinned_by_hash(name: str) -> None:
    packages = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ").splitlines()
    for package in packages:
        assert re.fullmatch(r"[a-z0-9-]+==\S+( ; platform_machine == '\w+')?(\s+--hash=sha256:[0-9a-f]{64})+", package)
    assert wanted(name) <= set(locked(name))


def test_the_lists_agree() -> None:
    assert locked("runtime").items() <= locked("demo").items() <= locked("dev").items()
    assert locked("build").items() <= locked("dev").items()


def test_what_the_package_declares_is_what_is_locked() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    declared = {line for line in setup["options"]["install_requires"].splitlines() if line}
    lines = (ROOT / "requirements/runtime.in").read_text().splitlines()
    assert {line for line in lines if not line.startswith("#")} - declared == {"rpi-lgpio"}
    assert declared <= set(lines)
    assert {"rpi-lgpio", "lgpio"} == set(setup["options.extras_require"]["gpio"].split())
    assert wanted("smartcard") == set(setup["options.extras_require"]["smartcard"].split())


# --- import contracts --------------------------------------------------------------------------------------------

TREE = """core.money drivers.scanner drivers.printer drivers.codecs.gs1 store.journal terminald.cli terminald.daemon
terminald.engine terminald.forwarder terminald.client terminald.mqtt ui.merchant.app fleet.collector demo.counter"""


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("core.money", "store.journal", "floors"),
        ("store.journal", "drivers.scanner", "floors"),
        ("ui.merchant.app", "fleet.collector", "floors"),
        ("terminald.engine", "terminald.forwarder", "daemon"),
        ("terminald.mqtt", "terminald.engine", "daemon"),
        ("drivers.scanner", "drivers.printer", "drivers"),
        ("ui.merchant.app", "terminald.mqtt", "ui"),
        ("ui.merchant.app", "store.journal", "ui"),
        ("fleet.collector", "terminald.client", "fleet"),
        ("core.money", "socket", "pure-core"),
        ("store.journal", "textual.app", "headless"),
        ("terminald.cli", "rich", "headless"),
        ("ui.merchant.app", "terminald.client", None),
        ("fleet.collector", "terminald.mqtt", None),
    ],
)
def test_an_import_that_runs_back_up_is_refused(
    tmp_path: Path, module: str, imported: str, contract: str | None
) -> None:
    for name in TREE.split():
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        for parent in path.relative_to(tmp_path).parents:
            if parent != Path():
                (tmp_path / parent / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    tmp_path.joinpath(*module.split(".")).with_suffix(".py").write_text(f"import {imported}\n")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    arguments = ["--no-logo", "--no-cache"] + (["--contract", contract] if contract else [])
    done = subprocess.run(
        command + arguments,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == (1 if contract else 0), done.stdout + done.stderr
    assert ("1 broken" in done.stdout) is bool(contract), done.stdout + done.stderr


# --- set-up ------------------------------------------------------------------------------------------------------


def machine(folder: Path, **programs: str) -> dict[str, str]:
    """An environment whose PATH holds the plain tools and these programs, each a shell script."""
    for tool in ("bash", "sh", "dirname", "uname", "grep", "env", "cat"):
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    for name, script in programs.items():
        program = folder / name.replace("_", "-")
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return {"PATH": str(folder), "HOME": str(folder)}


def set_up(environment: dict[str, str], python: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "tools/set-up"), "demo"],
        env={**environment, "PYTHON": python},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_set_up_names_the_python_it_needs(tmp_path: Path) -> None:
    done = set_up(machine(tmp_path, python3='echo "Python 3.10.13"; exit 1'), "python3")
    assert done.returncode == 1
    assert "Python 3.11, 3.12 or 3.13 is needed; python3 is Python 3.10.13" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("programs", "cause"),
    [
        ({"id": "echo 1000", "apt_get": "exit 1"}, "there is no sudo here"),
        ({"id": "echo 1000", "apt_get": "exit 1", "sudo": "exit 1"}, "installing python3-venv"),
        ({"id": "echo 0"}, "there is no apt-get here"),
    ],
)
def test_set_up_names_the_remedy_where_it_may_not_install(tmp_path: Path, programs: dict[str, str], cause: str) -> None:
    without_venv = 'case "$2" in *ensurepip*) exit 1;; esac'
    done = set_up(machine(tmp_path, python3=without_venv, **programs), "python3")
    assert done.returncode == 1
    assert cause in done.stderr
    assert "as root, run: apt-get install python3-venv" in done.stderr
    assert done.stdout == ""
