"""Every parser of what comes from outside, with its seeds: what S1 fuzzes. A new one is a line in `PARSERS`."""

import asyncio
from pathlib import Path

import msgspec

from core import delivery, orders, recall, tlv, topics
from core.catalogue import FORMAT, Change, UpdateHead, write_update
from core.delivery import AckError, BatchError
from core.desired import Desired, Reported, encode_desired, encode_reported
from core.enrolment import EnrolmentError, seal_trust
from core.order_results import Result, encode_result
from core.orders import OrderError
from core.ports import JournalError, ProtocolError
from core.recall import RecallError
from core.recovery import RecoveryTextWrong, code_text, request_text
from drivers.codecs import (
    apdu,
    hid_report,
    msr,
    msr_idtech,
    msr_magtek,
    msr_raw,
    msr_text,
    ndef,
    nfc_lines,
    smartcard_lines,
    throttled,
)
from drivers.codecs.scale_8217 import Toledo8217
from drivers.codecs.scale_cas import CasEcr
from drivers.codecs.scale_sics import MettlerSics
from drivers.simulated.msr import (
    idtech_message,
    idtech_report,
    magnesafe_report,
    magtek_report,
    raw_answer,
    track_bits,
    with_lrc,
)
from drivers.transport import READ_BYTES_MAX
from fleet import config as fleet_config
from fleet.certificates import CertificateUnusable
from fleet.enrol_server import BadRequest
from fleet.simulator import packets
from store.backup_format import MANIFEST, Manifest, encode_manifest
from terminald import config
from terminald.client import CallFailed, NotUnderstood
from tests.countertop import _SHOP
from tests.fleet.applicants import Applicant
from tests.proofs import parse_calls as c
from tests.proofs.control_line import ANSWERS, CALLS, control_line, control_line_of_one, daemons_answer
from tests.proofs.fuzzing import Parser
from tests.records import KEY, TERMINAL, chain, completed, sales, start_of

EAN = b"4006381333931"
APPLICANT = Applicant(TERMINAL)
ELEMENTS = (
    b"]d2010400638133393110LOT-1\x1d17261231", b"010400638133393110A\x1d21XYZ", b"(01)04006381333931(17)261200",
    b"]C1010400638133393131030012503922199", b"]Q3https://id.gs1.org/01/04006381333931/10/A?17=261231",
)  # fmt: skip
MPM = (
    b"00020101021229300012D156000000000510A93FO3230Q5204581253031565802CN5914BEST TRANSPORT6007BEIJING540523.72630444D5"
)
CPM = b"hQVDUFYwMWETTwegAAAAVVVVUAhQcm9kdWN0MWETTwegAAAAZmZmUAhQcm9kdWN0MmJJWggSNFZ4kBI0WF8gDkNBUkRIT0xERVIvRU1W"
"""EMVCo's QR codes, merchant's and customer's [EMV QRCPS]."""
TRACK_1, TRACK_2 = b"%B6006490000000004^MEMBER/A^4912?", b";4111111111111111=29121010000000000?"
TRACKS = {1: TRACK_1, 2: TRACK_2}
NEXO = (
    b'{"SaleToPOIResponse":{"MessageHeader":{"MessageClass":"Service","MessageCategory":"Payment","MessageType":"Response",'
    b'"SaleID":"till-3","POIID":"POI-1","ServiceID":"ABCDEFGHIJ"},"PaymentResponse":{"Response":{"Result":"Success"},'
    b'"SaleData":{"SaleTransactionID":{"TransactionID":"till-3/17/1","TimeStamp":"2026-11-22T15:00:00Z"}},"POIData":'
    b'{"POITransactionID":{"TransactionID":"4711","TimeStamp":"2026-11-22T15:00:00Z"}},"PaymentResult":{"AmountsResp":'
    b'{"Currency":"EUR","AuthorizedAmount":12.34},"PaymentInstrumentData":{"CardData":{"PaymentBrand":"V",'
    b'"MaskedPan":"413333******9999"}},"PaymentAcquirerData":{"ApprovalCode":"A1"}}}}}'
)
OBJECTS = (
    bytes.fromhex("6F198407A0000000031010A50E500A4D454D42455220434152449F380101"),
    bytes.fromhex("7F498106820102830101"), bytes.fromhex("00009F26081122334455667788"),
)  # fmt: skip
DESCRIPTOR = bytes.fromhex("0600FFA1010901150026FF00750895088501810209029600018102C0")

