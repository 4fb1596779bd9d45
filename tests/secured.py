"""A real mosquitto as it is shipped: its configuration and rules are the product's files, its certificates of a fleet's CA."""

import contextlib
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fleet.ca import CA, Pair
from fleet.keys import AckKey, load_or_make
from tests.brokers import Mosquitto, find_mosquitto, free_port
from tests.raw_mqtt import Client

SHIPPED = Path(__file__).resolve().parent.parent / "systemd/mosquitto"
INSTALLED = "/etc/mosquitto/terminald"


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Secured:
    """The authorities, the broker's folder, and mosquitto with the shipped configuration on ports of its own.

    `edits` replace texts in the shipped files, by file name: (what, by what). A third door, without rules or TLS, is for
    whoever watches.
    """

    def __init__(self, folder: Path, edits: Mapping[str, tuple[str, str]] | None = None) -> None:
        self.folder = folder
        self._pairs: dict[str, Path] = {}
        self.terminals_port, self.headquarters_port = free_port(), free_port()
        self.signer: AckKey = load_or_make(folder / "ack-key")
        self.ca = CA.make(folder / "ca", "Test", self.signer, now_ms())
        self.place = folder / "mosquitto"
        self.place.mkdir()
        texts = {path.name: path.read_text() for path in SHIPPED.iterdir()}
        for name, (old, new) in (edits or {}).items():
            assert old in texts[name], f"{name} has no {old!r}"
            texts[name] = texts[name].replace(old, new)
        for name in ("terminals.acl", "headquarters.acl"):
            (self.place / name).write_text(texts[name])
        self.ca.issue("broker", hosts=["127.0.0.1", "localhost"], folder=self.place, now_ms=now_ms())
        self.ca.publish(now_ms(), self.place)
        for path in self.place.iterdir():
            path.chmod(0o644)
        shipped = texts["terminald.conf"].replace(INSTALLED, str(self.place))
        shipped = shipped.replace("listener 8883", f"listener {self.terminals_port} 127.0.0.1")
        shipped = shipped.replace("listener 8884", f"listener {self.headquarters_port} 127.0.0.1")
        kept = f"persistence true\npersistence_location {folder}/\n"
        self.broker = Mosquitto(folder, ahead=f"{kept}{shipped}\n")

    def reload(self) -> None:
        """mosquitto reads its rules and lists again, and has when this returns: it does one thing after another."""
        self.broker.reload()
        for _ in range(2):
            Client.connect(self.broker.port, None, "waiting").drop()

    def client(self, name: str) -> ssl.SSLContext:
        """With a certificate of headquarters for this name."""
        pair = self._pairs.get(name) or self.saved(name, self.ca.issue(name, now_ms=now_ms()))
        self._pairs[name] = pair
        return context(self.folder / "ca/headquarters.crt", pair)

    def terminal(self, name: str) -> ssl.SSLContext:
        """With a terminal's certificate."""
        pair = self._pairs.get(name) or self.saved(name, terminal_pair(self.ca, name))
        self._pairs[name] = pair
        return context(self.folder / "ca/headquarters.crt", pair)

    def saved(self, name: str, pair: Pair) -> Path:
        """A file with certificate and key."""
        path = self.folder / f"{name}.{time.monotonic_ns()}.pem"
        path.write_bytes(pair.certificate + pair.key)
        return path


def terminal_pair(ca: CA, name: str, *, days: float = 30, at_ms: int | None = None) -> Pair:
    """A terminal's certificate and key."""
    from fleet.certificates import key_pem, new_key

    key = new_key()
    issued = ca.sign_terminal(name, key.public_key(), now_ms=at_ms or now_ms(), days=days)
    return Pair(certificate=issued.pem, key=key_pem(key))


def context(authority: Path | None, pair: Path | None) -> ssl.SSLContext:
    """A client's context; without an authority it takes any server."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = authority is not None
    if authority is not None:
        made.load_verify_locations(authority)
    else:
        made.verify_mode = ssl.CERT_NONE
    if pair is not None:
        made.load_cert_chain(pair)
    return made


@contextlib.contextmanager
def secured(folder: Path, edits: Mapping[str, tuple[str, str]] | None = None) -> Iterator[Secured]:
    """Running; skips the test where no mosquitto is installed."""
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    made = Secured(folder, edits)
    made.broker.start()
    try:
        yield made
    finally:
        made.broker.stop()
