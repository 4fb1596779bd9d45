"""Scales' answers as weights: each protocol by its manual's examples, whole or in pieces, and nothing made of noise."""

import itertools
import re
from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.events import WeightCondition
from drivers.codecs.scale import GRAMS_MAX, Said, ScaleCodec, Send, Unusable, Weighed, weighed
from drivers.codecs.scale_8217 import Toledo8217
from drivers.codecs.scale_cas import CasEcr, block_check
from drivers.codecs.scale_sics import MettlerSics

Make: TypeAlias = Callable[[], ScaleCodec]
CODECS: tuple[Make, ...] = (Toledo8217, MettlerSics, CasEcr)
GRAMS = st.integers(0, 99_999)


def stable(weight_g: int, *, net: bool = False) -> Weighed:
    return Weighed(condition=WeightCondition.STABLE, weight_g=weight_g, net=net)


def condition(name: str) -> Weighed:
    return Weighed(condition=WeightCondition(name))


def sics() -> MettlerSics:
    """One that knows its scale's unit already."""
    codec = MettlerSics()
    codec.feed(b"S S      0.000 kg\r\n")
    return codec


def cas(content: bytes) -> bytes:
    return b"\x01\x02" + content + bytes((block_check(content),)) + b"\x03\x04"


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (b"\x0200.642\r", stable(642)),
        (b"\x02 1.250\r", stable(1250)),
        (b"\x0201.250N\r", stable(1250, net=True)),
        (b"\x0200.000\r", stable(0)),
        (b"\x02?\x61\r", condition("moving")),
        (b"\x02?\x63\r", condition("overload")),
        (b"\x02?\x64\r", condition("underload")),
        (b"\x02?D\r", condition("underload")),
        (b"\x02?\x70\r", stable(0)),
        (b"\x02?\x0d\r", condition("underload")),
        (b"\x02001.25\r", Unusable(complaint="unit")),
        (b"\x0201.25\r", Unusable(complaint="unit")),
        (b"\x021.250\r", Unusable(complaint="garbled")),
        (b"\x02\r", Unusable(complaint="garbled")),
        (b"0.642\r", Unusable(complaint="garbled")),
    ],
)
def test_toledo(frame: bytes, said: Said) -> None:
    assert Toledo8217().feed(frame) == [said]


def test_toledo_with_a_parity_bit() -> None:
    """On a line set to eight bits the parity of a scale set to seven is the upper bit."""
    odd = bytes(byte | 0x80 if byte.bit_count() % 2 else byte for byte in b"\x0200.642\r")
    assert Toledo8217().feed(odd) == [stable(642)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"S S      0.642 kg\r\n", stable(642)),
        (b"S S     -0.010 kg\r\n", condition("underload")),
        (b"S I\r\n", condition("moving")),
        (b"S +\r\n", condition("overload")),
        (b"S -\r\n", condition("underload")),
        (b"ES\r\n", Unusable(complaint="command")),
        (b"EL\r\n", Unusable(complaint="command")),
        (b"ET\r\n", Unusable(complaint="garbled")),
        (b"S S     0.642 kg\r\n", Unusable(complaint="garbled")),
        (b"S S     0.6425 kg\r\n", Unusable(complaint="too-fine")),
    ],
)
def test_sics(line: bytes, said: Said) -> None:
    assert sics().feed(line) == [said]


def test_sics_in_motion_has_its_weight_for_technicians() -> None:
    assert sics().feed(b"S D      0.640 kg\r\n") == [Weighed(condition=WeightCondition.MOVING, weight_g=640)]


def test_a_unit_counts_when_it_has_come_twice() -> None:
    codec = sics()
    assert codec.feed(b"S S      1.000 g\r\n") == [Unusable(complaint="garbled")]
    assert codec.feed(b"S S      1.000 kg\r\n") == [Unusable(complaint="garbled")]
    assert codec.feed(b"S S      1.000 kg\r\n") == [stable(1000)]
    assert codec.feed(b"S S      2.205 lb\r\n" * 2) == [Unusable(complaint="garbled"), Unusable(complaint="unit")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"S 00.642kg", stable(642)),
        (b"S  0.642kg", stable(642)),
        (b"S   642. g", stable(642)),
        (b"S 00.000kg", stable(0)),
        (b"S-00.010kg", condition("underload")),
        (b"SF------kg", condition("overload")),
        (b"S 01.416lb", Unusable(complaint="unit")),
        (b"X 00.642kg", Unusable(complaint="garbled")),
    ],
)
def test_cas(content: bytes, said: Said) -> None:
    assert CasEcr().feed(cas(content)) == [said]


