"""Terminals that ask to be enrolled, as their own code asks; only their journals are made up."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from core.enrolment import Ask, Renew, claim_code, encode, proof_message
from fleet.certificates import key_bytes, new_key
from fleet.keys import AckKey
from tests.tills import make_key


class Applicant:
    """One board: a name, a journal's key by its number, and a new key pair."""

    def __init__(self, name: str = "till-1", journal: int = 1) -> None:
        self.name = name
        self.journal: AckKey = make_key(journal)
        self.key = new_key()

    @property
    def code(self) -> str:
        """What stands on its screen."""
        return claim_code(key_bytes(self.key.public_key()), self.journal.public_key)

    def csr(self) -> bytes:
        """Its signing request."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(self.key, hashes.SHA256())
        return request.public_bytes(Encoding.PEM)

    def ask(self, signer: AckKey | None = None) -> bytes:
        """A request, signed by its journal's key or by another one."""
        csr = self.csr()
        public = self.journal.public_key
        proof = (signer or self.journal).sign(proof_message(csr, public))
        return encode(Ask(csr=csr.decode(), journal_key=public.hex(), proof=proof.hex(), about="board 7\x1b[2J"))

    def renew(self) -> bytes:
        """A request for the next certificate, by a new key."""
        self.key = new_key()
        return self.again()

    def again(self) -> bytes:
        """The same request once more."""
        return encode(Renew(csr=self.csr().decode()))
