"""nexo's messages and frames: exact bytes, exact amounts, no card number, nothing uncaught."""

import string
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import card
from core.ports import ProtocolError
from drivers.codecs import nexo

UNHURRIED = settings(deadline=None)
"""How long an example takes is no finding on a busy machine."""
TEXT = st.text(alphabet=string.ascii_letters + ' -/é€\n"', max_size=30)


def header(category: str = "Payment", message_type: str = "Request") -> nexo.MessageHeader:
    return nexo.MessageHeader(
        message_class="Service",
        message_category=category,
        message_type=message_type,
        service_id="ABCDEFGHIJ",
        sale_id="till-3",
        poi_id="POI-1",
    )


def payment(reference: str, amount_minor: int, currency: str) -> nexo.Message:
    return nexo.Message(
        message_header=header(),
        payment_request=nexo.PaymentRequest(
            sale_data=nexo.SaleData(sale_transaction_id=nexo.TransactionIdentification(transaction_id=reference)),
            payment_transaction=nexo.PaymentTransaction(
                amounts_req=nexo.AmountsReq(currency=currency, requested_amount=nexo.to_amount(amount_minor, currency))
            ),
        ),
    )


def test_a_payment_request_as_the_standard_writes_it() -> None:
    framed = nexo.frame(payment("till-3/17/1", 1234, "EUR"))
    assert int.from_bytes(framed[:4], "big") == len(framed) - 4
    assert framed[4:] == (
        b'{"SaleToPOIRequest":{"MessageHeader":{"MessageClass":"Service","MessageCategory":"Payment",'
        b'"MessageType":"Request","SaleID":"till-3","POIID":"POI-1","ServiceID":"ABCDEFGHIJ"},'
        b'"PaymentRequest":{"SaleData":{"SaleTransactionID":{"TransactionID":"till-3/17/1"}},'
        b'"PaymentTransaction":{"AmountsReq":{"Currency":"EUR","RequestedAmount":12.34}}}}}'
    )


@UNHURRIED
@given(reference=TEXT, amount_minor=st.integers(0, 10**12), currency=st.sampled_from(["EUR", "JPY", "KWD"]))
def test_what_is_written_is_read(reference: str, amount_minor: int, currency: str) -> None:
    message = payment(reference, amount_minor, currency)
    (payload,) = nexo.Deframer().feed(nexo.frame(message))
    assert nexo.decode(payload) == message


@pytest.mark.parametrize(
    ("amount_minor", "currency", "written"),
    [(1234, "EUR", "12.34"), (5, "EUR", "0.05"), (500, "JPY", "500"), (1, "KWD", "0.001")],
)
def test_amounts_by_the_currencys_exponent(amount_minor: int, currency: str, written: str) -> None:
    assert str(nexo.to_amount(amount_minor, currency)) == written
    assert nexo.to_minor(Decimal(written), currency) == amount_minor


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-1", "0.001", "1E+999999999", "1E-999999999", "1" + "0" * 20])
def test_amounts_that_are_none(amount: str) -> None:
    with pytest.raises(ProtocolError):
        nexo.to_minor(Decimal(amount), "EUR")


@UNHURRIED
@given(st.decimals())
def test_every_decimal_is_an_exact_amount_or_refused(amount: Decimal) -> None:
    try:
        minor = nexo.to_minor(amount, "EUR")
    except ProtocolError:
        return
    assert Decimal(minor).scaleb(-2) == amount


@UNHURRIED
@given(cuts=st.lists(st.integers(1, 40), max_size=60), count=st.integers(1, 4))
def test_frames_come_whole_however_they_arrive(cuts: list[int], count: int) -> None:
    payloads = [nexo.frame(payment(f"r{n}", n, "EUR"))[4:] for n in range(count)]
    stream = b"".join(len(payload).to_bytes(4, "big") + payload for payload in payloads)
    deframer = nexo.Deframer()
    found = []
    for cut in cuts:
        found += deframer.feed(stream[:cut])
        stream = stream[cut:]
    found += deframer.feed(stream)
    assert found == payloads


@pytest.mark.parametrize("length", [0, 1, nexo.FRAME_BYTES_MAX + 1, 2**32 - 1])
def test_an_impossible_length_is_refused(length: int) -> None:
    with pytest.raises(ProtocolError, match=str(length)):
        nexo.Deframer().feed(length.to_bytes(4, "big"))


