"""The fleet's own authorities, for those who have none: one signs terminals, the other what headquarters runs.

Two, because the broker asks for another one on each of its doors: no terminal's certificate opens headquarters' door,
whatever name it bears, and no program of headquarters is a terminal. The folder::

    terminals.crt  terminals.key        signs terminals
    headquarters.crt  headquarters.key  signs the broker, the enrolment's own door, collectors, tools
    trust                               headquarters.crt, signed by headquarters' key: what a new terminal believes
    ca.db                               what was issued and revoked (`fleet.ca_book`)

Keys are encrypted where a passphrase was given, and read by their owner alone in any case.
"""

import stat
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec

from core.enrolment import is_due, seal_trust
from core.ports import Signer
from core.topics import check_terminal
from fleet.ca_book import Book, BookUnusable, Issued
from fleet.certificates import (
    BACKDATED,
    Authority,
    CertificateUnusable,
    Purpose,
    Revoked,
    begins_ms,
    certificate_pem,
    ends_ms,
    key_bytes,
    key_pem,
    new_key,
)
from fleet.files import write_whole
from fleet.refusal import Refused

AuthorityName = Literal["terminals", "headquarters"]
AUTHORITIES: tuple[AuthorityName, ...] = ("terminals", "headquarters")

TERMINAL_DAYS = 180
SERVER_DAYS = 365

DENIED_BEGIN = "# revoked: written by terminald-fleet from here"
DENIED_END = "# revoked: to here"


class AuthorityThere(Refused):
    """There is one already; a second one would be believed by nobody."""

    code = "ca-there"
    remedy = "Go on with the one that there is, or give another --ca-folder."


class PassphraseWrong(Refused):
    """An authority's key does not open."""

    code = "ca-passphrase"
    remedy = "Give --passphrase-file the file with the passphrase that `ca init` was given."


class NothingIssued(Refused):
    """No certificate of this name counts."""

    code = "ca-unknown"
    remedy = "`terminald-fleet ca list` shows what was issued."


class PublishFailed(Refused):
    """The broker's folder cannot be written."""

    code = "ca-publish"
    remedy = "Make the folder as the guide says, for this user to write and for the broker to read; then `ca publish`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate with its key, PEM."""

    certificate: bytes
    key: bytes


