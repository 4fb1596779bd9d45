"""JSON nested too deeply is no message, and ends nobody who takes messages."""

import msgspec
import pytest
import zstandard

from core import nesting
from core.catalogue import UpdateTorn, check_update, read_change
from core.delivery import AckError, BatchError, decode, open_ack
from core.entries import decode as decode_entry
from core.ledger import open_record
from core.orders import OrderError, open_order
from core.ports import ProtocolError
from core.recall import RecallError, open_recall
from drivers.codecs import nfc_lines
from tests.records import KEY, TERMINAL

DEEP = b"[" * 4_000


def test_it_is_an_error_like_any_other() -> None:
    decoder = msgspec.json.Decoder()
    assert nesting.decode(decoder, b'{"a":[1]}') == {"a": [1]}
    for data in (b'{"a":', b"[" * 100_000, DEEP, b'"\xff"'):
        with pytest.raises(ValueError, match=r"nested too deeply|truncated|utf-8"):
            nesting.decode(decoder, data)


def test_no_message_from_outside_ends_its_reader() -> None:
    deep_record = b'{"body":' + DEEP
    for parse in (open_record, decode_entry):  # what they do not know, they skip
        with pytest.raises(ValueError, match="nested too deeply"):
            parse(deep_record)
    with pytest.raises(AckError):
        open_ack(TERMINAL, b'{"ack":' + DEEP, KEY.public_key)
    with pytest.raises(ValueError, match="not a change"):
        read_change(b'{"op":' + DEEP)
    with pytest.raises(UpdateTorn):
        check_update([DEEP])
    with pytest.raises(BatchError):
        decode(zstandard.compress(DEEP))
    with pytest.raises(RecallError):
        open_recall(TERMINAL, b'{"body":' + DEEP, KEY.public_key)
    with pytest.raises(OrderError):
        open_order(b'{"order":' + DEEP, terminal=TERMINAL, wanted="x", public_key=KEY.public_key, now_ms=0)
    with pytest.raises(ProtocolError):
        nfc_lines.decode(b'{"type":' + DEEP)
