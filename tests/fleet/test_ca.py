"""The fleet's own authorities: what they issue is what OpenSSL takes, what they revoke it does not."""

import json
import socket
import ssl
import stat
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509

from core import topics
from core.enrolment import EnrolmentError, open_trust
from fleet.ca import CA, DENIED_BEGIN, AuthorityThere, NothingIssued, PassphraseWrong, PublishFailed
from fleet.ca_book import BookUnusable
from fleet.certificates import CertificateUnusable, new_key, read_certificate, read_request
from fleet.cli import main
from fleet.keys import load_or_make
from tests.brokers import find_mosquitto
from tests.raw_mqtt import Client, Refused
from tests.secured import INSTALLED, SHIPPED, context, now_ms, secured, terminal_pair
from tests.tills import make_key

DAY_MS = 86_400_000


@pytest.fixture
def ca(tmp_path: Path) -> CA:
    return CA.make(tmp_path / "ca", "Test", make_key(9), now_ms())


def run(*arguments: object) -> int:
    return main([str(each) for each in arguments])


def test_a_terminal_believes_the_authority_that_headquarters_key_signed(ca: CA) -> None:
    assert open_trust(ca.trust(), make_key(9).public_key) == ca.certificate("headquarters")
    with pytest.raises(EnrolmentError):
        open_trust(ca.trust(), make_key(8).public_key)


def test_a_second_authority_is_refused(ca: CA) -> None:
    before = ca.certificate("terminals")
    with pytest.raises(AuthorityThere):
        CA.make(ca.folder, "Test", make_key(9), now_ms())
    assert ca.certificate("terminals") == before


def test_keys_are_for_their_owner_alone_and_encrypted_where_that_is_wanted(tmp_path: Path) -> None:
    made = CA.make(tmp_path / "ca", "Test", make_key(9), now_ms(), b"correct horse")
    for name in ("terminals.key", "headquarters.key"):
        path = made.folder / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"ENCRYPTED" in path.read_bytes()
    assert stat.S_IMODE((made.folder / "ca.db").stat().st_mode) == 0o600
    made.issue("collector", now_ms=now_ms())
    for passphrase in (None, b"battery staple"):
        with pytest.raises(PassphraseWrong):
            CA(made.folder, passphrase).issue("collector", now_ms=now_ms())


def test_a_folder_without_an_authority_is_named(tmp_path: Path) -> None:
    with pytest.raises(BookUnusable, match="no authority"):
        CA(tmp_path).revoke("till-1", "stolen", now_ms())
    with pytest.raises(BookUnusable):
        CA(tmp_path).issue("collector", now_ms=now_ms())


def test_a_name_that_cannot_stand_in_a_topic_gets_no_certificate(ca: CA) -> None:
    for name in ("till/1", "+", "#", "", "a" * 64, "4111111111111111"):
        with pytest.raises(ValueError, match="terminal id"):
            ca.sign_terminal(name, new_key().public_key(), now_ms=now_ms())


def test_what_headquarters_runs_is_renewed_when_it_is_due(ca: CA, tmp_path: Path) -> None:
    now = now_ms()
    ca.issue("broker", hosts=["mqtt.example.com", "192.0.2.1"], days=90, folder=tmp_path, now_ms=now)
    first = read_certificate((tmp_path / "broker.crt").read_bytes())
    assert ca.renew(now + 30 * DAY_MS) == []
    assert ca.renew(now + 61 * DAY_MS) == ["broker"]
    assert ca.renew(now + 61 * DAY_MS) == []
    second = read_certificate((tmp_path / "broker.crt").read_bytes())
    assert second.serial_number != first.serial_number
    assert (second.not_valid_after_utc - first.not_valid_after_utc).days == 61
    hosts = second.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert hosts.get_values_for_type(x509.DNSName) == ["mqtt.example.com"]
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(tmp_path / "broker.crt", tmp_path / "broker.key")  # they belong together


def test_a_key_is_for_the_group_where_its_folder_is(ca: CA, tmp_path: Path) -> None:
    tmp_path.chmod(0o2750)
    ca.issue("broker", hosts=["localhost"], folder=tmp_path, now_ms=now_ms())
    assert stat.S_IMODE((tmp_path / "broker.key").stat().st_mode) == 0o640
    other = tmp_path / "other"
    other.mkdir()
    other.chmod(0o700)
    ca.issue("collector", folder=other, now_ms=now_ms())
    assert stat.S_IMODE((other / "collector.key").stat().st_mode) == 0o600