RECORDS = chain([*sales(3), completed(4, 500, kind="CREDIT")])
BATCH = delivery.compose(TERMINAL, start_of(RECORDS), RECORDS, KEY.sign)
ACK = delivery.encode_ack(
    TERMINAL,
    delivery.Ack(
        epoch="e", hwm=7, archived_hwm=5, gaps=((2, 3),), quarantined=((4, 4),), hash_at_hwm="00" * 32,
        collector_generation=1,
    ),
    KEY.sign,
)  # fmt: skip
ORDER = orders.encode_order(
    orders.Order(
        terminal=TERMINAL, order=orders.RELEASE_TAMPER, counter=1, not_after_ms=1 << 50, role="security",
        params={"incident": "1"},
    ),
    KEY.sign,
)  # fmt: skip
ORDER_BODY = msgspec.json.encode(
    orders.Order(
        id="o-1", terminal=TERMINAL, order="recall", epoch=2, counter=1, issued_ms=1, not_after_ms=1 << 50, role="manager",
        issuer="anna", params={"id": "R-1", "gtin": "4006381333931", "lot": "A1", "reason": "glass"},
    )
)  # fmt: skip
DESIRED = encode_desired(
    Desired(terminal=TERMINAL, epoch=1, version=2, issued_ms=1, role="manager", issuer="anna", doc="[shop]\n"), KEY.sign
)
RESULT = encode_result(Result(id="o-1", order="logs", state="failed", ts=1, code="x", text="y", output={"log": ["a"]}))
REPORTED = encode_reported(Reported(epoch=1, version=2, hash="00", state="applied", ts=1, active="00"))
RECALL = recall.encode_recall(recall.Recall(terminal=TERMINAL, nonce="n", epoch="e", after_seq=3), KEY.sign)
HOLDINGS = recall.encode_holdings(
    recall.Holdings(terminal=TERMINAL, nonce="n", number=7, epochs=(recall.Holding(epoch="e", top_seq=9),)), KEY.sign
)
DELIVERY = (BatchError, AckError, RecallError, OrderError)
CABLE = 4 * READ_BYTES_MAX
"""More than a wake-up of the loop takes from a cable."""
LINE = 4_096
"""Some dozens of a person's or a program's lines; each is an input, and answered by itself."""
UPDATE = b"".join(
    write_update(
        UpdateHead(format=FORMAT, from_number=0, from_hash="", to_number=1),
        [Change(op="put", gtin="4006381333931", name="Pen", unit="each", price="1.00", tax="A")],
    )
)
RING = (
    b"terminald keyring 1\n"
    b'{"id":"00000000000000000000000000000000","generation":1,"slots":[{"tier":"file","root":"f0c4d00b799b'
    b'6503","wrapped":"2e519a7066c970c8c4382eb45ce6cd61785052fab5b95c32b1dc001ae4f5bca5926ce15cf3b830813cb'
    b'ab5182a8e2c4054d1d85203b753886cca2425"}],"recovery":null,"keys":[{"purpose":"journal","generation":1'
    b',"wrapped":"fa24b1c6ef8f58ce22cb1e9f0444dabaffaf2346f5d3e398068720529ffc0d248111e45d915f76d7f49960b0'
    b'3244fc16123fce49a65f035fa49f94d0959adf3ea8246ab9f036fa857ff821f6"}]}'
    b"\nf4764b63c1bf68e39623f69eedfa85ad35b54a5092bf4cd4b0d0a93f8ccc8ee8\n"
)
"""A keyring of zeros under a root key of zeros."""
BACKUP = encode_manifest(
    Manifest(
        version=1, terminal="till-3", key="k", ordinal=1, epoch="e", seq=9, head="00" * 32, number=4, signature="00" * 64,
        signing_key="00" * 32, time_ms=1, clock="ntp", software="0", recoverable=True, files=(),
    ),
    bytes(32),
)  # fmt: skip
STARTER = Path(__file__).resolve().parents[2] / "systemd" / "terminal.toml"

