"""A certificate authority of our own, and certificates for brokers and terminals, good ones and others."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from terminald.addresses import Tls
from tests.brokers import Mosquitto

DAY = timedelta(days=1)


class Authority:
    """Signs certificates into files of `folder`; its own is at `path`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.path = folder / f"{name}.pem"
        certificate = (
            _draft(self._name, self._name, self._key, -DAY, 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.path.write_bytes(certificate.public_bytes(Encoding.PEM))

    def certify(self, name: str, *, host: str | None = None, begins: timedelta = -DAY, ends: timedelta = DAY) -> Tls:
        """A certificate and its key; with `host` (a name or an address) a broker's. Begin and end count from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        draft = _draft(_name(name), self._name, key, begins, ends)
        if host is not None:
            draft = draft.add_extension(x509.SubjectAlternativeName([_host(host)]), critical=False)
        certificate = self._folder / f"{name}.pem"
        certificate.write_bytes(draft.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        own = self._folder / f"{name}.key"
        own.touch(0o600)
        own.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return Tls(ca=self.path, certificate=certificate, key=own)


def listening(authority: Authority, server: Tls, *, mutual: bool = True, more: str = "") -> str:
    """mosquitto's options for a TLS listener; with `mutual` for those alone whom the authority certified."""
    own = f"cafile {authority.path}\ncertfile {server.certificate}\nkeyfile {server.key}\n"
    asking = "require_certificate true\nuse_identity_as_username true\n" if mutual else "allow_anonymous true\n"
    return own + asking + more


def secure_url(broker: Mosquitto, host: str = "127.0.0.1") -> str:
    """Its address for TLS."""
    return f"mqtts://{host}:{broker.port}"


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: timedelta, ends: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )
