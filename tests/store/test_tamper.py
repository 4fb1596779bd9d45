"""The latch: one renaming sets it, one order of headquarters' releases it, and a cut at any moment leaves it set or not."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.orders import RELEASE_TAMPER, Order, encode_order
from store.errors import OrderRefused, TamperLatched
from store.tamper import Latch, Released

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def order(incident: str, counter: int = 1, terminal: str = "till-3") -> bytes:
    said = Order(
        terminal=terminal,
        order=RELEASE_TAMPER,
        counter=counter,
        not_after_ms=1_000,
        role="security",
        params={"incident": incident},
    )
    return encode_order(said, KEY.sign)


def release(latch: Latch, payload: bytes) -> Released:
    return latch.release(payload, terminal="till-3", public_key=KEY.public_key().public_bytes_raw(), now_ms=500)


@pytest.fixture
def latch(tmp_path: Path) -> Latch:
    return Latch(tmp_path / "journal.db")


def latched(latch: Latch) -> str:
    latch.arm()
    latch.armed.rename(latch.latch)
    incident = latch.incident()
    assert incident is not None
    return incident.incident


def test_a_terminal_is_not_latched_by_being_armed(latch: Latch) -> None:
    latch.arm()
    assert latch.incident() is None
    latch.refuse_latched()


def test_arming_again_keeps_the_incident_that_lies_ready(latch: Latch) -> None:
    latch.arm()
    before = latch.armed.read_bytes()
    latch.arm()
    assert latch.armed.read_bytes() == before


def test_a_latched_terminal_opens_no_key(latch: Latch) -> None:
    incident = latched(latch)
    with pytest.raises(TamperLatched, match=incident):
        latch.refuse_latched()


def test_headquarters_order_releases_it(latch: Latch) -> None:
    incident = latched(latch)
    released = release(latch, order(incident))
    assert (released.incident, released.counter, released.role) == (incident, 1, "security")
    assert latch.incident() is None
    assert latch.released() == released


def test_each_incident_has_another_name(latch: Latch) -> None:
    first = latched(latch)
    release(latch, order(first))
    assert latched(latch) != first


@pytest.mark.parametrize("payload", [b"", b"{}", order("0" * 16), order("", terminal="till-4")])
def test_another_order_leaves_it_latched(latch: Latch, payload: bytes) -> None:
    latched(latch)
    with pytest.raises(OrderRefused):
        release(latch, payload)
    assert latch.incident() is not None
    assert latch.released() is None


def test_an_older_order_does_not_count_for_a_newer_incident(latch: Latch) -> None:
    release(latch, order(latched(latch), counter=5))
    incident = latched(latch)
    with pytest.raises(OrderRefused, match="order-replayed"):
        release(latch, order(incident, counter=5))
    release(latch, order(incident, counter=6))


def test_a_release_that_was_cut_off_is_carried_out_again(latch: Latch) -> None:
    incident = latched(latch)
    kept = latch.latch.read_bytes()
    release(latch, order(incident))
    latch.latch.write_bytes(kept)  # the power went between the order's note and the latch's end
    release(latch, order(incident))
    assert latch.incident() is None


def test_there_is_nothing_to_release(latch: Latch) -> None:
    with pytest.raises(OrderRefused):
        release(latch, order("00"))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"x" * 10_000])
def test_whatever_is_in_the_latch_it_latches_and_can_be_released(latch: Latch, content: bytes) -> None:
    latch.latch.write_bytes(content)
    incident = latch.incident()
    assert incident is not None
    release(latch, order(incident.incident))


@pytest.mark.parametrize("content", [b"", b"12", b"\x00" * 15])
def test_a_torn_armed_file_is_written_anew(latch: Latch, content: bytes) -> None:
    latch.armed.write_bytes(content)
    assert len(latched(latch)) == 16
