"""The simulator's MQTT: its own messages back, however they are cut, and a broker that says nonsense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.simulator import packets
from fleet.simulator.packets import Malformed, Packet, Reader

messages = st.tuples(st.text(max_size=40), st.binary(max_size=400), st.integers(0, 65_535), st.booleans())


@given(st.lists(messages, min_size=1, max_size=6), st.lists(st.integers(1, 50), min_size=1))
def test_messages_come_out_as_they_went_in_however_they_are_cut(
    sent: list[tuple[str, bytes, int, bool]], sizes: list[int]
) -> None:
    data = b"".join(packets.publish(topic, body, packet=number, retain=kept) for topic, body, number, kept in sent)
    reader, taken, index = Reader(), [], 0
    while data:
        size = sizes[index % len(sizes)]
        taken += [packets.published(packet) for packet in reader.feed(data[:size])]
        data, index = data[size:], index + 1
    assert taken == [(topic, number, body, kept) for topic, body, number, kept in sent]


@given(st.binary(max_size=300))
def test_nonsense_is_malformed_or_waited_for_and_nothing_else(data: bytes) -> None:
    try:
        for packet in Reader().feed(data):
            if packet.kind == packets.PUBLISH:
                packets.published(packet)
            elif packet.kind in (packets.CONNACK, packets.PUBACK, packets.SUBACK, packets.DISCONNECT):
                packets.reason_of(packet)
    except Malformed:
        pass


@pytest.mark.parametrize("head", [b"\x30\xff\xff\xff\xff\x01", b"\x30\xff\xff\xff\x7f"])
def test_a_packet_too_large_or_without_a_length_is_refused(head: bytes) -> None:
    with pytest.raises(Malformed):
        list(Reader().feed(head))


def test_properties_are_passed_over() -> None:
    body = b"\0\x01a" + b"\0\x07" + b"\x05" + b"\x02\0\0\0\x09" + b"payload"
    assert packets.published(Packet(packets.PUBLISH, 2, body)) == ("a", 7, b"payload", False)
    for end in range(10):
        with pytest.raises(Malformed):
            packets.published(Packet(packets.PUBLISH, 2, body[:end]))


def test_reasons() -> None:
    assert packets.reason_of(Packet(packets.PUBACK, 0, b"\0\x01")) == 0
    assert packets.reason_of(Packet(packets.PUBACK, 0, b"\0\x01\x87")) == 0x87
    assert packets.reason_of(Packet(packets.CONNACK, 0, b"\0\x86\0")) == 0x86
    assert packets.reason_of(Packet(packets.SUBACK, 0, b"\0\x01\0\x01")) == 1
    with pytest.raises(Malformed):
        packets.reason_of(Packet(packets.CONNACK, 0, b""))
