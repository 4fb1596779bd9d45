"""The technician's console on a pseudo-terminal at 115200 baud, over the real commands of the terminal."""

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.credentials import PIN_DIGITS_MAX, PIN_DIGITS_MIN
from tests.brokers import Mosquitto, find_mosquitto
from ui.technician.line import columns, printable_only, wrap

WAIT_S = 20.0
OWNER = "739201"
TECHNICIAN = "481516"
CONFIG = """\
[terminal]
id = "till-3"
[shop]
name = "Corner Shop"
address = ["12 Harbour Street"]
currency = "EUR"
[[shop.tax]]
code = "A"
rate = "7.00"
[device.scanner]
driver = "scanner-serial"
path = "bench/scanner"
"""
HEADQUARTERS = """\
[headquarters]
broker = "mqtt://127.0.0.1:{port}"
ack_key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
"""


class Tty:
    """The far end of the console's line: types, and reads what is shown."""

    def __init__(self, config: Path, *options: str) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)  # as a getty may leave it
        mode = termios.tcgetattr(slave)
        mode[4] = mode[5] = termios.B115200
        termios.tcsetattr(slave, termios.TCSANOW, mode)
        self.seen = ""
        self.secret_mark = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ui.technician", "--config", str(config), *options],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no thread runs in the tests
        )  # fmt: skip
        os.close(slave)

    def type(self, text: str | bytes) -> None:
        os.write(self.master, text if isinstance(text, bytes) else text.encode())

    def until(self, pattern: str) -> str:
        """Waits for a pattern in what has not been waited for yet; gives all up to it."""
        until_s = time.monotonic() + WAIT_S
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < until_s, f"no {pattern!r} in {self.seen!r}"
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode("latin-1")
                except OSError as error:  # the other end is closed
                    raise AssertionError(f"the console ended before {pattern!r}: {self.seen!r}") from error
        shown, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return shown

    def log_in(self, role: str = "technician", pin: str = TECHNICIAN) -> None:
        self.until(r"Role, .*: ")
        self.type(f"{role}\r")
        self.until("PIN: ")
        self.type(f"{pin}\r")
        self.until("Welcome, ")
        self.until("\n> ")

    def do(self, command: str) -> str:
        """A command and what it shows, each row fit for a VT100."""
        self.type(f"{command}\r")
        shown = self.until("\n> ")
        assert all(len(row) <= 80 for row in shown.split("\r\n")), shown
        return shown

    def ended(self) -> int:
        """Waits for the end of the process; its status."""
        with contextlib.suppress(OSError):
            while select.select([self.master], [], [], 0.2)[0] or self.process.poll() is None:
                if select.select([self.master], [], [], 0.2)[0]:
                    self.seen += os.read(self.master, 65536).decode("latin-1")
        return self.process.wait(WAIT_S)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.master)
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(WAIT_S)


def terminald(config: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "terminald", *arguments, "--config", str(config)],
        input=given, capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A terminal's folder whose PINs are set."""
    folder = tmp_path_factory.mktemp("prepared")
    config = folder / "terminal.toml"
    config.write_text(CONFIG)
    for role, pin in (("owner", OWNER), ("technician", TECHNICIAN)):
        assert terminald(config, "pin", "set", "--role", role, given=f"{pin}\n").returncode == 0
    return folder


@pytest.fixture
def config(prepared: Path, tmp_path: Path) -> Path:
    """A copy of that folder for one test."""
    shutil.copytree(prepared, tmp_path / "terminal")
    return tmp_path / "terminal" / "terminal.toml"


@contextlib.contextmanager
def console(config: Path, *options: str) -> Iterator[Tty]:
    line = Tty(config, *options)
    try:
        yield line
    finally:
        line.close()


def test_the_first_start_sets_both_pins_and_echoes_none(tmp_path: Path) -> None:
    config = tmp_path / "terminal.toml"
    config.write_text(CONFIG)
    with console(config) as line:
        shown = line.until("New PIN of the owner: ")
        assert "There is no default one" in shown
        assert f"{PIN_DIGITS_MIN} to {PIN_DIGITS_MAX} digits" in " ".join(shown.split())
        for first, second, answer in (
            (OWNER, "739202", "not the same"),
            ("123456", "123456", "Refused: a PIN of one digit"),
            ("", "", "Refused: a PIN has digits only"),
            (OWNER, OWNER, "New PIN of the technician: "),
        ):
            line.type(f"{first}\r")
            shown += line.until("once more: ")
            line.type(f"{second}\r")
            shown += line.until(answer)
            if not answer.startswith("New"):
                shown += line.until("New PIN of the owner: ")
        line.type(f"{TECHNICIAN}\r")
        shown += line.until("once more: ")
        line.type(f"{TECHNICIAN}\r")
        shown += line.until("The PINs are set")
        assert not re.search(r"\d{4}", shown), shown
        line.log_in()
    assert "granted" in terminald(config, "pin", "check", "--role", "owner", given=f"{OWNER}\n").stdout


