"""Parsers as S1 calls them: each as its driver or its port does, in pieces where bytes come in pieces, to its end."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import zstandard

from core import delivery, entries, ledger, orders, recall, scan, tlv, topics
from core import enrolment as enrolling
from core.catalogue import UpdateTorn, check_update, read_change
from core.desired import decode_reported, open_desired
from core.order_results import decode_result
from core.recall import RecallError
from core.recovery import RecoveryTextWrong, read_code, read_request
from core.scan import CodeRules, VariableMeasure
from core.stripe import CardRange
from drivers.codecs import msr, nexo, recording, track
from drivers.codecs.escpos import StatusDecoder
from drivers.codecs.keyscan import KeyScanDecoder
from drivers.codecs.layouts import LAYOUTS
from drivers.codecs.nexo_outcome import payment_outcome
from drivers.codecs.scale import ScaleCodec
from drivers.codecs.scan import Framing, ScanDecoder
from fleet import certificates
from fleet.collector import Collector
from fleet.enrol_server import HEAD_BYTES_MAX, read_http
from fleet.listener import Listener
from fleet.simulator import packets
from fleet.watch.fleet import Fleet
from store.backup_format import read_manifest
from store.errors import BackupKeyOther
from store.keyring import Sealed
from terminald.broker import Message
from terminald.clock import SystemClock
from terminald.telemetry import Telemetry
from tests.drivers.typing_scanner import typed
from tests.proofs.fuzzing import Parse
from tests.records import KEY, TERMINAL
from ui.technician.console import ROLES
from ui.technician.line import Gone, Idle, Line, Unreadable

CODES = CodeRules(
    layouts=(
        VariableMeasure(prefix="21", item_digits=5, value_digits=5, value="price"),
        VariableMeasure(prefix="23", item_digits=4, value_digits=5, value="weight"),
    ),
    vouchers=("97", "V-"),
    staff=("98",),
    loyalty=("600649",),
)
RANGES = (CardRange(kind="loyalty", prefix="600649"), CardRange(kind="staff", prefix="98"))


# --- cables ------------------------------------------------------------------------------------------------------------


def scanner_bytes() -> Parse:
    def parse(data: bytes) -> None:
        decoder = ScanDecoder("scanner", Framing(prefix=b"\x02"[: len(data) & 1]))
        decoder.whole(data)
        for at in range(0, len(data), 4096):
            decoder.feed(data[at : at + 4096], at / 1000)
        decoder.expire(1e9)
        decoder.meter.facts()

    return parse


def scanner_keys() -> Parse:
    """Three bytes an event: key, value, and the pause before it in hundredths of a second."""

    def parse(data: bytes) -> None:
        decoder, now_s = KeyScanDecoder("scanner", Framing(), tuple(LAYOUTS), "f8"), 0.0
        for code, value, pause in zip(*[iter(data)] * 3, strict=False):
            now_s += pause / 100
            decoder.key(code, value & 3, now_s)
        decoder.lose(now_s, data[:8])
        decoder.tear()

    return parse


def keys(text: str, layout: str) -> bytes:
    return bytes(byte for code, value in typed(text, layout) for byte in (code, value, 0))


def meaning() -> Parse:
    """One code, at the counter and while something is to be paid: what it means, what it says of goods, what is refused."""
    scan.warm()

    def parse(data: bytes) -> None:
        text = data.decode("latin-1")
        for tendering in (False, True):
            found = scan.classify(text, None, CODES, tendering=tendering)
            scan.reading(found, "scanned", "2026-11-22")
            scan.refusal(found, text)

    return parse


def swipe(decode: msr.Decode) -> Callable[[], Parse]:
    def parse(data: bytes) -> None:
        msr.outcome("msr", decode(memoryview(bytearray(data))), RANGES)

    return lambda: parse


def frames(make: Callable[[], msr.Frames]) -> Callable[[], Parse]:
    def parse(data: bytes) -> None:
        frames = make()
        for at in range(0, len(data), 64):
            frames.feed(memoryview(data)[at : at + 64])
        frames.pause()

    return lambda: parse


def track_text(data: bytes) -> None:
    for number in (1, 2, 3):
        track.number_of(memoryview(bytearray(data)), number)
        track.characters(memoryview(data), number)


def scale(make: Callable[[], ScaleCodec]) -> Callable[[], Parse]:
    def parse(data: bytes) -> None:
        codec = make()
        codec.ask()
        for at in range(0, len(data), 5):
            codec.feed(data[at : at + 5])

    return lambda: parse


def escpos(data: bytes) -> None:
    decoder = StatusDecoder()
    for at in range(0, len(data), 3):
        decoder.feed(data[at : at + 3])


def nexo_frames(data: bytes) -> None:
    """Frames, their messages, and what an answer to a payment comes to."""
    deframer = nexo.Deframer()
    for at in range(0, len(data), 1024):
        for payload in deframer.feed(data[at : at + 1024]):
            nexo_message(payload)


def nexo_message(payload: bytes) -> None:
    message = nexo.decode(payload)
    repr(message)
    if message.payment_response is not None:
        payment_outcome(message.payment_response, "till-3/17/1")


def objects(data: bytes) -> None:
    for found in tlv.walk(tlv.parse(data)):
        repr(found)


# --- networks, sockets, files, people ------------------------------------------------------------------------------------


def batch(data: bytes) -> None:
    batch = delivery.decode(data)
    delivery.opening_key(batch)
    delivery.check(batch, TERMINAL, KEY.public_key)


def batch_text(data: bytes) -> None:
    """What is inside a batch, under its terminal's own seal: the signature is right, the rest is anything."""
    batch = delivery.decode(zstandard.compress(data))
    sealed = delivery.decode(delivery.encode(batch.sealed(KEY.sign)))
    delivery.check(sealed, TERMINAL, KEY.public_key)


