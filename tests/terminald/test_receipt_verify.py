"""A receipt is judged offline: by the command, and by the program that strangers are given, which needs Python alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from terminald.cli import main
from tests.core.test_receipt_code import CODE, KEY, OTHER, SIGNED, SIGNER

ROOT = Path(__file__).resolve().parents[2]
FORGED = SIGNED.text().replace("1234EUR", "1235EUR")
CASES = [
    (SIGNED.text(), KEY.key.hex(), 0, "GENUINE"),
    (FORGED, KEY.key.hex(), 1, "FORGED"),
    (SIGNED.text(), "ab" * 31, 2, "the key cannot be used"),
    (SIGNED.text(), "no/such/file", 2, "No such file"),
    (SIGNED.text()[:60], KEY.key.hex(), 4, "DAMAGED"),
    ("4006381333931", KEY.key.hex(), 4, "DAMAGED"),
    (CODE.text(), KEY.key.hex(), 5, "UNSIGNED"),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("stranger") / "terminald-verify.pyz"
    subprocess.run([sys.executable, ROOT / "tools" / "receipt-verifier", target], check=True, capture_output=True)
    return target


@pytest.mark.parametrize(("code", "key", "status", "word"), CASES)
def test_the_command(code: str, key: str, status: int, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["receipt", "verify", code, "--key", key]) == status
    said = capsys.readouterr()
    assert word in said.out + said.err


@pytest.mark.parametrize(("code", "key", "status", "word"), CASES)
def test_the_strangers_program(program: Path, code: str, key: str, status: int, word: str) -> None:
    """Isolated and without site packages: nothing but the standard library is there."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", program, "-", "--key", key],
        input=f"{code}\n", cwd=program.parent, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == status, done
    assert word in done.stdout + done.stderr


def test_a_file_of_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"till-4 {OTHER.public_key.hex()}\n")
    assert main(["receipt", "verify", SIGNED.text(), "--key", str(keys)]) == 3
    assert "OTHER TERMINAL" in capsys.readouterr().out
    keys.write_text(f"till-4 {OTHER.public_key.hex()}\ntill-3 {SIGNER.public_key.hex()}\n")
    assert main(["receipt", "verify", SIGNED.text(), "--json", "--key", str(keys)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "finding": "genuine",
        "terminal": "till-3",
        "epoch": CODE.epoch,
        "number": 17,
        "total_minor": 1234,
        "currency": "EUR",
        "ended": "2026-11-24T14:03",
    }


def test_what_it_says_of_the_receipt(capsys: pytest.CaptureFixture[str]) -> None:
    main(["receipt", "verify", SIGNED.text(), "--key", KEY.key.hex()])
    assert (
        capsys.readouterr().out.splitlines()[1] == "terminal till-3, receipt 000017, 2026-11-24 14:03, total 12.34 EUR"
    )


def test_what_is_not_proven_is_a_claim(capsys: pytest.CaptureFixture[str]) -> None:
    main(["receipt", "verify", FORGED, "--key", KEY.key.hex()])
    assert capsys.readouterr().out.splitlines()[1].startswith("It claims: terminal till-3, receipt 000017")


def test_the_same_source_gives_the_same_program(program: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.pyz"
    subprocess.run([sys.executable, ROOT / "tools" / "receipt-verifier", again], check=True, capture_output=True)
    assert again.read_bytes() == program.read_bytes()
