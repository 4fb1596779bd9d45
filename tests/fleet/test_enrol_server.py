"""The enrolment's own door: terminals' real code against the real service, and strangers who speak as they like."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.enrolment import MESSAGE_BYTES_MAX
from fleet.ca import CA
from fleet.certificates import key_pem
from terminald.identity import (
    EnrolRefused,
    EnrolUnreachable,
    EnrolUntrusted,
    NameDiffers,
)
from tests.fleet.applicants import Applicant
from tests.fleet.doors import DAY_MS, Door, door_of
from tests.secured import context, now_ms, terminal_pair
from tests.tills import make_key


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with door_of(tmp_path) as made:
        yield made


# --- terminals ---------------------------------------------------------------------------------------------------


async def test_a_terminal_comes_by_its_certificate(door: Door) -> None:
    waiting = await door.keep(door.identity())
    assert waiting.state == "waiting"
    assert await door.keep(door.identity()) == waiting
    assert waiting.code == await asyncio.to_thread(door.identity().code)
    assert not door.place().certificate.exists()
    await door.approve(waiting.code)
    assert (await door.keep(door.identity())).state == "enrolled"
    assert door.place().certificate.stat().st_mode & 0o077 == 0
    assert not door.place().asked.exists()
    assert (await door.keep(door.identity())).state == "good"
    context(door.place().ca, door.place().certificate)  # the file is whole


async def test_a_terminal_renews_in_time(door: Door) -> None:
    await door.enrolled()
    first = door.place().certificate.read_bytes()
    assert (await door.keep(door.identity(days=118))).state == "good"
    assert door.place().certificate.read_bytes() == first
    assert (await door.keep(door.identity(days=122))).state == "renewed"
    assert door.place().certificate.read_bytes() != first


async def test_a_power_cut_between_the_answer_and_the_file_is_made_good(door: Door) -> None:
    await door.enrolled()
    first = door.place().certificate.read_bytes()
    identity = door.identity()
    key = await asyncio.to_thread(identity._key)  # what was on the medium before anybody was asked
    asked = door.place().asked.read_bytes()
    assert (await door.keep(identity, renew=True)).state == "renewed"
    door.place().certificate.chmod(0o600)
    door.place().certificate.write_bytes(first)
    door.place().asked.write_bytes(asked)
    door.place().asked.chmod(0o400)
    assert (await door.keep(door.identity(), renew=True)).state == "renewed"
    assert key_pem(key) in door.place().certificate.read_bytes()
    assert door.desk.listed()[1] == []


async def test_a_terminal_from_a_drawer_asks_a_person(door: Door) -> None:
    await door.enrolled()
    returning = await door.keep(door.identity(days=400))
    assert returning.state == "waiting"
    assert [each.doubt for each in door.desk.listed()[0]] == ["returns"]
    await door.approve(returning.code)
    assert (await door.keep(door.identity(days=400))).state == "enrolled"


async def test_a_revoked_terminal_is_back_with_a_person(door: Door) -> None:
    await door.enrolled()
    door.ca.revoke("till-1", "lost", now_ms())
    assert (await door.keep(door.identity(), renew=True)).state == "waiting"


async def test_another_name_is_taken_by_no_terminal(door: Door) -> None:
    waiting = await door.keep(door.identity())
    await door.approve(waiting.code, terminal="till-7")
    with pytest.raises(NameDiffers) as found:
        await door.keep(door.identity())
    assert found.value.terminal == "till-7"
    assert not door.place().certificate.exists()


async def test_a_refused_terminal_says_so(door: Door) -> None:
    waiting = await door.keep(door.identity())
    door.desk.refuse(waiting.code, now_ms())
    with pytest.raises(EnrolRefused):
        await door.keep(door.identity())


async def test_a_terminal_with_another_ack_key_trusts_nobody(door: Door) -> None:
    with pytest.raises(EnrolUntrusted, match="ack_key"):
        await door.keep(door.identity(ack_key=make_key(8).public_key))
    assert door.desk.listed()[0] == []
    assert not door.place().ca.exists()


async def test_an_impostor_who_shows_headquarters_own_trust_learns_nothing(door: Door, tmp_path: Path) -> None:
    """He can repeat what headquarters' key signed; he has no certificate of that authority."""
    other = tmp_path / "impostor"
    other.mkdir()
    async with door_of(other) as impostor:
        (impostor.ca.folder / "trust").write_bytes(door.ca.trust())
        with pytest.raises(EnrolUntrusted):
            await impostor.keep(impostor.identity())
        assert impostor.desk.listed()[0] == []


async def test_nobody_at_home(tmp_path: Path) -> None:
    made = Door(tmp_path)
    try:
        with pytest.raises(EnrolUnreachable):
            await made.keep(made.identity())
    finally:
        made.server.close()
        made.store.close()


# --- strangers ---------------------------------------------------------------------------------------------------


def request(path: str, body: bytes, method: str = "POST") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


async def test_a_request_may_come_a_byte_at_a_time(door: Door) -> None:
    terminal = Applicant()
    status, answer = await door.say(request("/enrol/v1/ask", terminal.ask()), piecemeal=True)
    assert (status, answer.code) == (200, terminal.code)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"\x16\x03\x01 nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /enrol/v1/ask HTTP/1.1\r\n\r\n", 404),
        (b"POST /enrol/v1/ask HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /enrol/v1/ask HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
        (f"POST /enrol/v1/ask HTTP/1.1\r\nContent-Length: {MESSAGE_BYTES_MAX + 1}\r\n\r\n".encode(), 400),
        (b"POST /enrol/v1/ask HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 400),
        (request("/enrol/v1/ask", b"{}"), 400),
        (request("/enrol/v1/ask", b"[" * 10_000), 400),
        (request("/enrol/v1/ask", b'{"csr":"x","journal_key":"00","proof":"zz"}'), 400),
        (request("/enrol/v1/renew", b"{}"), 403),
    ],
)
async def test_what_is_no_request_is_answered_and_forgotten(door: Door, raw: bytes, status: int) -> None:
    found, answer = await door.say(raw)
    assert (found, answer.state) == (status, "refused")
    assert door.desk.listed() == ([], [])
    assert (await door.say(request("/enrol/v1/ask", Applicant().ask())))[0] == 200


async def test_no_certificate_of_another_authority_renews(door: Door, tmp_path: Path) -> None:
    other = CA.make(tmp_path / "other", "Test", make_key(8), now_ms())
    for ca, days in ((other, 30.0), (door.ca, -0.5)):
        pair = terminal_pair(ca, "till-1", days=days)
        path = tmp_path / f"{days}.pem"
        path.write_bytes(pair.certificate + pair.key)
        with pytest.raises((OSError, IndexError, ssl.SSLError)):  # IndexError: it hung up without a word
            await door.say(request("/enrol/v1/renew", Applicant().renew()), certificate=path)


async def test_its_own_certificate_is_renewed_while_it_serves(door: Door) -> None:
    with door.ca.book() as book:
        before = book.newest("headquarters", "enrol")
        book.execute("UPDATE certificate SET ends_ms = ? WHERE name = 'enrol'", now_ms() + DAY_MS // 4)
    await door.server._care()
    with door.ca.book() as book:
        after = book.newest("headquarters", "enrol")
    assert before is not None
    assert after is not None
    assert after.serial != before.serial
    _, writer = await asyncio.open_connection(
        "127.0.0.1", door.port, ssl=context(door.ca.folder / "headquarters.crt", None)
    )
    shown = writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
    writer.close()
    await writer.wait_closed()
    assert int(shown, 16) == int(after.serial, 16)
