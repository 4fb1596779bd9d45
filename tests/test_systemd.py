"""The units, judged by systemd itself where it is installed."""

import configparser
import dataclasses
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from drivers.drawer_kicker import PULSE_MS_MAX
from drivers.nodes import SCANNERS
from fleet.config import load as load_fleet
from terminald.config import load

ROOT = Path(__file__).resolve().parent.parent
SYSTEMD = ROOT / "systemd"
UNITS = sorted(path.name for path in SYSTEMD.glob("*.service"))
PROGRAMS = "/opt/terminald/bin/"

EXPOSURE_MAX = {
    "terminald.service": 1.3,
    "terminald-counter.service": 0.6,
    "terminald-console@.service": 1.5,
    "terminald-fleet-collector.service": 1.1,
    "terminald-fleet-enrol.service": 1.2,
}
"""What `systemd-analyze security` of systemd 252 says; lower is better, unhardened is 9.2 to 9.6."""
EXPOSURE_NARROWED_MAX = {"terminald.service": 1.2, "terminald-fleet-collector.service": 1.0}
"""With drop-in/addresses.conf."""

needs_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def laid_out(folder: Path, edits: dict[str, tuple[str, str]] | None = None) -> Path:
    """The units in a folder, with programs that exist; `edits` replaces a text of a unit."""
    programs = folder / "bin"
    programs.mkdir()
    units = folder / "units"
    units.mkdir()
    for name in UNITS:
        text = (SYSTEMD / name).read_text()
        for program in set(re.findall(re.escape(PROGRAMS) + r"(\S+)", text)):
            (programs / program).write_text("#!/bin/sh\n")
            (programs / program).chmod(0o755)
        old, new = (edits or {}).get(name, ("", ""))
        assert old in text
        (units / name).write_text(text.replace(PROGRAMS, f"{programs}/").replace(old or "\0", new))
    return units


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *map(str, arguments)], capture_output=True, text=True, timeout=30
    )


def verify(units: Path) -> str:
    """What systemd has against the units; nothing where all is well."""
    paths = [units / name.replace("@.", "@ttyS0.") for name in UNITS]
    done = analyze("verify", "--man=no", *paths)
    complaints = done.stdout + done.stderr
    assert complaints or done.returncode == 0
    return complaints


@needs_analyze
def test_systemd_has_nothing_against_the_units(tmp_path: Path) -> None:
    assert verify(laid_out(tmp_path)) == ""


@needs_analyze
@pytest.mark.parametrize(
    ("unit", "old", "new", "complaint"),
    [
        ("terminald.service", "WatchdogSec=10", "WatchdogSec=soon", "Failed to parse"),
        ("terminald.service", "RestrictRealtime=", "RestrictUnrealtime=", "Unknown key"),
        ("terminald-counter.service", "terminald-counter --socket", "terminald-till --socket", "not executable"),
        ("terminald-console@.service", "StandardInput=tty", "StandardInput=teletype", "Failed to parse"),
        ("terminald-fleet-collector.service", "ExecStart=", "Exec=", "no ExecStart="),
    ],
)
def test_systemd_finds_a_broken_unit(tmp_path: Path, unit: str, old: str, new: str, complaint: str) -> None:
    assert complaint in verify(laid_out(tmp_path, {unit: (old, new)}))


def exposure(path: Path) -> float:
    done = analyze("security", "--offline=true", path)
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found.group(1))


@needs_analyze
@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_may_do_no_more_than_was_measured(tmp_path: Path, unit: str) -> None:
    units = laid_out(tmp_path)
    assert exposure(units / unit) <= EXPOSURE_MAX[unit]


@needs_analyze
@pytest.mark.parametrize("unit", EXPOSURE_NARROWED_MAX)
def test_a_list_of_addresses_narrows_a_unit(tmp_path: Path, unit: str) -> None:
    units = laid_out(tmp_path)
    with (units / unit).open("a") as file:
        file.write((SYSTEMD / "drop-in/addresses.conf").read_text())
    assert exposure(units / unit) <= EXPOSURE_NARROWED_MAX[unit]


@needs_analyze
@pytest.mark.parametrize("name", ["credential.conf", "tpm.conf"])
def test_another_source_of_the_root_key_widens_no_unit(tmp_path: Path, name: str) -> None:
    units = laid_out(tmp_path)
    for unit in ("terminald.service", "terminald-console@.service"):
        with (units / unit).open("a") as file:
            file.write((SYSTEMD / "drop-in" / name).read_text())
        assert exposure(units / unit) <= EXPOSURE_MAX[unit]
    assert verify(units) == ""


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_starts_a_program_that_is_installed(unit: str) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = [line.split(" = ")[0] for line in setup["options.entry_points"]["console_scripts"].split("\n") if line]
    started = re.findall(r"^ExecStart=(\S+)", (SYSTEMD / unit).read_text(), re.MULTILINE)
    assert len(started) == 1
    assert started[0].removeprefix(PROGRAMS) in scripts
    assert "PYTHONSAFEPATH=1" in (SYSTEMD / unit).read_text()


def test_a_pulse_is_never_cut_short() -> None:
    """The drawer's helper ends its pulse after SIGTERM: nothing may send SIGKILL sooner than a pulse lasts."""
    unit = (SYSTEMD / "terminald.service").read_text()
    assert "KillMode=control-group\n" in unit
    assert "WatchdogSignal=SIGTERM\n" in unit
    (abort_s,) = re.findall(r"^TimeoutAbortSec=(\d+)$", unit, re.MULTILINE)
    assert int(abort_s) * 1000 > 2 * PULSE_MS_MAX