def test_where_only_the_owner_has_a_pin_the_owner_sets_the_technicians(tmp_path: Path) -> None:
    config = tmp_path / "terminal.toml"
    config.write_text(CONFIG)
    terminald(config, "pin", "set", "--role", "owner", given=f"{OWNER}\n")
    with console(config) as line:
        line.until(r"Role, .*: ")
        line.type("technician\r")
        line.until("PIN: ")
        line.type(f"{TECHNICIAN}\r")
        line.until("the owner sets it after logging in")
        line.until(r"Role, .*: ")
        line.type("owner\r")
        line.until("PIN: ")
        line.type(f"{OWNER}\r")
        line.until("New PIN of the technician: ")
        line.type(f"{TECHNICIAN}\r")
        line.until("once more: ")
        line.type(f"{TECHNICIAN}\r")
        line.until("The PINs are set")
        line.until("\n> ")
    assert "has a PIN" in terminald(config, "pin", "status", "--role", "technician").stdout


def test_five_wrong_pins_lock_the_role_for_the_right_one_too(config: Path) -> None:
    with console(config) as line:
        for left in (4, 3, 2, 1):
            line.until(r"Role, .*: ")
            line.type("\r")
            line.until("PIN: ")
            line.type("000000\r")
            shown = line.until(r"left\.")
            assert f"{left} {'try' if left == 1 else 'tries'} left" in shown
        line.until(r"Role, .*: ")
        line.type("t\r")
        line.until("PIN: ")
        line.type("000000\r")
        line.until(r"LOCKED after too many wrong PINs\. Try again in 30 minutes\.")
        line.until(r"Role, .*: ")
        line.type("technician\r")
        line.until("PIN: ")
        line.type(f"{TECHNICIAN}\r")
        line.until("LOCKED")
        line.log_in("owner", OWNER)


