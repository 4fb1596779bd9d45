"""What an installation consists of: the wheel holds all that runs, and the installer puts it into place and takes it away."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("core", "drivers", "store", "terminald", "ui", "fleet", "demo")
BUILT_FROM = (*PACKAGES, "setup.cfg", "pyproject.toml", "LICENSE")
PROGRAMS = ("terminald", "terminald-counter", "terminald-console", "terminald-fleet")


def copy(target: Path) -> Path:
    """What a wheel is built from, without anything that an earlier build left."""
    target.mkdir()
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    return target


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in the wheel, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"),
            *("--wheel-dir", folder, copy(folder / "source")),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as file:
        return file.namelist()


def kept(*patterns: str) -> set[str]:
    """The files of the packages that are under version control, or would be."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name for name in done.stdout.splitlines() if (ROOT / name).exists()}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout")
def test_the_wheel_holds_all_that_runs_and_nothing_else(wheel: list[str]) -> None:
    packed = {name for name in wheel if ".dist-info/" not in name}
    assert packed == {name for name in kept(*PACKAGES) if not name.endswith(".po")}  # .mo is what runs of it


def test_the_wheel_holds_what_is_no_python(wheel: list[str]) -> None:
    catalogues = (ROOT / "core/locale").rglob("*.mo")
    for path in [*(ROOT / "store/schema").rglob("*.sql"), *(ROOT / "fleet/schema").rglob("*.sql"), *catalogues]:
        assert str(path.relative_to(ROOT)) in wheel


# --- the installer -----------------------------------------------------------------------------------------------

FAKE_PYTHON = """#!/bin/sh
# Stands in for an interpreter: makes environments that hold copies of itself, and notes what pip is asked for.
case "$*" in
  *sys.exit*3,\\ 13*) exit "${SINCE_3_13:-0}" ;;
  *platform.machine*) echo "${MACHINE:-x86_64 64}" ;;
  *version_info*|*ensurepip*) exit 0 ;;
  -VV|--version) echo "Python 3.11.2" ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *"-m pip "*) echo "$*" >>"$LOG"; exit "${PIP_STATUS:-0}" ;;
  *importlib*) exit "${IMPORT_STATUS:-0}" ;;
  *) echo "not expected: $*" >&2; exit 9 ;;
esac
"""