def test_cas_is_asked_in_two_words() -> None:
    codec = CasEcr()
    assert codec.ask() == b"\x05"
    assert codec.feed(b"\x06") == [Send(data=b"\x11")]
    assert codec.feed(b"\x15") == [condition("moving")]


def test_cas_whose_check_does_not_fit() -> None:
    frame = bytearray(cas(b"S 00.642kg"))
    frame[5] = ord("1")
    assert CasEcr().feed(bytes(frame)) == [Unusable(complaint="garbled")]


@given(GRAMS)
def test_each_weight_is_read_exactly(weight_g: int) -> None:
    whole = f"{weight_g // 1000:02d}.{weight_g % 1000:03d}"
    assert Toledo8217().feed(f"\x02{whole}\r".encode()) == [stable(weight_g)]
    assert sics().feed(f"S S {weight_g / 1000:10.3f} kg\r\n".encode()) == [stable(weight_g)]
    assert CasEcr().feed(cas(f"S {whole}kg".encode())) == [stable(weight_g)]


@given(GRAMS, st.data())
def test_a_lost_byte_never_makes_another_weight(weight_g: int, data: st.DataObject) -> None:
    """RS-232 loses bytes where an interrupt comes late; only CAS has a check against it."""
    whole = f"{weight_g // 1000:02d}.{weight_g % 1000:03d}"
    frames: tuple[tuple[ScaleCodec, bytes], ...] = (
        (Toledo8217(), f"\x02{whole}\r".encode()),
        (sics(), f"S S {weight_g / 1000:10.3f} kg\r\n".encode()),
        (CasEcr(), cas(f"S {whole}kg".encode())),
    )
    for codec, frame in frames:
        lost = data.draw(st.integers(0, len(frame) - 1))
        for said in codec.feed(frame[:lost] + frame[lost + 1 :]):
            assert said == stable(weight_g) or not isinstance(said, Weighed)


@pytest.mark.parametrize("make", CODECS)
@given(noise=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=5))
def test_noise_raises_nothing_and_pieces_are_as_the_whole(make: Make, noise: bytes, cuts: list[int]) -> None:
    whole, pieces = make(), make()
    expected = whole.feed(noise)
    edges = [0, *sorted(cut for cut in cuts if cut < len(noise)), len(noise)]
    found = [said for begin, end in itertools.pairwise(edges) for said in pieces.feed(noise[begin:end])]
    assert found == expected
    for said in expected:
        if isinstance(said, Weighed):
            assert 0 <= said.weight_g <= GRAMS_MAX


@pytest.mark.parametrize("make", CODECS)
@given(noise=st.binary(max_size=100))
def test_a_question_ends_what_was_half_answered(make: Make, noise: bytes) -> None:
    codec = make()
    codec.feed(b"S S      0.000 kg\r\n")
    codec.feed(noise)
    codec.ask()
    good = {Toledo8217: b"\x0200.642\r", MettlerSics: b"S S      0.642 kg\r\n", CasEcr: cas(b"S 00.642kg")}[type(codec)]
    codec.feed(good)
    codec.ask()
    assert codec.feed(good) == [stable(642)]


@given(st.text(max_size=12), st.sampled_from(("kg", "g", "lb", "oz", "")))
def test_a_text_is_whole_grams_or_no_weight(text: str, unit: str) -> None:
    said = weighed(text, unit, stable=True)
    if isinstance(said, Weighed):
        assert unit in ("kg", "g")
        assert said.weight_g >= 0
        assume(said.condition is WeightCondition.STABLE)
        number = re.sub(r"[^\d.]", "", text.replace(",", ".")) if text.isascii() else ""
        if number:
            assert said.weight_g == round(float(number) * (1000 if unit == "kg" else 1))