def order(data: bytes) -> None:
    orders.open_order(data, terminal=TERMINAL, wanted=orders.RELEASE_TAMPER, public_key=KEY.public_key, now_ms=0)


def order_body(data: bytes) -> None:
    """An order under the right signature: what is in it is anything."""
    body = b"terminald/order/1\0" + TERMINAL.encode() + b"\0" + data
    payload = b'{"order":' + data + b',"signature":"' + KEY.sign(body).hex().encode() + b'"}\n'
    order = orders.open_signed(payload, terminal=TERMINAL, public_key=KEY.public_key)
    orders.check_order(order)
    orders.timing(order, now_ms=2, known_ms=1, is_sure=True)


def desired(data: bytes) -> None:
    open_desired(data, terminal=TERMINAL, public_key=KEY.public_key)


def result(data: bytes) -> None:
    decode_result(data)


def reported(data: bytes) -> None:
    decode_reported(data)


def order_topic(data: bytes) -> None:
    topics.order_of(data.decode())


def acknowledgement(data: bytes) -> None:
    delivery.open_ack(TERMINAL, data, KEY.public_key)


def recalled(data: bytes) -> None:
    if recall.is_holdings(data):
        with contextlib.suppress(RecallError):
            recall.open_holdings(TERMINAL, data, KEY.public_key)
    recall.open_recall(TERMINAL, data, KEY.public_key)


def enrolment(data: bytes) -> None:
    for read in (enrolling.read_ask, enrolling.read_renew, enrolling.read_answer):
        with contextlib.suppress(enrolling.EnrolmentError):
            read(data)
    enrolling.open_trust(data, KEY.public_key)


def signing_request(data: bytes) -> None:
    certificates.read_request(data)


def http_request() -> Parse:
    loop = asyncio.new_event_loop()  # never run: all of the data is there

    def parse(data: bytes) -> None:
        reader = asyncio.StreamReader(HEAD_BYTES_MAX, loop)
        reader.feed_data(data)
        reader.feed_eof()
        with contextlib.suppress(StopIteration):
            read_http(reader).send(None)

    return parse


def record(data: bytes) -> None:
    entries.decode(ledger.open_record(data).body)


