"""Who this terminal is to headquarters: its key pair, its certificate, and how it comes by them.

The key pair is made here and leaves only as a public key. Certificate and key stand in one file, so that they are replaced
together or not at all; beside it lies the key for which a certificate is being asked (``.asked``). The protocol is
`core.enrolment`; docs/decisions/0045-enrolment.md says why.
"""

import contextlib
import fcntl
import http.client
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from core.enrolment import (
    MESSAGE_BYTES_MAX,
    Answer,
    Ask,
    EnrolmentError,
    Renew,
    claim_code,
    encode,
    is_due,
    open_trust,
    proof_message,
    read_answer,
)
from core.ports import Signer
from store.database import sync_folder
from store.errors import KeyMissing
from store.keys_files import read_private, write_private
from terminald.addresses import asked_of

TIMEOUT_S = 20.0
_FILE_BYTES_MAX = 65_536


class IdentityError(Exception):
    """The terminal does not come by a certificate now. `code` is stable, `remedy` tells the technician what to do."""

    code: ClassVar[str] = "identity"
    remedy: ClassVar[str] = "Sales go on and are kept; it is tried again."


class EnrolUnreachable(IdentityError):
    """The enrolment service of headquarters does not answer."""

    code = "enrol-unreachable"
    remedy = "Check the network and [headquarters] enrol; sales go on and are kept."


class EnrolUntrusted(IdentityError):
    """Whoever answers there is not headquarters, as far as can be told."""

    code = "enrol-untrusted"
    remedy = "Check [headquarters] enrol and ack_key, and the clock: `terminald-fleet key` prints ack_key."


class EnrolRefused(IdentityError):
    """Headquarters refuses the terminal."""

    code = "enrol-refused"
    remedy = "Ask headquarters: `terminald-fleet enrol list --all` shows it, and can still approve it."


class NameDiffers(IdentityError):
    """Headquarters approved it under another name than its configuration has."""

    code = "enrol-renamed"
    remedy = "Set that name under [terminal] id and run this again; or have headquarters approve it under its own."

    def __init__(self, terminal: str, here: str) -> None:
        super().__init__(f"headquarters calls this terminal {terminal}, and it is {here} here")
        self.terminal = terminal


State = Literal["good", "waiting", "enrolled", "renewed"]


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known now, as ``terminald enrol --json`` tells it: a good certificate, a new one, or a code that waits."""

    state: State
    terminal: str
    code: str = ""
    workstation: str = ""
    ends_ms: int = 0
    again_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where headquarters enrols, the key that it is known by, and the files here."""

    url: str
    ack_key: bytes
    ca: Path
    certificate: Path

    @property
    def asked(self) -> Path:
        """The key for which a certificate is asked."""
        return asked_of(self.certificate)