def test_the_first_configuration_writes_where_the_service_may() -> None:
    config = load(SYSTEMD / "terminal.toml")
    kept = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    paths = {name: path for name, path in kept.items() if isinstance(path, Path)}
    assert paths.pop("base") == SYSTEMD
    assert paths.pop("file").parent == SYSTEMD
    assert paths.pop("socket").parent == Path("/run/terminald")
    assert {name: path.parent for name, path in paths.items()} == dict.fromkeys(paths, Path("/var/lib/terminald"))
    unit = (SYSTEMD / "terminald.service").read_text()
    assert "StateDirectory=terminald\n" in unit
    assert "RuntimeDirectory=terminald\n" in unit
    assert f"Group={config.socket_group}\n" in unit  # no other group exists for the daemon under PrivateUsers=


def test_headquarters_first_configuration_writes_where_its_service_may() -> None:
    config = load_fleet(SYSTEMD / "fleet.toml")
    assert config.brokers
    for path in (config.database, config.ack_public_key_file):
        assert isinstance(path, Path)
        assert path.parent == Path("/var/lib/terminald-fleet")
    assert "StateDirectory=terminald-fleet\n" in (SYSTEMD / "terminald-fleet-collector.service").read_text()


# --- users, folders, devices -------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not (shutil.which("systemd-sysusers") and shutil.which("systemd-tmpfiles")) or os.geteuid() != 0,
    reason="systemd-sysusers and systemd-tmpfiles are not installed, or this is not root",
)
def test_users_and_folders_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for tool, config in [("systemd-sysusers", "sysusers.d"), ("systemd-tmpfiles", "tmpfiles.d")]:
        arguments = ["--create"] if tool == "systemd-tmpfiles" else []
        done = subprocess.run(
            [tool, *arguments, f"--root={tmp_path}", str(SYSTEMD / config / "terminald.conf")],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
    users = {line.split(":")[0]: line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()}
    groups = {line.split(":")[0]: line.split(":") for line in (tmp_path / "etc/group").read_text().splitlines()}
    assert {"terminald", "terminald-screen", "terminald-fleet"} <= users.keys()
    assert groups["terminald"][3] == "terminald-screen"
    folder = (tmp_path / "etc/terminald").stat()
    assert (folder.st_uid, folder.st_gid, folder.st_mode & 0o777) == (0, int(users["terminald"][3]), 0o750)


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_runs_as_a_user_that_is_made(unit: str) -> None:
    made = re.findall(r"^u (\S+)", (SYSTEMD / "sysusers.d/terminald.conf").read_text(), re.MULTILINE)
    text = (SYSTEMD / unit).read_text()
    for key in ("User", "Group"):
        (name,) = re.findall(rf"^{key}=(\S+)", text, re.MULTILINE)
        assert name in made


RULE_MATCH = r"(ACTION|SUBSYSTEM|KERNEL|ATTRS?\{\w+\}|ENV\{\w+\})(==|!=)\"[^\"]*\""
RULE_ASSIGNMENT = r"((GROUP|MODE):=|(ENV\{\w+\}|GOTO|LABEL)=|TAG-=)\"[^\"]*\""


def test_each_udev_rule_is_well_formed() -> None:
    rules = (SYSTEMD / "70-terminald.rules").read_text()
    for line in rules.splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(rf"({RULE_MATCH}, )*{RULE_ASSIGNMENT}(, {RULE_ASSIGNMENT})*", line), line
    assert set(re.findall(r'GOTO="(\w+)"', rules)) == set(re.findall(r'LABEL="(\w+)"', rules))
    assert set(re.findall(r'GROUP:="([^"]*)"', rules)) == {"terminald"}


def test_the_makers_of_scanners_are_those_of_the_table() -> None:
    makers = tomllib.loads(SCANNERS.read_text())["maker"]
    (vendors,) = re.findall(
        r'^ATTRS\{idVendor\}!="([^"]*)"', (SYSTEMD / "70-terminald.rules").read_text(), re.MULTILINE
    )
    assert vendors.split("|") == [maker["vendor"] for maker in makers if "products" not in maker]


def test_an_adapter_that_comes_late_is_allowed() -> None:
    """DeviceAllow= is resolved when the unit starts: the modules behind its kinds must be loaded by then."""
    allowed = set(re.findall(r"^DeviceAllow=char-(\S+)", (SYSTEMD / "terminald.service").read_text(), re.MULTILINE))
    loaded = set((SYSTEMD / "modules-load.d/terminald.conf").read_text().splitlines())
    for kind, module in {"ttyUSB": "usbserial", "ttyACM": "cdc_acm", "usb": "usblp"}.items():
        assert kind in allowed
        assert module in loaded
    assert re.search(r"^After=.*systemd-modules-load", (SYSTEMD / "terminald.service").read_text(), re.MULTILINE)


def commands() -> list[list[str]]:
    """What the units start, of the programs that this checkout has."""
    found = [
        re.findall(rf"^ExecStart={PROGRAMS}(.*)", (SYSTEMD / unit).read_text(), re.MULTILINE)[0].split()
        for unit in UNITS
    ]
    (installed,) = (entry for entry in importlib.metadata.entry_points(name="terminald", group="console_scripts"))
    assert installed.dist is not None
    modules = {entry.name: entry.module for entry in installed.dist.entry_points}
    return [command for command in found if importlib.util.find_spec(modules[command[0]])]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_a_program_knows_the_options_that_its_unit_gives(command: list[str]) -> None:
    program, *words = command
    before = words[: next((index for index, word in enumerate(words) if word.startswith("-")), len(words))]
    done = subprocess.run(
        [Path(sys.executable).parent / program, *before, "--help"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    for option in (word for word in words if word.startswith("--")):
        assert option in done.stdout