def test_a_revoked_certificate_stands_in_the_list_until_it_would_have_run_out(ca: CA) -> None:
    issued = ca.sign_terminal("till-1", new_key().public_key(), now_ms=now_ms(), days=10)
    serial = int(issued.serial, 16)
    assert not ca.is_revoked(serial)
    assert ca.revoke("till-1", "stolen", now_ms()) == 1
    assert ca.is_revoked(serial)
    first = x509.load_pem_x509_crl(ca.revocations("terminals", now_ms()))
    assert [each.serial_number for each in first] == [serial]
    later = x509.load_pem_x509_crl(ca.revocations("terminals", now_ms() + 11 * DAY_MS))
    assert list(later) == []
    numbers = [each.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for each in (first, later)]
    assert numbers == [1, 2]
    assert not list(x509.load_pem_x509_crl(ca.revocations("headquarters", now_ms())))
    with pytest.raises(NothingIssued):
        ca.revoke("till-1", "again", now_ms())


def test_a_certificate_in_no_book_counts_as_revoked(ca: CA) -> None:
    assert ca.is_revoked(12345)


def test_a_broker_folder_without_rules_is_named(ca: CA, tmp_path: Path) -> None:
    with pytest.raises(PublishFailed, match=r"terminals\.acl"):
        ca.publish(now_ms(), tmp_path)


def test_rules_that_people_wrote_stay(ca: CA, tmp_path: Path) -> None:
    rules = tmp_path / "terminals.acl"
    rules.write_text("pattern write pos/v1/%u/status\n")
    ca.publish(now_ms(), tmp_path)
    assert rules.read_text() == "pattern write pos/v1/%u/status\n"
    for name in ("till-1", "till-2"):
        ca.sign_terminal(name, new_key().public_key(), now_ms=now_ms())
        ca.revoke(name, "stolen", now_ms())
    ca.publish(now_ms())
    rules.write_text(f"{rules.read_text()}pattern read pos/v1/%u/money/ack\n")
    ca.sign_terminal("till-1", new_key().public_key(), now_ms=now_ms() + 1)
    ca.publish(now_ms())
    text = rules.read_text()
    assert text.startswith("pattern write pos/v1/%u/status\n")
    assert text.endswith("pattern read pos/v1/%u/money/ack\n")
    assert text.count(DENIED_BEGIN) == 1
    assert "user till-2\ntopic deny #\n" in text
    assert "user till-1\n" not in text


