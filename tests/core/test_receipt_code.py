"""The code of a receipt: one form for one receipt, small enough for its paper, and read by the shop's own scanners."""

import datetime
import re

import pytest
import segno
from hypothesis import given, settings
from hypothesis import strategies as st

from core.iso4217 import EXPONENTS
from core.receipt_code import ReceiptCode, parse
from core.receipt_verdict import PublicKey, judge, read_keys
from core.scan import CodeRules, classify
from store.keys import TerminalSigner

SIGNER = TerminalSigner(b"terminald's own signing key, 32b")
OTHER = TerminalSigner(b"the signing key of somebody else")
KEY = PublicKey(key=SIGNER.public_key, terminal="till-3")
CODE = ReceiptCode(
    terminal="till-3",
    epoch="0123456789abcdef0123456789abcdef",
    number=17,
    total_minor=1234,
    currency="EUR",
    ended="2026-11-24T14:03",
)
SIGNED = CODE.signed(SIGNER.sign(CODE.message()))

codes = st.builds(
    ReceiptCode,
    terminal=st.from_regex(re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,10}", re.ASCII), fullmatch=True).filter(
        lambda name: sum(letter.isdigit() for letter in name) < 8
    ),
    epoch=st.binary(min_size=16, max_size=16).map(bytes.hex),
    number=st.integers(1, 10**12 - 1),
    total_minor=st.integers(-(10**12), 10**12),
    currency=st.sampled_from(sorted(EXPONENTS)),
    ended=st.datetimes(min_value=datetime.datetime(2026, 1, 1)).map(lambda at: at.isoformat()[:16]),
)


@settings(deadline=None)
@given(codes)
def test_what_is_printed_is_read_again_and_is_genuine(code: ReceiptCode) -> None:
    signed = code.signed(SIGNER.sign(code.message()))
    assert parse(code.text()) == code
    assert parse(signed.text()) == signed
    for text in (code.text(), signed.text()):
        for aim in (None, "Q1"):
            said = classify(text, aim, CodeRules())
            assert (said.kind, said.identity) == ("receipt", text)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_other_text_is_genuine(data: st.DataObject) -> None:
    """Any one character of a signed code changed: forged, or no code at all."""
    text = SIGNED.text()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda sign: sign != text[place]))
    verdict = judge(text[:place] + other + text[place + 1 :], (PublicKey(key=SIGNER.public_key),))
    assert verdict.finding in ("forged", "damaged", "unsigned")
    assert judge(text, (KEY,)).finding == "genuine"


def test_findings() -> None:
    assert judge(SIGNED.text(), (KEY,)).finding == "genuine"
    assert judge(CODE.text(), (KEY,)).finding == "unsigned"
    assert judge(CODE.signed(OTHER.sign(CODE.message())).text(), (KEY,)).finding == "forged"
    assert judge(SIGNED.text().replace("1234EUR", "1.34EUR"), (KEY,)).finding == "damaged"
    assert judge(SIGNED.text().replace("1234EUR", "9234EUR"), (KEY,)).finding == "forged"
    assert judge(SIGNED.text()[:-1], (KEY,)).finding == "damaged"
    assert judge(SIGNED.text(), (PublicKey(key=OTHER.public_key, terminal="till-4"),)).finding == "other-terminal"
    both = (PublicKey(key=OTHER.public_key, terminal="till-4"), KEY)
    assert judge(SIGNED.text(), both).finding == "genuine"
    moved = SIGNED.text().replace("till-3", "till-4")
    assert judge(moved, both).finding == "forged"


def test_a_head_of_the_chain_is_no_receipt() -> None:
    """The terminal signs other things with this key: none of them passes for a receipt."""
    untagged = CODE.text().encode()
    assert judge(CODE.signed(SIGNER.sign(untagged)).text(), (KEY,)).finding == "forged"


def test_spare_bits_of_the_last_letter_count() -> None:
    """86 letters hold 516 bits, a signature 512: four letters would say the same, and one is right."""
    text = SIGNED.text()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    readable = []
    for letter in alphabet:
        try:
            parse(text[:-1] + letter)
        except ValueError:
            continue
        readable.append(letter)
    assert text[-1] in readable
    assert len(readable) == 4


def test_it_fits_on_paper_of_58_mm() -> None:
    """48 mm are printed there, 384 dots: version 10 with modules of 6 dots is 342 wide, and the paper is its margin."""
    longest = ReceiptCode(
        terminal="t" * 20, epoch="f" * 32, number=10**7, total_minor=-(10**8), currency="EUR", ended=CODE.ended
    )
    code = segno.make_qr(longest.signed(SIGNER.sign(longest.message())).text(), error="m", boost_error=False)
    assert isinstance(code.version, int)
    assert 6 * code.symbol_size(border=0)[0] <= 384
    assert code.version <= 10


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no public key"),
        ("till-3", "line 1"),
        ("ab" * 31, "line 1"),
        (f"a b {'00' * 32}", "line 1"),
        ("# none", "no public key"),
    ],
)
def test_keys_that_are_none(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read_keys(text)


def test_keys_in_a_file() -> None:
    text = f"# the shop's tills\ntill-3 {SIGNER.public_key.hex()}\n\n{OTHER.public_key.hex()}  # any\n"
    assert read_keys(text) == (KEY, PublicKey(key=OTHER.public_key))
