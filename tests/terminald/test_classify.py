"""The command `terminald classify` as a process in a pipe: any bytes in, one JSON object a line out, at once."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.view import Mode

PROGRAM = [str(Path(sys.executable).parent / "terminald"), "classify"]
CONFIG = """
[terminal]
id = "till-1"
[shop]
name = "Shop"
[scan]
vouchers = ["V-"]
staff = ["STAFF:"]
loyalty = ["60064"]
[[scan.variable]]
prefix = "21"
[[scan.variable]]
prefix = "02"
value_digits = 4
value_check = true
"""


def answers(data: bytes, *arguments: str) -> list[dict[str, object]]:
    done = subprocess.run([*PROGRAM, *arguments], input=data, capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def pipe() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        yield running
        assert running.stdin is not None
        running.stdin.close()
        assert running.wait(30) == 0


def test_a_line_each(tmp_path: Path) -> None:
    config = tmp_path / "terminal.toml"
    config.write_text(CONFIG)
    lines = (
        b"4006381333931",
        b"]d201040063813339311726123110A17<GS>21999",
        b"]d201040063813339311726123110A17\x1d21999\r",
        b"https://id.example/01/4006381333931?17=261231",
        b"2112345012346",
        b"212345928752",
        b"V-1",
        b"STAFF:1",
        b"6006491",
        b"281234567890123456",
    )
    assert answers(b"\n".join(lines), "--config", str(config)) == [
        {"kind": "gtin", "gtin": "04006381333931"},
        *[
            {
                "kind": "gs1",
                "gtin": "04006381333931",
                "elements": {"01": "04006381333931", "17": "261231", "10": "A17", "21": "999"},
            }
        ]
        * 2,
        {"kind": "digital_link", "gtin": "04006381333931", "elements": {"01": "04006381333931", "17": "261231"}},
        {"kind": "variable_measure", "gtin": "02112345000008", "price_minor": 1234},
        {"kind": "variable_measure", "gtin": "00212345000007", "price_minor": 2875},
        {"kind": "voucher"},
        {"kind": "staff"},
        {"kind": "loyalty"},
        {"kind": "unknown", "reason": "wallet-too-early"},
    ]


def test_the_states() -> None:
    code = b"134567890123456789\n"
    assert answers(code, "--state", "tendering") == [{"kind": "wallet", "wallet": "wechat"}]
    for state in set(get_args(Mode)) - {"tendering"}:
        assert [answer["kind"] for answer in answers(code, "--state", state)] == ["unknown"]


def test_each_line_is_answered_before_the_next_comes(pipe: subprocess.Popen[bytes]) -> None:
    assert pipe.stdin is not None
    assert pipe.stdout is not None
    for code, kind in ((b"4006381333931\n", "gtin"), (b"\n", "rejected"), (b"HELLO\n", "unknown")):
        pipe.stdin.write(code)
        pipe.stdin.flush()
        assert json.loads(pipe.stdout.readline())["kind"] == kind


def test_bytes_that_are_no_text() -> None:
    lines = (b"", b"\x00", b"4006381\x00333931", b"\xff\xfe\xff", b"\xc3\x28", b"4" * 100_000, b"\x1d", b"]", b"<GS>")
    said = answers(b"\n".join(lines) + b"\n4006381333931")
    assert [answer["kind"] for answer in said] == [
        "rejected", "rejected", "rejected", "unknown", "unknown", "rejected", "rejected", "unknown", "rejected", "gtin",
    ]  # fmt: skip
    assert [answer.get("reason") for answer in said][:6] == [
        "empty", "empty", "control-characters", "not-known", "not-known", "length",
    ]  # fmt: skip


@settings(max_examples=5, deadline=None)
@given(st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"")), min_size=200, max_size=200))
def test_as_many_answers_as_lines(lines: list[bytes]) -> None:
    assert len(answers(b"".join(line + b"\n" for line in lines))) == len(lines)


def test_a_card_number_is_not_repeated() -> None:
    cards = (
        b"4111111111111111",
        b";4111111111111111=29121010123?",
        b"%B4111111111111111^DOE/J^2912101?",
        b"30569309025904",
    )
    done = subprocess.run(PROGRAM, input=b"\n".join(cards), capture_output=True, timeout=60, check=True)
    assert b"1111" not in done.stdout
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"kind": "rejected", "reason": "card-number"}
    ] * 4


def test_a_card_number_in_a_lot_is_not_repeated() -> None:
    link = b"https://example.com/01/00036000291452/10/4111111111111111"
    done = subprocess.run(PROGRAM, input=link, capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout)["elements"] == {"01": "00036000291452", "10": "************1111"}


def test_numbers_of_gs1s_own_are_told_whole() -> None:
    """Though they would pass for a card's by their digits."""
    codes = (b"]d20105449000000996", b"]C100340123450000000000", b"https://x.example/8006/054490000009960102",
             b"https://x.example/253/54490000009964111111111111111")  # fmt: skip
    assert [answer["elements"] for answer in answers(b"\n".join(codes))] == [
        {"01": "05449000000996"},
        {"00": "340123450000000000"},
        {"8006": "054490000009960102"},
        {"253": "5449000000996************1111"},
    ]


def test_a_configuration_with_faults_is_said_before_anything_else(tmp_path: Path) -> None:
    config = tmp_path / "terminal.toml"
    config.write_text(CONFIG.replace('["V-"]', '[""]').replace("value_digits = 4", "value_digits = 3"))
    done = subprocess.run(
        [*PROGRAM, "--config", str(config)], input=b"1\n", capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert b":7: [scan] vouchers" in done.stderr
    assert b"value_check is defined" in done.stderr


def test_what_it_loads() -> None:
    code = (
        "import sys; from terminald.cli import main; main(['classify']);"
        " print([name for name in ('asyncio', 'sqlcipher3', 'biip', 'cryptography') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], input=b"", capture_output=True, timeout=60, check=True)
    assert done.stdout == b"[]\n"