@pytest.mark.parametrize(
    "payload", [b"", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_what_is_no_request_is_refused(payload: bytes) -> None:
    with pytest.raises(CertificateUnusable):
        read_request(payload)


def test_the_rules_name_every_topic_of_a_terminal() -> None:
    """One more topic in `core.topics` without a rule would be refused by the shipped broker alone."""
    rules = (SHIPPED / "terminals.acl").read_text()
    allowed = {
        direction: {line.split()[2] for line in rules.splitlines() if line.startswith(f"pattern {direction}")}
        | {line.split()[2] for line in rules.splitlines() if line.startswith("pattern readwrite")}
        for direction in ("read", "write")
    }
    told = (topics.ack, topics.replay, topics.orders, topics.desired, topics.status, topics.every_alarm)
    assert {function("TILL").replace("TILL", "%u") for function in told} <= allowed["read"]
    every = {value.replace("+", "%u", 1) for name, value in vars(topics).items() if name.startswith("EVERY_")}
    assert every <= allowed["write"] | {topics.EVERY_ACK.replace("+", "%u", 1)}
    assert topics.EVERY_ACK.replace("+", "%u", 1) not in allowed["write"]


def test_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, place = tmp_path / "ca", tmp_path / "broker"
    place.mkdir()
    (place / "terminals.acl").write_text("")
    assert run("ca", "init", "--ca-folder", folder) == 1  # neither --database nor --key
    assert run("ca", "init", "--ca-folder", folder, "--key", tmp_path / "key", "--name", "Shop") == 0
    assert run("ca", "issue", "collector", "--ca-folder", folder, "--to", tmp_path) == 0
    assert run("ca", "issue", "broker", "--host", "localhost", "--ca-folder", folder, "--to", place) == 0
    assert run("ca", "publish", "--ca-folder", folder) == 2
    assert run("ca", "publish", "--ca-folder", folder, "--to", place) == 0
    CA(folder).sign_terminal("till-1", new_key().public_key(), now_ms=now_ms())
    capsys.readouterr()
    CA(folder).revoke("till-1", "stolen", now_ms())
    assert run("ca", "list", "--json", "--ca-folder", folder) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["till-1"]["state"] == "revoked"
    assert rows["till-1"]["why"] == "stolen"
    assert rows["broker"]["purpose"] == "server"
    assert run("ca", "list", "--ca-folder", folder) == 0
    assert "till-1" in capsys.readouterr().out
    assert run("ca", "renew", "--ca-folder", folder) == 0
    assert open_trust(CA(folder).trust(), load_or_make(tmp_path / "key").public_key)


def test_a_passphrase_comes_from_a_file_or_from_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, secret = tmp_path / "ca", tmp_path / "ca-passphrase"
    secret.write_text("correct horse\n")
    issue = ("ca", "issue", "collector", "--ca-folder", folder, "--to", tmp_path)
    assert run("ca", "init", "--ca-folder", folder, "--key", tmp_path / "key", "--passphrase-file", secret) == 0
    assert run(*issue) == 1
    assert "ca-passphrase" in capsys.readouterr().err
    assert run(*issue, "--passphrase-file", tmp_path / "nowhere") == 1
    assert run(*issue, "--passphrase-file", secret) == 0
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert run(*issue) == 0


def test_a_revoked_terminal_is_cut_off_though_connected(tmp_path: Path) -> None:
    with secured(tmp_path) as made:
        pair = made.saved("till-1", terminal_pair(made.ca, "till-1"))
        door = context(made.folder / "ca/headquarters.crt", pair)
        terminal = Client.connect(made.terminals_port, door, "till-1")
        assert terminal.publish(topics.batch("till-1"), b"before") < 0x80
        made.ca.revoke("till-1", "stolen", now_ms())
        made.ca.publish(now_ms())
        made.reload()
        with Client.connect(made.terminals_port, made.terminal("till-2"), "till-2").sock:
            pass  # others come in as before
        with pytest.raises(Refused):
            Client.connect(made.terminals_port, door, "till-1")
        try:
            code = terminal.publish(topics.batch("till-1"), b"after")
        except EOFError:
            code = 0x80
        terminal.drop()
        assert code >= 0x80


def test_the_broker_takes_its_renewed_certificate_into_use_without_a_restart(tmp_path: Path) -> None:
    with secured(tmp_path) as made:
        door = made.terminal("till-1")
        before = _shown(made.terminals_port, door)
        made.ca.issue("broker", hosts=["127.0.0.1"], folder=made.place, now_ms=now_ms())
        made.reload()
        after = _shown(made.terminals_port, door)
        assert after != before
        assert after == read_certificate((made.place / "broker.crt").read_bytes()).serial_number


def _shown(port: int, door: ssl.SSLContext) -> int:
    with (
        socket.create_connection(("127.0.0.1", port), 5) as sock,
        door.wrap_socket(sock, server_hostname="127.0.0.1") as tls,
    ):
        return int(str((tls.getpeercert() or {})["serialNumber"]), 16)


def test_the_shipped_configuration_goes_with_debians_own(tmp_path: Path) -> None:
    """Beside Debian's mosquitto.conf, which includes what lies in conf.d at its end."""
    with secured(tmp_path) as made:
        made.broker.stop()
        more = tmp_path / "conf.d"
        more.mkdir()
        shipped = (SHIPPED / "terminald.conf").read_text().replace(INSTALLED, str(made.place))
        shipped = shipped.replace("listener 8883", f"listener {made.terminals_port}")
        (more / "terminald.conf").write_text(shipped.replace("listener 8884", f"listener {made.headquarters_port}"))
        main = tmp_path / "mosquitto.conf"
        main.write_text(
            f"pid_file {tmp_path}/mosquitto.pid\nuser root\npersistence true\npersistence_location {tmp_path}/\n"
            f"log_dest file {tmp_path}/mosquitto.log\ninclude_dir {more}\n"
        )
        program = find_mosquitto()
        assert program is not None
        process = subprocess.Popen([program, "-c", str(main)])
        try:
            terminal = _patiently(made.terminals_port, made.terminal("till-1"))
            assert terminal.publish(topics.batch("till-1"), b"x") < 0x80
            assert terminal.publish(topics.batch("till-2"), b"x") >= 0x80
            terminal.drop()
        finally:
            process.terminate()
            process.wait(10)


def _patiently(port: int, door: ssl.SSLContext) -> Client:
    """Connected, once the broker listens."""
    until_s = time.monotonic() + 10
    while True:
        try:
            return Client.connect(port, door, "till-1")
        except Refused:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.05)
