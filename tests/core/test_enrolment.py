"""The messages of an enrolment: what is believed, and how a person's typing is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.enrolment import (
    MESSAGE_BYTES_MAX,
    EnrolmentError,
    claim_code,
    open_trust,
    read_answer,
    read_ask,
    read_code,
    read_renew,
    seal_trust,
)
from tests.tills import make_key

KEY = make_key(1)


@given(st.binary(min_size=1, max_size=100), st.binary(min_size=32, max_size=32))
def test_a_code_is_read_as_people_write_it(public: bytes, journal: bytes) -> None:
    code = claim_code(public, journal)
    assert len(code) == 14
    written = (code, code.lower(), code.replace("-", ""), f" {code.replace('-', ' ')} ")
    assert {read_code(each) for each in written} == {code}
    assert read_code(code.replace("0", "O").replace("1", "l")) == code


@given(st.binary(min_size=91, max_size=91), st.binary(min_size=32, max_size=32), st.integers(0, 122))
def test_another_key_is_another_code(public: bytes, journal: bytes, place: int) -> None:
    both = bytearray(public + journal)
    both[place] ^= 1
    assert claim_code(bytes(both[:91]), bytes(both[91:])) != claim_code(public, journal)


@pytest.mark.parametrize("text", ["", "7KQ2", "7KQ2-M4XD-9TB!", "7KQ2-M4XD-9TBA-1", "UUUU-UUUU-UUUU"])
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(EnrolmentError, match="claim code"):
        read_code(text)


def test_trust_is_believed_for_headquarters_key_alone() -> None:
    sealed = seal_trust(b"-----AUTHORITY-----\n", KEY.sign)
    assert open_trust(sealed, KEY.public_key) == b"-----AUTHORITY-----\n"
    for payload, key in (
        (sealed, make_key(2).public_key),
        (sealed.replace(b"AUTHORITY-", b"AUTHORITY "), KEY.public_key),
        (seal_trust(b"x", lambda message: KEY.sign(message[1:])), KEY.public_key),
        (b"{}", KEY.public_key),
        (b"[" * 5_000, KEY.public_key),
        (b" " * MESSAGE_BYTES_MAX + sealed, KEY.public_key),
    ):
        with pytest.raises(EnrolmentError):
            open_trust(payload, key)


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b"[]", b"[" * 5_000, b'{"csr":1}', b"\xff", b"x" * (MESSAGE_BYTES_MAX + 1)]
)
def test_what_is_no_message_is_refused(payload: bytes) -> None:
    for read in (read_ask, read_renew, read_answer):
        with pytest.raises(EnrolmentError):
            read(payload)