class CA:
    """The authorities of a folder. Keys are read when something is signed, and not kept."""

    def __init__(self, folder: Path, passphrase: bytes | None = None) -> None:
        self.folder = folder
        self._passphrase = passphrase

    @classmethod
    def make(cls, folder: Path, name: str, signer: Signer, now_ms: int, passphrase: bytes | None = None) -> "CA":
        """Makes both authorities. `signer` is headquarters' key, which terminals know. Raises AuthorityThere."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (folder / "trust").exists():  # the last file that is made
                raise AuthorityThere(f"there are authorities in {folder}")
            for each in AUTHORITIES:
                authority = Authority.make(f"{name} {each}", now_ms)
                write_whole(folder / f"{each}.key", key_pem(authority.key, passphrase), 0o600)
                write_whole(folder / f"{each}.crt", certificate_pem(authority.certificate), 0o644)
            with Book.open(folder / "ca.db", make=True):
                pass
            (folder / "ca.db").chmod(0o600)
            made = cls(folder, passphrase)
            write_whole(folder / "trust", seal_trust(made.certificate("headquarters"), signer.sign), 0o644)
        except OSError as error:
            raise BookUnusable(f"{folder}: {error.strerror}") from error
        return made

    def certificate(self, authority: AuthorityName) -> bytes:
        """An authority's certificate, PEM. Raises BookUnusable."""
        return self._read(f"{authority}.crt")

    def trust(self) -> bytes:
        """What a new terminal is told, signed by headquarters' key. Raises BookUnusable."""
        return self._read("trust")

    def book(self) -> AbstractContextManager[Book]:
        """One transaction on the book."""
        return Book.open(self.folder / "ca.db")

    def unlock(self, authority: AuthorityName) -> Authority:
        """With its key. Raises PassphraseWrong, BookUnusable."""
        try:
            return Authority.read(self.certificate(authority), self._read(f"{authority}.key"), self._passphrase)
        except CertificateUnusable as error:
            raise PassphraseWrong(f"{self.folder / authority}.key: {error}") from None

    def issue(
        self,
        name: str,
        *,
        hosts: Sequence[str] = (),
        days: float = SERVER_DAYS,
        folder: Path | None = None,
        now_ms: int,
    ) -> Pair:
        """A key and a certificate of headquarters: a server's with `hosts`, else a program's or a person's.

        Written to `folder` as NAME.crt and NAME.key where there is one, and kept up there by `renew`. Raises Refused.
        """
        check_terminal(name)  # the same letters, for the same places
        key = new_key()
        purpose: Purpose = "server" if hosts else "client"
        issued = self._enter("headquarters", name, key.public_key(), purpose, days, now_ms, hosts, folder)
        pair = Pair(certificate=issued.pem, key=key_pem(key))
        if folder is not None:
            _put(folder, name, pair)
        return pair

    def sign_terminal(
        self, terminal: str, key: ec.EllipticCurvePublicKey, *, now_ms: int, days: float = TERMINAL_DAYS
    ) -> Issued:
        """A terminal's certificate for the key that it made. Raises Refused."""
        return self._enter("terminals", check_terminal(terminal), key, "client", days, now_ms)

    def revoke(self, name: str, why: str, now_ms: int, *, authority: AuthorityName = "terminals") -> int:
        """All certificates of a name count no more; how many those were. Raises NothingIssued."""
        with self.book() as book:
            changed = book.execute(
                "UPDATE certificate SET revoked_ms = ?, why = ?"
                " WHERE authority = ? AND name = ? AND revoked_ms IS NULL AND ends_ms > ?",
                *(now_ms, why, authority, name, now_ms),
            ).rowcount
        if not changed:
            raise NothingIssued(f"no certificate of {name} counts")
        return changed

    def is_revoked(self, serial: int) -> bool:
        """Whether a certificate counts no more; one that is in no book never counted."""
        with self.book() as book:
            found = book.issued("serial = ?", f"{serial:x}")
        return not found or found[0].revoked_ms is not None

    def revocations(self, authority: AuthorityName, now_ms: int) -> bytes:
        """The newest list, PEM. Raises Refused."""
        signing = self.unlock(authority)
        with self.book() as book:
            number = int(book.setting(f"{authority}-list") or 0) + 1
            book.set(f"{authority}-list", str(number))
            found = book.issued("authority = ? AND revoked_ms IS NOT NULL AND ends_ms > ?", authority, now_ms)
        revoked = [Revoked(serial=int(each.serial, 16), time_ms=each.revoked_ms or 0) for each in found]
        return signing.revocations(revoked, number, now_ms)

    def publish(self, now_ms: int, folder: Path | None = None) -> Path | None:
        """Brings the broker's folder up to date: authorities, lists, and who is cut off though connected.

        The folder that is given once is remembered; None where there never was one. Raises Refused.
        """
        with self.book() as book:
            if folder is not None:
                book.set("broker-folder", str(folder.absolute()))
            place = book.setting("broker-folder")
            cut_off = _cut_off(book, now_ms)
        if not place:
            return None
        target = Path(place)
        try:
            for each in AUTHORITIES:
                write_whole(target / f"{each}.crt", self.certificate(each), 0o644)
                write_whole(target / f"{each}.crl", self.revocations(each, now_ms), 0o644)
            rules = target / "terminals.acl"
            text = _denying(rules.read_text(), cut_off)
            if text != rules.read_text():
                write_whole(rules, text.encode(), rules.stat().st_mode & 0o777)
        except OSError as error:
            raise PublishFailed(f"{error.filename or target}: {error.strerror}") from error
        return target

    def renew(self, now_ms: int) -> list[str]:
        """New keys and certificates for what headquarters runs, where they are due; their names. Raises Refused."""
        with self.book() as book:
            placed = book.issued("authority = 'headquarters' AND folder <> '' AND revoked_ms IS NULL")
        newest = {(each.name, each.folder): each for each in placed}
        due = [each for each in newest.values() if is_due(each.begins_ms, each.ends_ms, now_ms)]
        for each in due:
            days = (each.ends_ms - each.begins_ms) / 86_400_000 - BACKDATED.days
            hosts = each.hosts.split()
            self.issue(each.name, hosts=hosts, days=days, folder=Path(each.folder), now_ms=now_ms)
        return [each.name for each in due]

    def _enter(
        self,
        authority: AuthorityName,
        name: str,
        key: ec.EllipticCurvePublicKey,
        purpose: Purpose,
        days: float,
        now_ms: int,
        hosts: Sequence[str] = (),
        folder: Path | None = None,
    ) -> Issued:
        signing = self.unlock(authority)
        certificate = signing.issue(name, key, purpose=purpose, days=days, now_ms=now_ms, hosts=hosts)
        issued = Issued(
            serial=f"{certificate.serial_number:x}",
            authority=authority,
            name=name,
            purpose=purpose,
            hosts=" ".join(hosts),
            public_key=key_bytes(key),
            begins_ms=begins_ms(certificate),
            ends_ms=ends_ms(certificate),
            pem=certificate_pem(certificate),
            folder=str(folder.absolute()) if folder is not None else "",
            issued_ms=now_ms,
        )
        with self.book() as book:
            book.enter(issued)
        return issued

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise BookUnusable(f"{self.folder / name}: {error.strerror}") from error


def _put(folder: Path, name: str, pair: Pair) -> None:
    """The pair in its folder. Where new files get the folder's group, that group reads the key: it is the broker's."""
    try:
        mode = 0o640 if folder.stat().st_mode & stat.S_ISGID else 0o600
        write_whole(folder / f"{name}.key", pair.key, mode)
        write_whole(folder / f"{name}.crt", pair.certificate, 0o644)
    except OSError as error:
        raise PublishFailed(f"{error.filename or folder}: {error.strerror}") from error


def _cut_off(book: Book, now_ms: int) -> list[str]:
    """Terminals of which a certificate was revoked and none counts: a list alone does not end a connection that stands."""
    rows = book.execute(
        "SELECT name FROM certificate WHERE authority = 'terminals' AND ends_ms > ? GROUP BY name"
        " HAVING count(*) = count(revoked_ms) ORDER BY name",
        now_ms,
    )
    return [name for (name,) in rows]


def _denying(rules: str, terminals: Sequence[str]) -> str:
    """The broker's rules with these terminals shut out of everything; what people wrote there stays."""
    before, _, rest = rules.partition(f"{DENIED_BEGIN}\n")
    _, _, after = rest.partition(f"{DENIED_END}\n")
    denied = "".join(f"user {each}\ntopic deny #\n" for each in terminals)
    return f"{before}{DENIED_BEGIN}\n{denied}{DENIED_END}\n{after}" if denied or rest else before