class Machine:
    """A folder as the root of a machine, an interpreter that only notes, and a checkout of its own to install from."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.log = folder / "pip.log"
        self.checkout = copy(folder / "checkout")
        for name in ("tools", "requirements", "systemd"):
            shutil.copytree(ROOT / name, self.checkout / name)
        self._python = folder / "python"
        self._python.write_text(FAKE_PYTHON)
        self._python.chmod(0o755)

    def install(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        self.log.write_text("")
        return subprocess.run(
            [self.checkout / "tools/install", *arguments],
            env={
                "PATH": os.environ["PATH"],
                "PYTHON": str(self._python),
                "LOG": str(self.log),
                "DESTDIR": str(self.root),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )

    def file(self, name: str) -> Path:
        return self.root / name


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_it_says_what_it_will_do_and_does_nothing_when_only_asked(machine: Machine) -> None:
    done = machine.install("--dry-run", "--with-screen")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "what is about to be done:" in done.stderr
    assert "/etc/terminald/terminal.toml to begin with" in done.stderr
    assert not machine.root.exists()
    assert machine.log.read_text() == ""


def test_everything_lies_in_its_place(machine: Machine) -> None:
    done = machine.install()
    assert done.returncode == 0, done.stderr
    for unit in (ROOT / "systemd").glob("*.service"):
        assert machine.file(f"etc/systemd/system/{unit.name}").read_bytes() == unit.read_bytes()
    for kind in ("sysusers.d", "tmpfiles.d", "modules-load.d"):
        assert machine.file(f"etc/{kind}/terminald.conf").exists()
    assert machine.file("etc/udev/rules.d/70-terminald.rules").exists()
    config = machine.file("etc/terminald/terminal.toml")
    assert config.read_bytes() == (ROOT / "systemd/terminal.toml").read_bytes()
    assert config.stat().st_mode & 0o777 == 0o640  # it may hold the broker's password
    for program in PROGRAMS:
        assert os.readlink(machine.file(f"usr/local/bin/{program}")) == f"/opt/terminald/bin/{program}"
    assert machine.file("opt/terminald/.whole").exists()
    locks, *lists, project = machine.log.read_text().splitlines()
    assert all("--require-hashes" in line for line in (locks, *lists))
    assert "requirements/runtime.txt" in lists[0]
    assert "--no-index" in project
    assert "--editable" not in project


def test_a_second_run_changes_nothing(machine: Machine) -> None:
    machine.install()
    version = os.readlink(machine.file("opt/terminald"))
    machine.file("etc/terminald/terminal.toml").write_text("mine")
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert "is there already" in done.stderr
    assert machine.log.read_text() == ""
    assert os.readlink(machine.file("opt/terminald")) == version
    assert machine.file("etc/terminald/terminal.toml").read_text() == "mine"


def changed(machine: Machine) -> None:
    """Another version of the software in the checkout."""
    with (machine.checkout / "terminald/cli.py").open("a") as file:
        file.write("# newer\n")


def test_an_upgrade_keeps_the_version_before_and_no_older_one(machine: Machine) -> None:
    versions = []
    for _ in range(3):
        assert machine.install().returncode == 0
        versions.append(machine.file("opt/terminald").resolve().name)
        changed(machine)
    assert len(set(versions)) == 3
    assert {path.name for path in machine.file("opt/terminald-versions").iterdir()} == set(versions[1:])


@pytest.mark.parametrize("fault", ["PIP_STATUS", "IMPORT_STATUS"])
def test_an_upgrade_that_fails_leaves_the_old_version_at_work(machine: Machine, fault: str) -> None:
    machine.install()
    version = os.readlink(machine.file("opt/terminald"))
    changed(machine)
    assert machine.install(**{fault: "1"}).returncode == 1
    assert os.readlink(machine.file("opt/terminald")) == version
    assert machine.file("opt/terminald/.whole").exists()
    assert machine.install().returncode == 0  # what the failed run left is made anew
    assert os.readlink(machine.file("opt/terminald")) != version


def test_removing_it_keeps_what_was_sold_and_configured(machine: Machine) -> None:
    machine.install()
    journal = machine.file("var/lib/terminald/journal.db")
    journal.parent.mkdir(parents=True)
    journal.write_text("sales")
    own = machine.file("usr/local/bin/terminald-console")
    own.unlink()
    own.write_text("somebody else's")
    done = machine.install("--remove")
    assert done.returncode == 0, done.stderr
    left = {str(path.relative_to(machine.root)) for path in machine.root.rglob("*") if not path.is_dir()}
    assert left == {"etc/terminald/terminal.toml", "var/lib/terminald/journal.db", "usr/local/bin/terminald-console"}
    assert machine.install("--remove").returncode == 0


@pytest.mark.parametrize(
    ("environment", "how"),
    [
        ({}, None),
        ({"MACHINE": "aarch64 64"}, "--only-binary :all: -r requirements/gpio.txt"),
        (
            {"MACHINE": "aarch64 64", "SINCE_3_13": "1"},
            "--no-binary :all: --no-build-isolation -r requirements/gpio.txt",
        ),
    ],
)
def test_a_pi_gets_the_library_of_its_pins(machine: Machine, environment: dict[str, str], how: str | None) -> None:
    assert machine.install(**environment).returncode == 0
    pins = [line for line in machine.log.read_text().splitlines() if "gpio.txt" in line]
    assert len(pins) == (how is not None)
    assert how is None or how in pins[0]


def test_chip_cards_come_with_their_library_and_a_right_to_the_service(machine: Machine) -> None:
    done = machine.install("--with-smart-cards")
    assert done.returncode == 0, done.stderr
    pins = [line for line in machine.log.read_text().splitlines() if "smartcard.txt" in line]
    assert len(pins) == 1
    assert "--no-binary :all: --no-build-isolation -r requirements/smartcard.txt" in pins[0]
    rule = machine.file("etc/polkit-1/rules.d/50-terminald-pcsc.rules")
    assert 'isInGroup("terminald")' in rule.read_text()
    assert machine.install("--remove").returncode == 0
    assert not rule.exists()


def test_headquarters_has_a_configuration_of_its_own(machine: Machine) -> None:
    done = machine.install("--headquarters")
    assert done.returncode == 0, done.stderr
    assert machine.file("etc/terminald-fleet/fleet.toml").read_bytes() == (ROOT / "systemd/fleet.toml").read_bytes()
    assert not machine.file("etc/terminald").exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--with-screens"], {}, "there is no option --with-screens; there are --with-screen,"),
        (["--with-console"], {}, "such as ttyAMA0"),
        (["--with-console", "/dev/ttyAMA0"], {}, "such as ttyAMA0"),
        (["--headquarters", "--with-screen"], {}, "neither screen nor console"),
        (["--prefix-root"], {}, "--prefix-root takes a folder"),
        ([], {"MACHINE": "armv7l 32"}, "take the 64-bit Raspberry Pi OS"),
        ([], {"MACHINE": "aarch64 32"}, "take the 64-bit Raspberry Pi OS"),
    ],
)
def test_what_cannot_be_done_is_named_with_its_remedy(
    machine: Machine, arguments: list[str], environment: dict[str, str], words: str
) -> None:
    done = machine.install(*arguments, **environment)
    assert done.returncode == 1
    assert words in done.stderr
    assert not machine.root.exists()


def test_a_folder_of_somebody_else_is_left_alone(machine: Machine) -> None:
    own = machine.file("opt/terminald/notes.txt")
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    done = machine.install()
    assert done.returncode == 1
    assert "move it away first" in done.stderr
    assert own.read_text() == "mine"


def test_without_root_it_says_so(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    done = machine.install(DESTDIR="", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "this takes root: sudo make install" in done.stderr
    assert machine.log.read_text() == ""
