"""The enrolment desk: who asks to be a terminal, who is let in, and who claims to be somebody who is there already.

What it decides by is in the authorities' book; what headquarters' database must know of it (the journal's key, the place,
who approved) is written there first, in one transaction. Everything can be done twice.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from core.enrolment import Answer, EnrolmentError, Renew, claim_code, read_ask, read_code, read_renew
from core.ports import Signer
from core.topics import check_terminal
from fleet.audit import note
from fleet.ca import CA
from fleet.ca_book import Book, Issued
from fleet.certificates import key_bytes, name_of, parse_certificate, read_request
from fleet.intake import pin
from fleet.refusal import Refused
from fleet.store import Store
from fleet.told import clash, keep

AGAIN_S = ((15 * 60, 5), (86_400, 60), (float("inf"), 600))
"""How soon a terminal that has waited for so long (seconds) asks again: while people sit before it, soon."""
ASKS_A_SECOND = 20
"""Where many wait, each asks so seldom that they are no more than this together."""
WAITING_MAX = 10_000
WAITING_AN_ADDRESS_MAX = 500
"""Requests that may wait, in all and from one address (a roll-out may be behind one router)."""
SEEN_EVERY_MS = 60_000
"""That a terminal still waits is written down so often: each writing is a flush."""
FORGOTTEN_AFTER_MS = 7 * 86_400_000
"""A request that was not repeated for so long is forgotten."""
RENEWALS_A_DAY_MAX = 10
"""Of one terminal: whoever has its certificate fills no book with others."""
ABOUT_CHARACTERS_MAX = 200

_log = logging.getLogger(__name__)


class RequestUnknown(Refused):
    """Nobody who waits shows this code."""

    code = "enrol-unknown"
    remedy = "`terminald-fleet enrol list` shows who waits; read the code on the terminal's own screen."


class IdentityClash(Refused):
    """The terminal is known, and this is another one."""

    code = "enrol-clash"
    remedy = (
        "Find out which of the two is the shop's. If this one takes the other's place, approve it with --replace: the"
        " other's certificate then counts no more."
    )


class TooMany(EnrolmentError):
    """More wait than can."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who asks. `doubt`: nothing, `returns` (a known terminal by its journal's key) or `clash` (a known name,
    and not its key)."""

    code: str
    wanted: str
    address: str
    about: str
    first_ms: int
    last_ms: int
    state: str
    doubt: str
    terminal: str = ""


class Clash(msgspec.Struct, frozen=True, kw_only=True):
    """Two claim one identity."""

    terminal: str
    what: str
    address: str
    first_ms: int
    last_ms: int
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What headquarters' database is told of a terminal that was let in."""

    code: str
    terminal: str
    workstation: str
    journal_key: bytes
    who: str
    replaces: bool


Enter = Callable[[Approval, int], None]
"""Writes an approval to headquarters' database. Raises IdentityClash, DatabaseError."""
Alarm = Callable[[str, int | None, str], None]
"""Raises headquarters' alarm that two claim a name, since a time (ms) and from an address; None: it is over."""


def entering(store: Store, signer: Signer) -> Enter:
    """Writes to this database: the journal's key is pinned, the place noted, and who approved it."""

    def enter(approval: Approval, now_ms: int) -> None:
        with store.transaction() as statements:
            row = statements.execute("SELECT signing_key FROM terminal WHERE id = ?", (approval.terminal,)).fetchone()
            if row is not None and bytes(row[0]) != approval.journal_key and not approval.replaces:
                raise IdentityClash(f"{approval.terminal} has sent records that another journal signed")
            pin(statements, approval.terminal, approval.journal_key, now_ms)
            statements.execute(
                "INSERT INTO registry (terminal, workstation, noted_ms) VALUES (?, ?, ?) ON CONFLICT (terminal) DO"
                " UPDATE SET workstation = CASE WHEN excluded.workstation = '' THEN registry.workstation"
                " ELSE excluded.workstation END, retired_ms = NULL, noted_ms = excluded.noted_ms",
                (approval.terminal, approval.workstation, now_ms),
            )
            about = {"code": approval.code, "workstation": approval.workstation, "replaces": approval.replaces}
            note(
                statements, signer, now_ms=now_ms, who=approval.who, action="enrol-approve", outcome="done",
                terminals=(approval.terminal,), about=about,
            )  # fmt: skip

    return enter


