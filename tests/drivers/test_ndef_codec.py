"""NDEF: the first record's text or URI, against ndeflib, and whatever else a tag may hold."""

import ndef as ndeflib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.codecs import ndef

UNHURRIED = settings(deadline=None)
"""How long an example takes is no finding on a busy machine."""
URIS = st.sampled_from(
    ["https://www.example.com/a", "tel:+3531", "urn:nfc:x", "loyalty:17", "http://x.ie", "ftp://a", ""]
)


@UNHURRIED
@given(st.text(max_size=400))
def test_text_as_ndeflib_writes_it(text: str) -> None:
    for encoding in ("UTF-8", "UTF-16"):
        message = b"".join(ndeflib.message_encoder([ndeflib.TextRecord(text, "en", encoding)]))
        assert ndef.first_text(message) == text


@UNHURRIED
@given(URIS)
def test_uri_as_ndeflib_writes_it(uri: str) -> None:
    message = b"".join(ndeflib.message_encoder([ndeflib.UriRecord(uri)]))
    assert ndef.first_text(message) == uri


@UNHURRIED
@given(st.text(max_size=400))
def test_our_text_is_what_ndeflib_reads(text: str) -> None:
    (record,) = ndeflib.message_decoder(ndef.text_message(text))
    assert (record.text, record.language) == (text, "en")


@UNHURRIED
@given(URIS)
def test_our_uri_is_what_ndeflib_reads(uri: str) -> None:
    (record,) = ndeflib.message_decoder(ndef.uri_message(uri))
    assert record.iri == uri


def test_the_first_record_counts() -> None:
    records = [ndeflib.UriRecord("https://a.ie"), ndeflib.TextRecord("second")]
    records[0].name = "with-an-id"
    assert ndef.first_text(b"".join(ndeflib.message_encoder(records))) == "https://a.ie"
    assert ndef.first_text(b"".join(ndeflib.message_encoder([ndeflib.Record("image/png", "", b"x"), *records]))) is None


@UNHURRIED
@given(st.binary(max_size=300))
def test_any_bytes_are_a_bounded_text_or_none(message: bytes) -> None:
    found = ndef.first_text(message)
    assert found is None or len(found) <= ndef.TEXT_CHARS_MAX


@UNHURRIED
@given(st.text(min_size=1, max_size=60), st.data())
def test_a_torn_message_is_none(text: str, data: st.DataObject) -> None:
    message = ndef.text_message(text)
    assert ndef.first_text(message[: data.draw(st.integers(0, len(message) - 1))]) is None


@pytest.mark.parametrize("length", [0, 252, 253, 300, ndef.TEXT_CHARS_MAX])
def test_short_and_long_records(length: int) -> None:
    assert ndef.first_text(ndef.text_message("x" * length)) == "x" * length


def test_longer_than_we_take() -> None:
    assert ndef.first_text(ndef.text_message("x" * (ndef.TEXT_CHARS_MAX + 1))) is None
