"""X.509 for a fleet, without I/O: authorities, certificates, revocation lists (RFC 5280).

All keys are EC P-256: every TLS library, mosquitto's OpenSSL and mqtt.js take them. A certificate says what it is for
(extended key usage), so that a terminal's is no broker's and a broker's is nobody's name.
"""

import datetime as dt
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Purpose = Literal["client", "server"]

AUTHORITY_DAYS = 20 * 365
BACKDATED = dt.timedelta(days=1)
"""A certificate is good from a day before its making: clocks of shops differ."""
REVOCATIONS_DAYS = 10 * 365
"""How long a list is good. OpenSSL refuses every client once the list has run out, so it never does by itself; a newer one
replaces it at each revocation."""
NAME_CHARACTERS_MAX = 64
"""RFC 5280's bound for a common name."""


class CertificateUnusable(ValueError):
    """What was given is no certificate, key or request that can be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """A certificate's serial number that counts no more."""

    serial: int
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate that signs others, with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def make(cls, name: str, now_ms: int) -> Self:
        """A new one, which signs itself."""
        key = new_key()
        subject = _named(name)
        now = _time(now_ms)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + dt.timedelta(days=AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_others=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate=certificate, key=key)

    @classmethod
    def read(cls, certificate: bytes, key: bytes, passphrase: bytes | None) -> Self:
        """Of two PEM texts. Raises CertificateUnusable."""
        found = read_certificate(certificate)
        private = read_key(key, passphrase)
        if private.public_key() != found.public_key():
            raise CertificateUnusable("the key is not that of the authority's certificate")
        return cls(certificate=found, key=private)

    def issue(
        self,
        name: str,
        public_key: ec.EllipticCurvePublicKey,
        *,
        purpose: Purpose,
        days: float,
        now_ms: int,
        hosts: Sequence[str] = (),
    ) -> x509.Certificate:
        """A certificate for a key. `hosts` are a server's names and addresses; `days` may be below zero, for tests."""
        now = _time(now_ms)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(self.certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_others=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([_EXTENDED[purpose]]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(_hosts(hosts)), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def revocations(self, revoked: Iterable[Revoked], number: int, now_ms: int) -> bytes:
        """The list of what counts no more, PEM. `number` grows from list to list."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(_time(now_ms) - BACKDATED)
            .next_update(_time(now_ms) + dt.timedelta(days=REVOCATIONS_DAYS))
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for each in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(each.serial).revocation_date(_time(each.time_ms)).build()
            )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


_EXTENDED = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}


def new_key() -> ec.EllipticCurvePrivateKey:
    """A new key for a certificate."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> bytes:
    """PKCS #8, encrypted where there is a passphrase."""
    protection: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """The certificate as text."""
    return certificate.public_bytes(Encoding.PEM)


def read_key(pem: bytes, passphrase: bytes | None = None) -> ec.EllipticCurvePrivateKey:
    """A key of ours. Raises CertificateUnusable."""
    try:
        key = load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError) as error:
        raise CertificateUnusable(f"the key cannot be read: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateUnusable("the key is not an elliptic curve's")
    return key


def read_certificate(pem: bytes) -> x509.Certificate:
    """A certificate of PEM. Raises CertificateUnusable."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise CertificateUnusable(f"no certificate: {error}") from None


def parse_certificate(der: bytes) -> x509.Certificate:
    """A certificate of DER. Raises CertificateUnusable."""
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise CertificateUnusable(f"no certificate: {error}") from None


def read_request(pem: bytes) -> tuple[str, ec.EllipticCurvePublicKey]:
    """The name and the key of a signing request (PKCS #10) whose signature is its key's. Raises CertificateUnusable."""
    try:
        request = x509.load_pem_x509_csr(pem)
        key = request.public_key()
        whole = request.is_signature_valid
        names = [str(each.value) for each in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except Exception as error:  # the library raises whatever its parsing of hostile ASN.1 ran into
        raise CertificateUnusable(f"no signing request: {error}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateUnusable("the request's key is not EC P-256")
    if not whole:
        raise CertificateUnusable("the request is not signed by its own key")
    if len(names) != 1:
        raise CertificateUnusable("the request does not name one terminal")
    return names[0], key


def key_bytes(key: ec.EllipticCurvePublicKey) -> bytes:
    """A public key's exact bytes (SubjectPublicKeyInfo, DER)."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def name_of(certificate: x509.Certificate) -> str:
    """Whose certificate it is. Raises CertificateUnusable."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1:
        raise CertificateUnusable("the certificate does not name one holder")
    return str(names[0].value)


def ends_ms(certificate: x509.Certificate) -> int:
    """Until when it is good, Unix milliseconds."""
    return round(certificate.not_valid_after_utc.timestamp() * 1000)


def begins_ms(certificate: x509.Certificate) -> int:
    """From when it is good, Unix milliseconds."""
    return round(certificate.not_valid_before_utc.timestamp() * 1000)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs_others: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_others,
        key_cert_sign=signs_others,
        crl_sign=signs_others,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _hosts(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _time(time_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(time_ms // 1000, dt.UTC)