class Identity:
    """One terminal's. `signer` gives the journal's signing key, which is opened only where it must prove itself."""

    def __init__(
        self, *, place: Place, terminal: str, signer: Callable[[], Signer], now_ms: int, about: str = ""
    ) -> None:
        self._place = place
        self._terminal = terminal
        self._signer = signer
        self._now_ms = now_ms
        self._about = about

    def keep(self, *, renew: bool = False) -> Standing:
        """Does what is due: nothing, renew, ask, or look whether an answer has come. Raises IdentityError, JournalError.

        The daemon and a person may do it at the same time: one after the other.
        """
        self._place.certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._place.certificate.with_name(f"{self._place.certificate.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self._keep(renew=renew)

    def _keep(self, *, renew: bool) -> Standing:
        current = self._current()
        if current is not None and _name(current) == self._terminal and self._now_ms < _ms(current.not_valid_after_utc):
            if not renew and not is_due(
                _ms(current.not_valid_before_utc), _ms(current.not_valid_after_utc), self._now_ms
            ):
                return self._standing("good", current)
            try:
                return self._renew()
            except EnrolRefused:
                pass  # revoked, or renewed by another one: a person looks at it
        return self._ask()

    def code(self) -> str:
        """The claim code of the key for which a certificate is to be asked; nobody is asked. Raises JournalError."""
        return claim_code(_public(self._key()), self._signer().public_key)

    def _ask(self) -> Standing:
        self._learn_trust()
        key, signer = self._key(), self._signer()
        csr = _request(key, self._terminal)
        proof = signer.sign(proof_message(csr, signer.public_key))
        ask = Ask(csr=csr.decode(), journal_key=signer.public_key.hex(), proof=proof.hex(), about=self._about)
        code = claim_code(_public(key), signer.public_key)
        answer = self._call("/enrol/v1/ask", encode(ask))
        if answer.state == "waiting":
            if answer.code != code:
                raise EnrolUntrusted("the answer is about another key than ours")
            return Standing(state="waiting", terminal=self._terminal, code=code, again_s=answer.again_s)
        return self._take("enrolled", answer, key)

    def _renew(self) -> Standing:
        self._learn_trust()
        key = self._key()
        csr = _request(key, self._terminal)
        answer = self._call("/enrol/v1/renew", encode(Renew(csr=csr.decode())), certificate=self._place.certificate)
        return self._take("renewed", answer, key)

    def _take(self, state: State, answer: Answer, key: ec.EllipticCurvePrivateKey) -> Standing:
        """Takes a certificate into use, if it is ours and of the key that was asked for."""
        if answer.state != "approved":
            raise EnrolRefused(answer.why or "headquarters refused it")
        try:
            certificate = x509.load_pem_x509_certificate(answer.certificate.encode())
        except ValueError as error:
            raise EnrolUntrusted(f"headquarters sent no certificate: {error}") from None
        if certificate.public_key() != key.public_key() or _name(certificate) != answer.terminal:
            raise EnrolUntrusted("headquarters sent a certificate of another key or name")
        if answer.terminal != self._terminal:
            raise NameDiffers(answer.terminal, self._terminal)
        write_private(self._place.certificate, certificate.public_bytes(Encoding.PEM) + _pem(key))
        self._place.asked.unlink(missing_ok=True)
        sync_folder(self._place.asked.parent)
        return self._standing(state, certificate, answer.workstation)

    def _standing(self, state: State, certificate: x509.Certificate, workstation: str = "") -> Standing:
        ends_ms = _ms(certificate.not_valid_after_utc)
        return Standing(state=state, terminal=self._terminal, workstation=workstation, ends_ms=ends_ms)

    # --- files ---------------------------------------------------------------------------------------------------

    def _current(self) -> x509.Certificate | None:
        try:
            return x509.load_pem_x509_certificate(self._place.certificate.read_bytes())
        except (OSError, ValueError):
            return None  # there is none that could be renewed

    def _key(self) -> ec.EllipticCurvePrivateKey:
        """The key for which a certificate is asked; made where there is none, and on the medium before anybody hears of it."""
        path = self._place.asked
        try:
            found = load_pem_private_key(read_private(path, _FILE_BYTES_MAX), None)
            if isinstance(found, ec.EllipticCurvePrivateKey):
                return found
        except (KeyMissing, ValueError):
            pass
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = ec.generate_private_key(ec.SECP256R1())
        write_private(path, _pem(made))
        return made

    def _learn_trust(self) -> None:
        """Whom headquarters' own key names as its authority. The answer proves itself, so nobody needs to be trusted yet."""
        blind = ssl.create_default_context()
        blind.check_hostname = False
        blind.verify_mode = ssl.CERT_NONE
        try:
            authority = open_trust(self._exchange(blind, "GET", "/enrol/v1/trust", b"")[1], self._place.ack_key)
        except EnrolmentError as error:
            raise EnrolUntrusted(f"{self._place.url}: {error}") from None
        with contextlib.suppress(OSError):
            if self._place.ca.read_bytes() == authority:
                return
        self._place.ca.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_text(self._place.ca, authority.decode())

    # --- the wire ------------------------------------------------------------------------------------------------

    def _call(self, path: str, body: bytes, *, certificate: Path | None = None) -> Answer:
        try:
            context = ssl.create_default_context(cafile=self._place.ca)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if certificate is not None:
                context.load_cert_chain(certificate, password=b"")
        except OSError as error:
            raise EnrolUntrusted(f"{self._place.ca} or {certificate} cannot be used: {error}") from error
        status, said = self._exchange(context, "POST", path, body)
        try:
            answer = read_answer(said)
        except EnrolmentError as error:
            raise EnrolUntrusted(f"{self._place.url}: {error}") from None
        if status == 200:
            return answer
        if status in (400, 403):
            raise EnrolRefused(answer.why)
        raise EnrolUnreachable(f"{self._place.url} answers {status}: {answer.why}")

    def _exchange(self, context: ssl.SSLContext, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of one request. Raises EnrolUnreachable, EnrolUntrusted."""
        url = urlsplit(self._place.url)
        connection = http.client.HTTPSConnection(
            url.hostname or "", url.port or 443, timeout=TIMEOUT_S, context=context
        )
        try:
            connection.request(method, path, body or None, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            return response.status, response.read(MESSAGE_BYTES_MAX + 1)
        except ssl.SSLCertVerificationError as error:
            raise EnrolUntrusted(f"{self._place.url}: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise EnrolRefused(f"{self._place.url} refuses the certificate: {error.reason or error}") from error
        except (OSError, http.client.HTTPException) as error:
            raise EnrolUnreachable(f"{self._place.url}: {error}") from error
        finally:
            connection.close()


def _request(key: ec.EllipticCurvePrivateKey, terminal: str) -> bytes:
    """A signing request, PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, terminal)])
    return (
        x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    )


def _public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def _ms(when: datetime) -> int:
    return round(when.timestamp() * 1000)


def _write_text(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync_folder(path.parent)
