"""TLS to a real broker with real certificates: who is let in, who is not, and what is said of it."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from terminald.addresses import Tls
from terminald.broker import (
    BrokerUnreachable,
    BrokerUntrusted,
    CertificateRefused,
    CertificateUnusable,
    MqttError,
    parse_url,
)
from terminald.clock import SystemClock
from terminald.mqtt import Connection, connect
from terminald.uplink import Uplink
from tests.brokers import Mosquitto, mosquitto_in
from tests.certificates import Authority, listening, secure_url
from tests.tills import eventually

HOUR = timedelta(hours=1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def broker(tmp_path: Path, authority: Authority) -> Iterator[Mosquitto]:
    with mosquitto_in(tmp_path, listening(authority, authority.certify("broker", host="127.0.0.1"))) as mosquitto:
        yield mosquitto


@pytest.fixture
def old_broker(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mosquitto]:
    """One that knows no TLS after 1.2; OpenSSL reads this file when the broker starts, and has read its own here."""
    settings = tmp_path / "openssl.cnf"
    settings.write_text(
        "openssl_conf = all\n[all]\nssl_conf = tls\n[tls]\nsystem_default = max\n[max]\nMaxProtocol = TLSv1.2\n"
    )
    monkeypatch.setenv("OPENSSL_CONF", str(settings))
    with mosquitto_in(tmp_path, listening(authority, authority.certify("broker", host="127.0.0.1"))) as mosquitto:
        yield mosquitto


async def enter(url: str, tls: Tls | None) -> str:
    """Connects, hears itself, leaves; the TLS version that was spoken."""
    async with connect(parse_url(url, tls), "till-3") as connection:
        assert await connection.publish("x", b"") in (0, 16)
        sock = connection._socket
        assert isinstance(sock, ssl.SSLSocket)
        return sock.version() or ""


async def refused(kind: type[MqttError], url: str, tls: Tls | None) -> str:
    with pytest.raises(kind) as caught:
        await enter(url, tls)
    assert type(caught.value) is kind
    assert caught.value.remedy.endswith("sales go on and are kept.")
    return str(caught.value)


async def test_a_certified_terminal_is_let_in(broker: Mosquitto, authority: Authority) -> None:
    assert await enter(secure_url(broker), authority.certify("till-3")) == "TLSv1.3"


async def test_the_key_may_stand_in_the_certificates_own_file(broker: Mosquitto, authority: Authority) -> None:
    own = authority.certify("till-3")
    assert own.certificate is not None
    assert own.key is not None
    own.key.write_bytes(own.key.read_bytes() + own.certificate.read_bytes())
    assert await enter(secure_url(broker), Tls(ca=authority.path, certificate=own.key))


async def test_an_older_broker_is_spoken_to_by_tls_1_2(old_broker: Mosquitto, authority: Authority) -> None:
    assert await enter(secure_url(old_broker), authority.certify("till-3")) == "TLSv1.2"


async def test_a_broker_of_tls_1_1_is_left(authority: Authority) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(bytes.fromhex("15030100020246"))  # what it says to our offer: alert, fatal, protocol_version
        writer.close()

    listens = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listens:
        url = f"mqtts://127.0.0.1:{listens.sockets[0].getsockname()[1]}"
        assert "no TLS of version 1.2 or 1.3" in await refused(BrokerUnreachable, url, Tls(ca=authority.path))


async def test_without_a_certificate_nobody_is_let_in(broker: Mosquitto, authority: Authority) -> None:
    words = await refused(CertificateRefused, secure_url(broker), Tls(ca=authority.path))
    assert "without a certificate, and none is configured" in words


@pytest.mark.parametrize("which", ["broker", "old_broker"])
async def test_a_strangers_certificate_is_refused(
    tmp_path: Path, authority: Authority, which: str, request: pytest.FixtureRequest
) -> None:
    broker: Mosquitto = request.getfixturevalue(which)
    other = Authority(tmp_path, "stranger").certify("till-3")
    words = await refused(CertificateRefused, secure_url(broker), replace(other, ca=authority.path))
    assert "refuses the certificate till-3.pem: it comes from an authority that the broker does not trust" in words


async def test_an_expired_certificate_is_named_with_its_day(broker: Mosquitto, authority: Authority) -> None:
    own = authority.certify("till-3", begins=-2 * HOUR, ends=-HOUR)
    assert "till-3.pem: it expired on 2" in await refused(CertificateRefused, secure_url(broker), own)


async def test_a_certificate_of_the_future_puts_the_clock_in_doubt(broker: Mosquitto, authority: Authority) -> None:
    own = authority.certify("till-3", begins=HOUR)
    assert "the clock here is before that" in await refused(CertificateRefused, secure_url(broker), own)


@pytest.mark.parametrize(
    ("host", "begins", "ends", "words"),
    [
        ("127.0.0.1", -2 * HOUR, -HOUR, "has expired"),
        ("127.0.0.1", HOUR, 2 * HOUR, "is not valid yet: is the clock here right?"),
        ("127.0.0.2", -HOUR, HOUR, "is for another address"),
        ("mqtt.example.com", -HOUR, HOUR, "is for another address"),
    ],
)
async def test_a_brokers_wrong_certificate(
    tmp_path: Path, authority: Authority, host: str, begins: timedelta, ends: timedelta, words: str
) -> None:
    server = authority.certify("broker", host=host, begins=begins, ends=ends)
    with mosquitto_in(tmp_path, listening(authority, server)) as broker:
        assert words in await refused(BrokerUntrusted, secure_url(broker), authority.certify("till-3"))


async def test_a_certificate_for_another_name(tmp_path: Path, authority: Authority) -> None:
    server = authority.certify("broker", host="mqtt.example.com")
    with mosquitto_in(tmp_path, listening(authority, server)) as broker:
        url = secure_url(broker, "localhost")
        assert "is for another name" in await refused(BrokerUntrusted, url, authority.certify("till-3"))


async def test_a_broker_of_another_authority(tmp_path: Path, broker: Mosquitto, authority: Authority) -> None:
    own = replace(authority.certify("till-3"), ca=Authority(tmp_path, "stranger").path)
    assert "an authority that is not trusted here" in await refused(BrokerUntrusted, secure_url(broker), own)
    assert "an authority that is not trusted here" in await refused(BrokerUntrusted, secure_url(broker), None)


async def test_tls_to_a_port_without_it(tmp_path: Path, authority: Authority) -> None:
    with mosquitto_in(tmp_path) as broker:
        await refused(BrokerUnreachable, secure_url(broker), authority.certify("till-3"))


async def test_no_tls_to_a_port_that_wants_it(broker: Mosquitto) -> None:
    with pytest.raises(BrokerUnreachable, match="if it wants TLS, mqtts:// is meant"):
        await enter(broker.url, None)


def put(path: Path, content: bytes | None) -> None:
    path.unlink()
    if content is not None:
        path.touch(0o600)
        path.write_bytes(content)


@pytest.mark.parametrize("file", ["ca", "certificate", "key"])
@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read: No such file"), (b"not PEM", "in PEM"), (b"", "in PEM")]
)
async def test_a_file_that_is_missing_or_is_none(
    broker: Mosquitto, authority: Authority, file: str, content: bytes | None, words: str
) -> None:
    own = authority.certify("till-3")
    path: Path = getattr(own, file)
    put(path, content)
    message = await refused(CertificateUnusable, secure_url(broker), own)
    assert words in message
    assert str(path) in message


async def test_a_key_that_cannot_be_read(tmp_path: Path, broker: Mosquitto, authority: Authority) -> None:
    own = replace(authority.certify("till-3"), key=tmp_path)
    assert "Is a directory" in await refused(CertificateUnusable, secure_url(broker), own)


async def test_a_key_that_everybody_may_read(broker: Mosquitto, authority: Authority) -> None:
    own = authority.certify("till-3")
    assert own.key is not None
    own.key.chmod(0o644)
    assert f"chmod 0600 {own.key}" in await refused(CertificateUnusable, secure_url(broker), own)


async def test_a_key_of_another_certificate(broker: Mosquitto, authority: Authority) -> None:
    own = replace(authority.certify("till-3"), key=authority.certify("till-4").key)
    assert "does not belong to the certificate" in await refused(CertificateUnusable, secure_url(broker), own)


class Talker:
    async def serve(self, connection: Connection, number: int) -> None:
        await asyncio.Event().wait()


async def test_a_renewed_certificate_takes_effect_by_itself(broker: Mosquitto, authority: Authority) -> None:
    own = authority.certify("till-3", begins=-2 * HOUR, ends=-HOUR)
    uplink = Uplink(
        brokers=[parse_url(secure_url(broker), own)], client_id="till-3", users=[Talker()], clock=SystemClock(),
        random=Random(1),
    )  # fmt: skip
    running = asyncio.create_task(uplink.run(), name="uplink")
    try:
        await eventually(lambda: (uplink.fault or "").startswith("certificate-refused: "))
        assert own == authority.certify("till-3")
        await eventually(lambda: uplink.connected)
    finally:
        running.cancel()
        await asyncio.wait((running,))