PARSERS: tuple[Parser, ...] = (
    # cables
    Parser(
        name="scanner bytes",
        make=c.scanner_bytes,
        seeds=(EAN + b"\r", b"\x02]E0" + EAN + b"\x03\r\n", ELEMENTS[0] + b"\r"),
        size_max=CABLE,
    ),
    Parser(
        name="HID keys",
        make=c.scanner_keys,
        seeds=tuple(c.keys(text, name) for text in ("4006381333931", "AZ-19/x:") for name in ("us", "fr", "de")),
        tokens=(b"\x38\x01\x00\x52\x01\x00", b"\x3a\x01\x00", b"\x1d\x01\x00", b"\x1c\x01\x00"),
        size_max=CABLE,
    ),
    Parser(
        name="AIM and GS1",
        make=c.meaning,
        seeds=(EAN, b"2112345012346", b"036000291452", b"134567890123456789", b"V-1234", *ELEMENTS, MPM, CPM),
        tokens=(b"\x1d", b"(01)", b"]C1", b"3103", b"8005"),
    ),
    Parser(
        name="ISO 7813 tracks",
        make=c.simply(c.track_text),
        size_max=msr.MESSAGE_BYTES_MAX,
        seeds=(
            TRACK_1,
            TRACK_2,
            with_lrc(TRACK_2, 2),
            bytes(track_bits(TRACK_2, 2)),
            bytes(track_bits(TRACK_1, 1, backwards=True)),
        ),
    ),
    Parser(
        name="card: text",
        make=c.swipe(msr_text.decode),
        seeds=(TRACK_1 + TRACK_2 + b"\r", TRACK_2 + b"\r"),
        size_max=msr.MESSAGE_BYTES_MAX,
    ),
    Parser(
        name="card: MagTek",
        make=c.swipe(msr_magtek.decode),
        seeds=(magtek_report(TRACKS), magnesafe_report({2: bytes(40)}, TRACKS)),
        size_max=msr.MESSAGE_BYTES_MAX,
    ),
    Parser(
        name="card: ID TECH report",
        make=c.swipe(msr_idtech.decode_report),
        seeds=(idtech_report(TRACKS), idtech_message(TRACKS, {2: bytes(40)})),
        size_max=msr.MESSAGE_BYTES_MAX,
    ),
    Parser(
        name="card: ID TECH message",
        make=c.swipe(msr_idtech.decode_message),
        seeds=(idtech_message(TRACKS, {}), idtech_message({}, {2: bytes(40)})),
        size_max=msr.MESSAGE_BYTES_MAX,
    ),
    Parser(
        name="card: ID TECH frames",
        make=c.frames(msr_idtech.MessageFrames),
        seeds=(idtech_message(TRACKS, {}) * 2,),
        size_max=CABLE,
    ),
    Parser(
        name="card: bits",
        make=c.swipe(msr_raw.decode),
        seeds=(raw_answer(TRACKS), raw_answer(TRACKS, backwards=True, lowest_first=True)),
        tokens=(b"\x1b\x01\xff", b"\x1b\x02\xff", b"?\x1c\x1b"),
        size_max=msr.MESSAGE_BYTES_MAX,
    ),
    Parser(
        name="card: bits' frames",
        make=c.frames(msr_raw.RawFrames),
        tokens=(b"\x1bs", b"\x1b\x01\x00"),
        seeds=(b"\x1b0\x08\x08\x08" + raw_answer(TRACKS) * 2,),
        size_max=CABLE,
    ),
    Parser(
        name="recording",
        make=c.simply(c.recorded),
        seeds=(
            b'{"recording":1,"device":"front","driver":"scanner-hid","started_ms":1}\n'
            b'{"at_ms":1,"source":"device","data":"00ff"}\n',
        ),
        allowed=(ValueError,),
        size_max=CABLE,
    ),
    Parser(
        name="HID descriptor",
        make=c.simply(hid_report.input_report),
        seeds=(DESCRIPTOR,),
        allowed=(ProtocolError,),
        size_max=hid_report.DESCRIPTOR_BYTES_MAX,
    ),
    Parser(
        name="NDEF",
        make=c.simply(ndef.first_text),
        seeds=(ndef.text_message("Käse"), ndef.uri_message("https://example.org/1"), ndef.text_message("x" * 300)),
    ),
    Parser(
        name="BER-TLV",
        make=c.simply(c.objects),
        seeds=OBJECTS,
        allowed=(tlv.TlvFault,),
        tokens=(b"\x6f\x82\xff\xff", b"\x7f\x49", b"\x6f\x7f"),
    ),
    Parser(
        name="NFC helper's lines",
        make=c.simply(nfc_lines.decode),
        seeds=(nfc_lines.encode(nfc_lines.Alive()), nfc_lines.encode(nfc_lines.Torn())),
        allowed=(ProtocolError,),
    ),
    Parser(
        name="smart-card lines",
        make=c.simply(smartcard_lines.decode),
        seeds=(
            smartcard_lines.encode(smartcard_lines.CardRead(kind="loyalty", number="M-17")),
            smartcard_lines.encode(smartcard_lines.CardForeign(is_payment=True)),
        ),
        allowed=(ProtocolError,),
    ),
    Parser(
        name="a chip card's number",
        make=c.simply(apdu.number_in),
        size_max=apdu.RESPONSE_BYTES_MAX * 8,
        seeds=(bytes.fromhex("6F138407F0010203040506A5085306") + b"M-0017", b"\x53\x040042" + b"\xff" * 20),
    ),
    Parser(
        name="ESC/POS status",
        make=c.simply(c.escpos),
        seeds=(b"\x14\x00\x00\x0f", b"\x12\x16\x72", b"\x37\x22abcd\x00"),
        size_max=CABLE,
    ),
    Parser(
        name="scale: Toledo 8217",
        make=c.scale(Toledo8217),
        seeds=(b"\x0201.234\r", b"\x02?\x60\r"),
        tokens=(b"\x02", b"\r"),
        size_max=CABLE,
    ),
    Parser(
        name="scale: MT-SICS",
        make=c.scale(MettlerSics),
        seeds=(b"S S      1.234 kg\r\nS D      0.100 kg\r\n", b"S +\r\n", b"ES\r\n"),
        size_max=CABLE,
    ),
    Parser(
        name="scale: CAS",
        make=c.scale(CasEcr),
        seeds=(b"\x06\x01\x02S  1.234kg\x3b\x03\x04", b"\x06\x15"),
        tokens=(b"\x01\x02", b"\x03\x04"),
        size_max=CABLE,
    ),
    # networks
    Parser(
        name="nexo frames",
        make=c.simply(c.nexo_frames),
        seeds=(len(NEXO).to_bytes(4, "big") + NEXO,),
        allowed=(ProtocolError,),
    ),
    Parser(
        name="nexo messages",
        make=c.simply(c.nexo_message),
        seeds=(NEXO,),
        allowed=(ProtocolError,),
        tokens=(b'"Result":"Failure"', b'"ErrorCondition":"Busy"', b"4111111111111111"),
    ),
    Parser(name="MQTT batch", make=c.simply(c.batch), seeds=(delivery.encode(BATCH),), allowed=DELIVERY),
    Parser(
        name="MQTT batch, unpacked",
        one_in=10,
        make=c.simply(c.batch_text),
        seeds=(b"\n".join((BATCH.head_line, *BATCH.lines, b"")),),
        allowed=DELIVERY,
    ),
    Parser(name="MQTT acknowledgement", make=c.simply(c.acknowledgement), seeds=(ACK,), allowed=DELIVERY),
    Parser(name="MQTT recall", make=c.simply(c.recalled), seeds=(RECALL, HOLDINGS), allowed=DELIVERY),
    Parser(
        name="MQTT telemetry",
        make=c.listened("_on_report", topics.tele(TERMINAL, "journal")),
        seeds=(b'{"ts":1,"clk":"ntp","seq":1,"v":{"epoch":"e","hwm":7,"generation":1,"alarms":"disk-low"}}',),
    ),
    Parser(
        name="live view",
        make=c.simply(c.watched),
        seeds=(
            b'{"ts":1,"clk":"ntp","seq":1,"v":{"alarms":"disk-low"}}',
            b'{"state":"online","boot_id":"b","connection":1}',
        ),
    ),
    Parser(
        name="MQTT alarm",
        make=c.listened("_take_alarm", topics.alarm(TERMINAL, "disk-low")),
        seeds=(b'{"ts":1,"clk":"ntp","since":1,"severity":"minor","text":"The disk.","v":{"a":1,"b":"c"}}', b""),
    ),
    Parser(
        name="MQTT status at the terminal",
        make=c.simply(c.status),
        seeds=(b'{"state":"online","boot_id":"b1","connection":1,"ts":1}',),
    ),
    Parser(name="MQTT acknowledgement at headquarters", make=c.retained("_on_ack", topics.ack(TERMINAL)), seeds=(ACK,)),
    Parser(
        name="MQTT packets, simulated",
        make=c.simply(c.mqtt_packets),
        seeds=(
            packets.publish(topics.ack(TERMINAL), ACK, packet=7, retain=True) + packets.puback(7) + packets.PING,
            b"\x20\x03\0\0\0\x90\x04\0\x01\0\x01\xe0\0",
        ),
        allowed=(packets.Malformed,),
        tokens=(b"\x32\xff\xff\xff\x7f", b"\x30\x80\x80\x80\x80"),
    ),
    # sockets, files, people
    Parser(name="record", make=c.simply(c.record), seeds=tuple(BATCH.lines[:4]), allowed=(ValueError,)),
    Parser(name="signed order", make=c.simply(c.order), seeds=(ORDER,), allowed=DELIVERY),
    Parser(name="order that headquarters signed", make=c.simply(c.order_body), seeds=(ORDER_BODY,), allowed=DELIVERY),
    Parser(name="desired configuration", make=c.simply(c.desired), seeds=(DESIRED,), allowed=DELIVERY),
    Parser(name="order's result", make=c.simply(c.result), seeds=(RESULT,), allowed=(ValueError,)),
    Parser(name="reported configuration", make=c.simply(c.reported), seeds=(REPORTED,), allowed=(ValueError,)),
    Parser(
        name="topic of an order",
        make=c.simply(c.order_topic),
        seeds=(b"pos/v1/till-3/cmd/ping/o-1/res",),
        allowed=(ValueError,),
    ),
    Parser(
        name="enrolment",
        make=c.simply(c.enrolment),
        seeds=(APPLICANT.ask(), APPLICANT.again(), seal_trust(APPLICANT.csr(), KEY.sign)),
        allowed=(EnrolmentError,),
    ),
    Parser(
        name="signing request",
        one_in=10,
        make=c.simply(c.signing_request),
        seeds=(APPLICANT.csr(),),
        allowed=(CertificateUnusable,),
    ),
    Parser(
        name="enrolment's HTTP",
        make=c.http_request,
        seeds=(
            b"GET /enrol/v1/trust HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /enrol/v1/ask HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        ),
        tokens=(b"\r\n", b"Content-Length: ", b"HTTP/1.1"),
        allowed=(BadRequest, asyncio.IncompleteReadError, asyncio.LimitOverrunError),
    ),
    Parser(
        name="control socket, a line",
        one_in=10,
        make=control_line_of_one,
        seeds=[call.splitlines()[0] for call in CALLS],
        tokens=(b'"params":', b'"id":'),
    ),
    Parser(
        name="control socket",
        one_in=10,
        make=control_line,
        seeds=CALLS,
        tokens=(b'"params":', b'"id":', b"\n"),
        size_max=LINE // 2,
    ),
    Parser(name="daemon's answers", make=daemons_answer, seeds=ANSWERS, allowed=(CallFailed, NotUnderstood)),
    Parser(
        name="collector's configuration",
        one_in=10,
        make=c.filed("fleet.toml", fleet_config.load),
        seeds=(b'broker = "mqtt://a:b@127.0.0.1:1883"\ndatabase = "postgresql://x/y"\nkey = "ack.key"\n',),
        allowed=(fleet_config.ConfigError,),
        tokens=(b"mqtts://[::1]", b"a.b = 1\n", b'"""'),
        size_max=1 << 14,
    ),
    Parser(
        name="catalogue update",
        make=c.simply(c.update),
        seeds=(UPDATE, *UPDATE.splitlines()),
        tokens=(b'"op":"stock"', b'"promotion":{'),
        size_max=1 << 14,
    ),
    Parser(
        name="recovery text",
        make=c.simply(c.recovery_text),
        seeds=(request_text(bytes(range(32))).encode(), code_text(bytes(range(16))).encode()),
        allowed=(RecoveryTextWrong,),
    ),
    Parser(name="keyring", make=c.simply(c.keyring), seeds=(RING,), allowed=(JournalError,)),
    Parser(
        name="backup's manifest",
        one_in=10,
        make=c.filed(MANIFEST, c.manifest),
        seeds=(BACKUP,),
        allowed=(JournalError,),
    ),
    Parser(name="firmware's bits", make=c.simply(throttled.decode), seeds=(b"50005\n", b"0x0"), allowed=(ValueError,)),
    Parser(
        name="configuration",
        one_in=10,
        make=c.filed("terminal.toml", config.load),
        seeds=(STARTER.read_bytes(), _SHOP.encode()),
        allowed=(config.ConfigError,),
        tokens=(
            b"[device.x]\n",
            b"[[shop.tax]]\n",
            b'driver = "scanner-hid"\n',
            b"a.b.c = 1\n",
            b"1979-05-27T07:32:00Z",
            b"'''",
        ),
        size_max=1 << 14,
    ),
    Parser(
        name="console input",
        make=c.console,
        seeds=(b"technician\r123456\rdevices\r", b"log 20\n\x03\x04\x7f\x15help\n"),
        size_max=LINE,
    ),
)