def test_it_answers_when_the_daemon_is_down(config: Path) -> None:
    with console(config) as line:
        line.log_in()
        shown = line.do("status")
        assert "THE DAEMON IS NOT RUNNING" in shown
        assert "till-3" in shown
        shown = line.do("devices")
        assert "THE DAEMON IS NOT RUNNING" in shown
        assert re.search(r"scanner +\w", shown)
        assert "DOES NOT WORK: device-absent" in line.do("devices test scanner")
        assert "there are:" in line.do("devices test scaner")
        assert "devices alone lists them" in line.do("devices test --help")
        assert "devices alone lists them" not in line.do("devices suggest")
        assert "no headquarters is configured" in line.do("network").replace("\r\n                    ", " ")
        assert "No answer: terminald: there is no journal" in line.do("journal verify")
        assert "No answer: terminald: there is no journal" in line.do("log 5")
        shown = line.do("help")
        for command in ("status", "devices", "network", "journal verify", "log [n]", "logout"):
            assert command in shown
        line.type("logout\r")
        assert line.ended() == 0
        assert "Goodbye" in line.seen


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
def test_it_shows_a_running_terminal_and_its_broker(config: Path, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    config.write_text(CONFIG + HEADQUARTERS.format(port=broker.port))
    with (
        subprocess.Popen(
            [sys.executable, "-m", "terminald", "run", "--config", str(config)], stderr=subprocess.DEVNULL
        ) as daemon,
        console(config) as line,
    ):
        try:
            line.log_in()
            while "The daemon runs." not in (shown := line.do("status")):
                assert daemon.poll() is None
                time.sleep(0.2)
            assert re.search(r"up +0 d 00:0", shown)
            shown = line.do("devices")
            assert "NOT RUNNING" not in shown
            assert re.search(r"scanner +\w+ +absent +device-absent", shown)
            shown = line.do("network")
            assert re.search(r"broker MQTT +[\d.]+ ms", shown)
            assert "The broker answers." in shown
            assert re.search(r"lookup +127\.0\.0\.1", shown)
            assert re.search(r"WHOLE: \d+ records, the chain is unbroken", line.do("journal verify"))
            shown = line.do("log 2")
            assert 1 <= len(re.findall(r"^ *\d+ \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", shown, re.MULTILINE)) <= 2
            broker.stop()
            shown = line.do("network")
            assert "THE BROKER DOES NOT ANSWER" in shown
        finally:
            broker.stop()
            daemon.terminate()


def test_lines_can_be_edited_and_garbage_is_survived(config: Path) -> None:
    with console(config) as line:
        line.log_in()
        assert "journal verify " in line.do("hepl\x7f\x7flp")
        assert "journal verify " in line.do("nonsense\x15help")
        assert "journal verify " in line.do("help foo\x17")
        assert "journal verify " in line.do("HELP")
        assert "There is no command foo" in line.do("foo")
        line.type("\r")
        line.until("> ")
        for noise in ("\x00\x1b[2J\xff\xfe\x80frobnicate\x07", "x" * 1000, "y" * 10_000, "\xff"):
            line.type(f"{noise}\r")
            line.until("could not be read")
            line.until("\n> ")
        assert "takes a number" in line.do("log many")
        assert "takes a number" in line.do("log 99999999999999999999")
        assert "journal verify" in line.do("journal burn")


def test_noise_on_the_line_ends_nothing(config: Path) -> None:
    noise = bytes(byte for byte in range(256) if byte not in (0x03, 0x04)) * 20
    with console(config) as line:
        assert line.until(r"Role, .*: ").isascii()
        for start in range(0, len(noise), 256):
            line.type(noise[start : start + 256])
        line.type("\r")
        line.until("could not be read")
        time.sleep(0.3)
        line.type("\x15\r")
        line.until("PIN: ")
        line.type("\r")
        line.log_in()
    tried = terminald(config, "pin", "check", "--role", "technician", "--json", given="000000\n")
    assert '"tries_left":4' in tried.stdout  # noise was never taken for a PIN


def test_ctrl_c_ends_what_runs_and_not_the_session(config: Path) -> None:
    with console(config) as line:
        line.log_in()
        line.type("half a comm\x03")
        line.until("Stopped")
        line.until("> ")
        line.type("network\r")
        line.until("network")
        time.sleep(0.05)
        line.type("\x03")
        line.until("Stopped|The broker|THE BROKER")
        line.until("> ")
        assert "journal verify" in line.do("help")


def test_ctrl_c_at_the_login_begins_anew(config: Path) -> None:
    with console(config) as line:
        line.until(r"Role, .*: ")
        line.type("\r")
        line.until("PIN: ")
        line.type("12\x03")
        line.until("Ctrl-D ends")
        line.log_in()


def test_ctrl_d_logs_out(config: Path) -> None:
    with console(config) as line:
        line.log_in()
        line.type("\x04")
        assert line.ended() == 0


def test_a_hangup_ends_the_session(config: Path) -> None:
    with console(config) as line:
        line.log_in()
        os.close(line.master)
        assert line.process.wait(WAIT_S) in (0, 128 + signal.SIGHUP)


def test_nobody_there_is_logged_out(config: Path) -> None:
    with console(config, "--idle", "0.8") as line:
        line.log_in()
        line.until("logged out")
        assert line.ended() == 0


def test_a_configuration_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    config = tmp_path / "terminal.toml"
    config.write_text(CONFIG.replace("[shop]", '[shop]\ncolour = "red"'))
    with console(config) as line:
        shown = line.until("Enter tries again")
        assert "terminal.toml:4:[shop]unknownkey'colour'" in "".join(shown.split())
        config.write_text(CONFIG)
        line.type("\r")
        line.until("New PIN of the owner: ")


def test_another_pin_needs_the_present_one(config: Path) -> None:
    with console(config) as line:
        line.log_in()
        for present, answer in (("000000", "the present PIN was wrong"), (TECHNICIAN, "Your PIN is changed")):
            line.type("pin\r")
            line.until("Present PIN of the technician: ")
            line.type(f"{present}\r")
            line.until("New PIN")
            line.type("902713\r")
            line.until("once more: ")
            line.type("902713\r")
            line.until(answer)
            line.until("> ")
    assert "granted" in terminald(config, "pin", "check", "--role", "technician", given="902713\n").stdout


def test_it_speaks_chinese_where_the_terminal_takes_utf_8(config: Path) -> None:
    with console(config, "--language", "zh") as line:

        def shown_until(text: str) -> str:
            return line.until(re.escape(text.encode().decode("latin-1"))).encode("latin-1").decode(errors="replace")

        shown_until("角色，technician（技术员）或 owner（主人）[technician]：")
        line.type("\r")
        shown_until("密码：")
        line.type("000000\r")
        shown_until("密码错误。还剩")
        shown_until("[technician]：")
        line.type("\r")
        shown_until("密码：")
        line.type(f"{TECHNICIAN}\r")
        shown_until("欢迎，technician。")
        line.until("\n> ")
        for command, expected in (
            ("help", "检查日志的每条记录"),
            ("devices", "守护进程没有运行。"),
            ("log x", "多少条记录？"),
        ):
            line.type(f"{command}\r")
            shown = line.until("\n> ").encode("latin-1").decode()
            assert expected in shown
            assert all(columns(row) <= 80 for row in shown.split("\r\n")), shown
        line.type("logout\r")
        shown_until("再见。")


def test_a_row_of_ideographs_is_broken_within_its_columns() -> None:
    text = "请清洁窗口、检查线缆，" * 12
    rows = wrap(text, 30)
    assert "".join(rows) == text
    assert all(columns(row) <= 30 for row in rows)
    assert printable_only("纸\x1b[2J\n") == "纸?[2J\n"