def alarming(store: Store, *, notify: bool) -> Alarm:
    """Raises it in this database; `notify`: a webhook is told."""

    def alarm(terminal: str, since_ms: int | None, address: str) -> None:
        keep(store, clash(terminal, since_ms, address), time.time_ns() // 1_000_000, notify=notify)

    return alarm


class Desk:
    """Answers terminals and people. Every method is one piece of work that blocks; `enter` is what approving takes."""

    def __init__(
        self, ca: CA, enter: Enter | None = None, alarm: Alarm = lambda terminal, since_ms, address: None
    ) -> None:
        self._ca = ca
        self._enter = enter
        self._alarm = alarm

    # --- what terminals ask --------------------------------------------------------------------------------------

    def ask(self, payload: bytes, address: str, now_ms: int) -> Answer:
        """A terminal without a good certificate asks, or asks again. Raises EnrolmentError, CertificateUnusable."""
        ask, journal_key = read_ask(payload)
        csr = ask.csr.encode()
        wanted, key = read_request(csr)
        try:
            check_terminal(wanted)
        except ValueError as error:
            raise EnrolmentError(str(error)) from None
        code = claim_code(key_bytes(key), journal_key)
        with self._ca.book() as book:
            row = book.execute("SELECT state, last_ms FROM request WHERE code = ?", code).fetchone()
            if row is None:
                _make_room(book, address, now_ms)
                doubt = self._doubt(book, wanted, journal_key, address, now_ms)
                book.execute(
                    "INSERT INTO request (code, wanted, csr, journal_key, address, about, first_ms, last_ms, state, doubt)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'waiting', ?)",
                    *(code, wanted, csr, journal_key, address, _plain(ask.about), now_ms, now_ms, doubt),
                )
                row = ("waiting", now_ms)
            elif now_ms - row[1] > SEEN_EVERY_MS:
                book.execute("UPDATE request SET last_ms = ?, address = ? WHERE code = ?", now_ms, address, code)
            expected = book.execute("SELECT terminal, workstation, who FROM expected WHERE code = ?", code).fetchone()
        if row[0] == "waiting" and expected is not None:
            try:
                self.approve(code, now_ms, terminal=expected[0], workstation=expected[1], who=expected[2])
            except Refused as error:  # a person must look at it
                _log.error("%s: %s", error.code, error)
        return self._state_of(code)

    def renew(self, payload: bytes, certificate: bytes, address: str, now_ms: int) -> Answer:
        """A terminal asks by its good certificate (DER) for the next one. Raises EnrolmentError, CertificateUnusable."""
        renew: Renew = read_renew(payload)
        current = parse_certificate(certificate)
        wanted, key = read_request(renew.csr.encode())
        name = name_of(current)
        if wanted != name:
            raise EnrolmentError(f"the certificate is that of {name}, and the request names {wanted}")
        serial = f"{current.serial_number:x}"
        with self._ca.book() as book:
            found = book.issued("authority = 'terminals' AND serial = ? AND revoked_ms IS NULL", serial)
            newest = book.newest("terminals", name)
            if not found or newest is None:
                return Answer(state="refused", why="the certificate was revoked")
            if newest.serial != serial:
                if newest.public_key == key_bytes(key):  # the answer to it was lost
                    return self._approved(book, newest)
                self._clash(
                    book, name, "a certificate was renewed that another one had renewed before", address, now_ms
                )
                return Answer(state="refused", why="this certificate was renewed before: ask for enrolment")
            if len(book.issued("name = ? AND issued_ms > ?", name, now_ms - 86_400_000)) >= RENEWALS_A_DAY_MAX:
                raise TooMany(f"{name} was given {RENEWALS_A_DAY_MAX} certificates within a day")
        issued = self._ca.sign_terminal(name, key, now_ms=now_ms)
        with self._ca.book() as book:
            return self._approved(book, issued)

    # --- what people decide --------------------------------------------------------------------------------------

    def approve(
        self,
        code: str,
        now_ms: int,
        *,
        who: str,
        terminal: str = "",
        workstation: str = "",
        replace: bool = False,
    ) -> str:
        """Lets in whoever shows this code, also after a refusal; the terminal's name. Raises Refused, EnrolmentError, DatabaseError."""
        code = read_code(code)
        with self._ca.book() as book:
            row = book.execute("SELECT wanted, csr, journal_key, state FROM request WHERE code = ?", code).fetchone()
            if row is None:
                raise RequestUnknown(f"nobody who waits shows {code}")
            wanted, csr, journal_key, state = row
            name = check_terminal(terminal or wanted)
            known = book.execute("SELECT journal_key FROM terminal WHERE id = ?", name).fetchone()
        if state == "approved":
            return name
        if known is not None and known[0] != journal_key and not replace:
            raise IdentityClash(f"{name} is enrolled, and its journal is signed by another key")
        assert self._enter is not None
        self._enter(
            Approval(
                code=code, terminal=name, workstation=workstation, journal_key=journal_key, who=who, replaces=replace
            ),
            now_ms,
        )  # fmt: skip
        with self._ca.book() as book:
            before = book.newest("terminals", name)
        if before is not None and before.ends_ms > now_ms:
            self._ca.revoke(name, f"enrolled anew by {code}", now_ms)
        _, key = read_request(csr)
        issued = self._ca.sign_terminal(name, key, now_ms=now_ms)
        with self._ca.book() as book:
            book.execute(
                "UPDATE request SET state = 'approved', terminal = ?, serial = ?, decided_ms = ? WHERE code = ?",
                *(name, issued.serial, now_ms, code),
            )
            book.execute(
                "INSERT INTO terminal (id, workstation, journal_key, enrolled_ms) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO"
                " UPDATE SET workstation = excluded.workstation, journal_key = excluded.journal_key,"
                " enrolled_ms = excluded.enrolled_ms",
                *(name, workstation, journal_key, now_ms),
            )
            book.execute("DELETE FROM expected WHERE code = ?", code)
        if known is not None or before is not None:
            self._ca.publish(now_ms)
        return name

    def expect(self, code: str, terminal: str, workstation: str, who: str, now_ms: int) -> None:
        """Approves a code that nobody has shown yet. Raises EnrolmentError, ValueError, BookUnusable."""
        with self._ca.book() as book:
            book.execute(
                "INSERT OR REPLACE INTO expected (code, terminal, workstation, who, time_ms) VALUES (?, ?, ?, ?, ?)",
                *(read_code(code), check_terminal(terminal), workstation, who, now_ms),
            )

    def refuse(self, code: str, now_ms: int) -> None:
        """Sends away whoever shows this code. Raises RequestUnknown, EnrolmentError, BookUnusable."""
        with self._ca.book() as book:
            changed = book.execute(
                "UPDATE request SET state = 'refused', decided_ms = ? WHERE code = ? AND state = 'waiting'",
                *(now_ms, read_code(code)),
            ).rowcount
        if not changed:
            raise RequestUnknown(f"nobody who waits shows {read_code(code)}")

    def settle(self, terminal: str, now_ms: int) -> None:
        """The clashes about a terminal are understood. Raises BookUnusable."""
        with self._ca.book() as book:
            book.execute("UPDATE clash SET settled_ms = ? WHERE terminal = ? AND settled_ms IS NULL", now_ms, terminal)
        self._alarm(terminal, None, "")

    def listed(self, *, everything: bool = False) -> tuple[list[Waiting], list[Clash]]:
        """Who waits, and the open clashes; `everything`: those that were decided too."""
        with self._ca.book() as book:
            waiting = _rows(book, Waiting, "request", "1" if everything else "state = 'waiting'", "first_ms")
            return waiting, _rows(book, Clash, "clash", "settled_ms IS NULL", "last_ms")

    # --- the book ------------------------------------------------------------------------------------------------

    def _doubt(self, book: Book, wanted: str, journal_key: bytes, address: str, now_ms: int) -> str:
        known = book.execute("SELECT journal_key FROM terminal WHERE id = ?", wanted).fetchone()
        if known is None:
            return ""
        if known[0] == journal_key:
            return "returns"
        self._clash(book, wanted, "another journal asks to be enrolled under its name", address, now_ms)
        return "clash"

    def _clash(self, book: Book, terminal: str, what: str, address: str, now_ms: int) -> None:
        _log.error("two claim to be %s: %s (from %s)", terminal, what, address)
        changed = book.execute(
            "UPDATE clash SET times = times + 1, last_ms = ?, address = ?"
            " WHERE terminal = ? AND what = ? AND settled_ms IS NULL",
            *(now_ms, address, terminal, what),
        ).rowcount
        if not changed:
            book.execute(
                "INSERT INTO clash (terminal, what, address, first_ms, last_ms, times) VALUES (?, ?, ?, ?, ?, 1)",
                *(terminal, what, address, now_ms, now_ms),
            )
        (since_ms,) = book.execute(
            "SELECT min(first_ms) FROM clash WHERE terminal = ? AND settled_ms IS NULL", terminal
        ).fetchone()
        self._alarm(terminal, since_ms, address)

    def _state_of(self, code: str) -> Answer:
        with self._ca.book() as book:
            row = book.execute("SELECT state, serial, last_ms - first_ms FROM request WHERE code = ?", code).fetchone()
            state, serial, waited_ms = row
            if state == "waiting":
                (waiting,) = book.execute("SELECT count(*) FROM request WHERE state = 'waiting'").fetchone()
                again_s = next(again_s for until_s, again_s in AGAIN_S if waited_ms < 1000 * until_s)
                return Answer(state="waiting", code=code, again_s=max(again_s, waiting // ASKS_A_SECOND))
            issued = book.issued("serial = ? AND revoked_ms IS NULL", serial)
            if state == "refused" or not issued:
                return Answer(state="refused", code=code, why="headquarters refused it")
            return msgspec.structs.replace(self._approved(book, issued[0]), code=code)

    def _approved(self, book: Book, issued: Issued) -> Answer:
        row = book.execute("SELECT workstation FROM terminal WHERE id = ?", issued.name).fetchone()
        return Answer(
            state="approved",
            terminal=issued.name,
            workstation=row[0] if row else "",
            certificate=issued.pem.decode(),
        )


def _make_room(book: Book, address: str, now_ms: int) -> None:
    book.execute("DELETE FROM request WHERE state = 'waiting' AND last_ms < ?", now_ms - FORGOTTEN_AFTER_MS)
    (waiting,) = book.execute("SELECT count(*) FROM request WHERE state = 'waiting'").fetchone()
    (here,) = book.execute("SELECT count(*) FROM request WHERE state = 'waiting' AND address = ?", address).fetchone()
    if waiting >= WAITING_MAX or here >= WAITING_AN_ADDRESS_MAX:
        raise TooMany("too many wait to be enrolled: have some approved or refused first")


def _rows(book: Book, kind: Any, table: str, where: str, order: str) -> list[Any]:
    names = kind.__struct_fields__
    sql = f"SELECT {', '.join(names)} FROM {table} WHERE {where} ORDER BY {order}"  # noqa: S608 # our own names
    return [kind(**dict(zip(names, row, strict=True))) for row in book.execute(sql)]


def _plain(text: str) -> str:
    """What a stranger says of itself, as it may stand in a table."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:ABOUT_CHARACTERS_MAX]