@UNHURRIED
@given(st.binary(max_size=200))
def test_garbage_is_a_protocol_error_that_quotes_none_of_it(payload: bytes) -> None:
    with pytest.raises(ProtocolError) as raised:
        nexo.decode(b"{" + payload)
    assert raised.value.__context__ is None or raised.value.__suppress_context__


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["SaleToPOIResponse", "MessageHeader", "PaymentResponse", "Response", "Result", "POIData"])
            | TEXT,
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@UNHURRIED
@given(JSON)
def test_any_json_is_a_message_or_a_protocol_error(value: object) -> None:
    import json

    try:
        nexo.decode(json.dumps({"SaleToPOIResponse": value}).encode())
    except ProtocolError:
        pass


def test_deeply_nested_json_is_refused() -> None:
    with pytest.raises(ProtocolError):
        nexo.decode(b'{"SaleToPOIResponse":' + b"[" * 100_000)


def pan(body: str) -> str:
    """`body` with its check digit (ISO/IEC 7812-1, annex B)."""
    digits = [int(digit) for digit in reversed(body)]
    total = sum(sum(divmod(2 * digit, 10)) if at % 2 == 0 else digit for at, digit in enumerate(digits))
    return f"{body}{-total % 10}"


PANS = st.from_regex(r"[2-6][0-9]{11,17}", fullmatch=True).map(pan)


@UNHURRIED
@given(number=PANS, before=TEXT, after=TEXT, separator=st.sampled_from(["", " ", "-", "."]))
def test_no_card_number_survives(number: str, before: str, after: str, separator: str) -> None:
    written = separator.join(number)
    wiped = card.wipe(f"{before}{written}{after}")
    assert wiped == f"{before}{separator.join('*' * (len(number) - 4) + number[-4:])}{after}"


@UNHURRIED
@given(
    number=PANS,
    before=st.from_regex(r"[0-9]{0,30}", fullmatch=True),
    after=st.from_regex(r"[0-9]{0,30}", fullmatch=True),
)
def test_no_card_number_survives_among_other_digits(number: str, before: str, after: str) -> None:
    assert number not in card.wipe(before + number + after)


@UNHURRIED
@given(st.text(max_size=60))
def test_wiping_takes_any_text_and_settles(text: str) -> None:
    assert card.wipe(card.wipe(text)) == card.wipe(text)
    assert len(card.wipe(text)) == len(text)


@UNHURRIED
@given(number=PANS)
def test_a_decoded_message_holds_no_card_number(number: str) -> None:
    response = nexo.PaymentResponse(
        response=nexo.Response(result="Success", error_condition=number, additional_response=f"pan={number}&x=1"),
        payment_result=nexo.PaymentResult(
            payment_instrument_data=nexo.PaymentInstrumentData(
                card_data=nexo.CardData(payment_brand=number, masked_pan=number, masked_pan_too=number)
            ),
            payment_acquirer_data=nexo.PaymentAcquirerData(approval_code=number),
        ),
    )
    message = nexo.Message(message_header=header(message_type="Response"), payment_response=response)
    assert number not in repr(nexo.decode(nexo.frame(message)[4:]))


def test_a_phones_code_travels_exact_and_is_told_to_nobody() -> None:
    code = "6212345678901234569"  # by its looks a card's number
    request = nexo.PaymentRequest(
        sale_data=nexo.SaleData(sale_transaction_id=nexo.TransactionIdentification(transaction_id="r1")),
        payment_transaction=nexo.PaymentTransaction(
            amounts_req=nexo.AmountsReq(currency="EUR", requested_amount=Decimal("12.34"))
        ),
        payment_data=nexo.by_wallet("unionpay", code),
    )
    sent = nexo.Message(message_header=header(), payment_request=request)
    payload = nexo.frame(sent)[4:]
    assert msgspec.json.decode(payload)["SaleToPOIRequest"]["PaymentRequest"]["PaymentData"] == {
        "PaymentInstrumentData": {
            "PaymentInstrumentType": "Mobile",
            "StoredValueAccountID": {
                "StoredValueAccountType": "Other",
                "StoredValueProvider": "unionpay",
                "EntryMode": ["Scanned"],
                "IdentificationType": "BarCode",
                "StoredValueID": code,
            },
        }
    }
    assert nexo.decode(payload) == sent
    assert code not in repr(sent)


def test_service_ids_are_short_steady_and_apart() -> None:
    ids = {nexo.service_id(category, f"r{n}") for category in ("Payment", "Reversal") for n in range(5000)}
    assert len(ids) == 10_000
    assert {len(found) for found in ids} == {10}
    # Fixed for ever: after an update of the software, the one before it can still be asked about.
    assert nexo.service_id("Payment", "till-3/17/1") == "HYPKLMYVNC"
