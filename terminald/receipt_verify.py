"""``terminald receipt verify``: whether a receipt is genuine, offline, by the terminal's public key.

It is also the program ``terminald-verify.pyz`` that is given to strangers (``tools/receipt-verifier``), and needs Python
alone. Status 0 is genuine, 1 forged, 2 what cannot be done (the key), 3 another terminal's, 4 damaged, 5 unsigned. With
``--json`` one object: {"finding", "terminal", "epoch", "number", "total_minor", "currency", "ended"}, the last six null
where the code is damaged.
"""

import argparse
import json
import string
import sys
from collections.abc import Sequence
from pathlib import Path

from core.iso4217 import EXPONENTS
from core.receipt_code import ReceiptCode
from core.receipt_verdict import Finding, PublicKey, Verdict, judge, read_keys

CANNOT = 2
CODE_CHARACTERS_MAX = 4096
STATUS: dict[Finding, int] = {"genuine": 0, "forged": 1, "other-terminal": 3, "damaged": 4, "unsigned": 5}
_WORDS: dict[Finding, str] = {
    "genuine": "GENUINE: the terminal signed this. Compare it with what the paper says.",
    "forged": "FORGED: this key did not sign it. It was made up or altered, or another terminal printed it.",
    "other-terminal": "OTHER TERMINAL: no key of that terminal is given. Ask the shop for it.",
    "damaged": "DAMAGED: this is no whole code of a receipt. Scan it again.",
    "unsigned": "UNSIGNED: it names a receipt and proves nothing.",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command is given."""
    parser.add_argument("code", metavar="CODE", help="what the receipt's QR code says; - reads it from standard input")
    parser.add_argument(
        "--key",
        required=True,
        metavar="HEX|FILE",
        help="the terminal's public key, or a file of keys: [TERMINAL] HEX a line",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")


def verify(given: argparse.Namespace) -> int:
    """Judges one code."""
    try:
        keys = _keys(given.key)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        print(f"terminald: the key cannot be used: {reason}", file=sys.stderr)
        return CANNOT
    text = sys.stdin.read(CODE_CHARACTERS_MAX) if given.code == "-" else given.code
    verdict = judge(text.strip(), keys)
    print(json.dumps(_facts(verdict)) if given.json else "\n".join(_words(verdict)))
    return STATUS[verdict.finding]


def main(words: Sequence[str] | None = None) -> int:
    """The program for strangers."""
    parser = argparse.ArgumentParser(
        prog="terminald-verify",
        description="Whether a receipt is genuine, by the code that is printed on it.",
        epilog="status: 0 genuine, 1 forged, 2 no usable key, 3 another terminal's, 4 damaged, 5 unsigned",
    )
    arguments(parser)
    return verify(parser.parse_args(words))


def _keys(given: str) -> tuple[PublicKey, ...]:
    is_hex = all(character in string.hexdigits for character in given)
    return read_keys(given if is_hex else Path(given).read_text(encoding="utf-8"))


def _words(verdict: Verdict) -> list[str]:
    rows = [_WORDS[verdict.finding]]
    if verdict.code is not None:
        code = verdict.code
        said = [f"terminal {code.terminal}", f"receipt {code.number:06d}"]
        if code.ended:
            said += [code.ended.replace("T", " "), f"total {_amount(code)} {code.currency}"]
        rows.append(("" if verdict.finding == "genuine" else "It claims: ") + ", ".join(said))
    return rows


def _amount(code: ReceiptCode) -> str:
    places = EXPONENTS.get(code.currency, 2)
    whole, part = divmod(abs(code.total_minor), 10**places)
    sign = "-" if code.total_minor < 0 else ""
    return f"{sign}{whole:,}" + (f".{part:0{places}d}" if places else "")


def _facts(verdict: Verdict) -> dict[str, str | int | None]:
    code = verdict.code
    return {
        "finding": verdict.finding,
        "terminal": code.terminal if code else None,
        "epoch": code.epoch if code else None,
        "number": code.number if code else None,
        "total_minor": code.total_minor if code and code.ended else None,
        "currency": code.currency if code and code.ended else None,
        "ended": code.ended if code and code.ended else None,
    }


if __name__ == "__main__":
    sys.exit(main())