def simply(parse: Parse) -> Callable[[], Parse]:
    """A parser that needs nothing made ready."""
    return lambda: parse


def mqtt_packets(data: bytes) -> object:
    """A broker's stream, as a simulated terminal reads it."""
    return [
        packets.published(packet) if packet.kind == packets.PUBLISH else packets.reason_of(packet)
        for packet in packets.Reader().feed(data)
        if packet.kind in (packets.CONNACK, packets.PUBLISH, packets.PUBACK, packets.SUBACK, packets.DISCONNECT)
    ]


def listened(handler: str, topic: str) -> Callable[[], Parse]:
    """What the listener does with a message."""

    def make() -> Parse:
        listener = Listener(database=cast(Any, None), clock=cast(Any, None))
        take: Callable[[Message], None] = getattr(listener, handler)
        return lambda data: take(Message(topic=topic, payload=data, qos=0, retain=True, packet=1))

    return make


def watched(data: bytes) -> None:
    fleet = Fleet()
    for topic in (
        topics.status(TERMINAL), topics.info(TERMINAL), topics.tele(TERMINAL, "alarms"), topics.alarm(TERMINAL, "disk-low"),
    ):  # fmt: skip
        fleet.take(topic, data, 0.0)
    fleet.rows(0.0)
    fleet.tally()


def status(data: bytes) -> None:
    """A namesake's status at a terminal."""
    Telemetry(terminal=TERMINAL, boot="b", look=cast(Any, None), clock=SystemClock()).hear_status(data)


def retained(handler: str, topic: str) -> Callable[[], Parse]:
    """What the collector does with a message that is no batch."""

    def make() -> Parse:
        collector = Collector(database=cast(Any, None), key=KEY, clock=cast(Any, None))
        take: Callable[[Message], None] = getattr(collector, handler)
        loop = asyncio.new_event_loop()

        async def hear(data: bytes) -> None:
            take(Message(topic=topic, payload=data, qos=0, retain=True, packet=1))

        return lambda data: loop.run_until_complete(hear(data))

    return make


def filed(name: str, read: Callable[[Path], object]) -> Callable[[], Parse]:
    """What reads a file of this name."""

    def make() -> Parse:
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        folder = tempfile.TemporaryDirectory(prefix="terminald-s1-", dir=memory)

        def parse(data: bytes) -> None:
            path = Path(folder.name, name)  # the folder goes when this function does
            path.write_bytes(data)
            read(path)

        return parse

    return make


def update(data: bytes) -> None:
    """The lines of a catalogue update, whole or not."""
    lines = data.splitlines(keepends=True)
    with contextlib.suppress(UpdateTorn):
        check_update(lines)
    for line in lines:
        with contextlib.suppress(ValueError):
            read_change(line)


def recovery_text(data: bytes) -> None:
    """What somebody was told over the telephone."""
    text = data.decode("latin-1")
    with contextlib.suppress(RecoveryTextWrong):
        read_request(text)
    read_code(text)


def recorded(data: bytes) -> None:
    recording.read(data.splitlines())


def manifest(path: Path) -> None:
    with contextlib.suppress(BackupKeyOther):
        read_manifest(path.parent, bytes(32))
    read_manifest(path.parent, None)


def keyring(data: bytes) -> None:
    sealed = Sealed(data, "keyring")
    repr((sealed.generation, sealed.slots, sealed.recovery))
    sealed.open(bytes(32))


def console() -> Parse:
    """Lines of a person's terminal, which is a pipe here, until it ends."""

    def parse(data: bytes) -> None:
        incoming, outgoing = os.pipe()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.write(outgoing, data)
            os.close(outgoing)
            line = Line(incoming, nowhere)
            while True:
                try:
                    said = line.ask("> ", 0.0)
                    line.say(f"There is no command {said}.")
                    next((role for role in ROLES if role.startswith(said)), None)
                except Unreadable:
                    pass
                except (Gone, Idle):
                    return
        finally:
            os.close(incoming)
            os.close(nowhere)

    return parse
