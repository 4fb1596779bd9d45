"""Who is let in, who returns, and who claims to be somebody else: the desk, over both kinds of database."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from core.enrolment import Answer, Ask, EnrolmentError, encode
from core.topics import alarm
from fleet.audit import listed as audited
from fleet.ca import CA
from fleet.ca_book import Issued
from fleet.certificates import CertificateUnusable, name_of, read_certificate
from fleet.cli import main
from fleet.enrol import (
    FORGOTTEN_AFTER_MS,
    RENEWALS_A_DAY_MAX,
    WAITING_AN_ADDRESS_MAX,
    Desk,
    IdentityClash,
    RequestUnknown,
    TooMany,
    alarming,
    entering,
)
from fleet.intake import trust
from fleet.operators import Role, add, make_first, sign_in
from fleet.report import summarize
from fleet.store import Address, Store, open_store
from fleet.told import Heard, Standing, change_of, keep, raised
from tests.fleet.applicants import Applicant
from tests.secured import now_ms
from tests.tills import make_key

KEY = make_key(9)
NOW = now_ms()
DAY_MS = 86_400_000
HERE = "192.0.2.7"


@pytest.fixture
def ca(tmp_path: Path) -> CA:
    return CA.make(tmp_path / "ca", "Test", KEY, NOW)


@pytest.fixture
def store(address: Address) -> Iterator[Store]:
    opened = open_store(address, now_ms=NOW)
    yield opened
    opened.close()


@pytest.fixture
def desk(ca: CA, store: Store) -> Desk:
    return Desk(ca, entering(store, KEY), alarming(store, notify=True))


def enrolled(desk: Desk, terminal: Applicant, at_ms: int = NOW, *, replace: bool = False) -> Answer:
    desk.ask(terminal.ask(), HERE, at_ms)
    desk.approve(terminal.code, at_ms, who="sam", workstation="North", replace=replace)
    return desk.ask(terminal.ask(), HERE, at_ms)


def raised_of(store: Store) -> list[tuple[str, str, dict[str, str | int]]]:
    with store.transaction() as statements:
        return [(each.terminal, each.type, each.v) for each in raised(statements)]


def der(answer: Answer) -> bytes:
    return read_certificate(answer.certificate.encode()).public_bytes(Encoding.DER)


def counts(ca: CA, answer: Answer) -> bool:
    return not ca.is_revoked(read_certificate(answer.certificate.encode()).serial_number)


def certificates(ca: CA, name: str) -> list[Issued]:
    with ca.book() as book:
        return book.issued("name = ?", name)


def test_a_terminal_waits_until_somebody_has_typed_its_code(desk: Desk, store: Store, ca: CA) -> None:
    terminal = Applicant()
    answer = desk.ask(terminal.ask(), HERE, NOW)
    assert (answer.state, answer.code, answer.certificate) == ("waiting", terminal.code, "")
    ((waiting,), clashes) = desk.listed()
    assert (waiting.wanted, waiting.address, waiting.doubt, waiting.about) == ("till-1", HERE, "", "board 7 [2J")
    assert clashes == []
    typed = terminal.code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert desk.approve(typed, NOW, who="sam", workstation="North, 2") == "till-1"
    answer = desk.ask(terminal.ask(), HERE, NOW)
    certificate = read_certificate(answer.certificate.encode())
    assert (answer.state, answer.terminal, answer.workstation) == ("approved", "till-1", "North, 2")
    assert name_of(certificate) == "till-1"
    assert certificate.public_key() == terminal.key.public_key()
    with store.transaction() as statements:
        row = statements.execute("SELECT signing_key, trust FROM terminal WHERE id = 'till-1'").fetchone()
        assert (bytes(row[0]), row[1]) == (terminal.journal.public_key, "pinned")
        row = statements.execute("SELECT workstation FROM registry WHERE terminal = 'till-1'").fetchone()
        assert row[0] == "North, 2"
    (entry,) = audited(store.address)
    assert (entry.who, entry.action, entry.terminals) == ("sam", "enrol-approve", ("till-1",))
    assert desk.approve(terminal.code, NOW, who="sam") == "till-1"  # a second time changes nothing
    assert len(certificates(ca, "till-1")) == 1


def test_headquarters_may_give_another_name(desk: Desk) -> None:
    terminal = Applicant("new")
    desk.ask(terminal.ask(), HERE, NOW)
    assert desk.approve(terminal.code, NOW, who="sam", terminal="till-7") == "till-7"
    answer = desk.ask(terminal.ask(), HERE, NOW)
    assert name_of(read_certificate(answer.certificate.encode())) == answer.terminal == "till-7"


def test_who_is_refused_is_told(desk: Desk) -> None:
    terminal = Applicant()
    desk.ask(terminal.ask(), HERE, NOW)
    desk.refuse(terminal.code, NOW)
    assert desk.ask(terminal.ask(), HERE, NOW).state == "refused"
    with pytest.raises(RequestUnknown):
        desk.refuse(terminal.code, NOW)
    assert desk.listed()[0] == []
    assert [each.state for each in desk.listed(everything=True)[0]] == ["refused"]
    desk.approve(terminal.code, NOW, who="sam")  # it was a mistake
    assert desk.ask(terminal.ask(), HERE, NOW).state == "approved"


def test_nobody_asks_in_anothers_name(desk: Desk) -> None:
    terminal = Applicant()
    other = Applicant(journal=2)
    with pytest.raises(EnrolmentError, match="not signed by the journal"):
        desk.ask(terminal.ask(other.journal), HERE, NOW)
    csr = terminal.csr().decode()
    swapped = csr.replace(csr[60:70], csr[70:80])
    proof = terminal.journal.sign(b"")
    with pytest.raises((EnrolmentError, CertificateUnusable)):
        desk.ask(encode(Ask(csr=swapped, journal_key=terminal.journal.public_key.hex(), proof=proof.hex())), HERE, NOW)
    assert desk.listed()[0] == []


@pytest.mark.parametrize("name", ["till/1", "#", "", "4111111111111111", "a" * 64])
def test_a_name_that_can_be_no_terminals_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises((EnrolmentError, CertificateUnusable, ValueError)):
        desk.ask(Applicant(name).ask(), HERE, NOW)
    assert desk.listed()[0] == []


# --- those who are known -----------------------------------------------------------------------------------------


def test_one_from_a_drawer_is_known_by_its_journal(desk: Desk, ca: CA) -> None:
    first = enrolled(desk, Applicant())
    later = NOW + 400 * DAY_MS
    returning = Applicant()
    desk.ask(returning.ask(), HERE, later)
    ((waiting,), clashes) = desk.listed()
    assert (waiting.doubt, clashes) == ("returns", [])
    desk.approve(returning.code, later, who="sam")
    answer = desk.ask(returning.ask(), HERE, later)
    assert answer.state == "approved"
    assert counts(ca, first)  # it ended by itself: nothing was to be revoked
    assert counts(ca, answer)


def test_a_replacement_puts_out_what_it_replaces(desk: Desk, ca: CA) -> None:
    first = enrolled(desk, Applicant())
    second = enrolled(desk, Applicant(), NOW + DAY_MS)  # the journal's key came from the stick
    assert not counts(ca, first)
    assert counts(ca, second)
    assert desk.listed()[1] == []


def test_another_journal_under_a_known_name_is_a_clash(desk: Desk, ca: CA, store: Store) -> None:
    first = enrolled(desk, Applicant(journal=1))
    other = Applicant(journal=2)
    for _ in range(3):
        assert desk.ask(other.ask(), "198.51.100.9", NOW).state == "waiting"
    ((waiting,), (clash,)) = desk.listed()
    assert (waiting.doubt, clash.terminal, clash.address) == ("clash", "till-1", "198.51.100.9")
    with pytest.raises(IdentityClash):
        desk.approve(other.code, NOW, who="sam")
    assert counts(ca, first)
    answer = enrolled(desk, other, replace=True)
    assert answer.state == "approved"
    assert not counts(ca, first)
    with store.transaction() as statements:
        row = statements.execute("SELECT signing_key FROM terminal WHERE id = 'till-1'").fetchone()
        assert bytes(row[0]) == other.journal.public_key
    assert raised_of(store) == [("till-1", "enrolment-clash", {"address": "198.51.100.9"})]
    # No terminal takes it away, by a message or by leaving it out of its list.
    assert change_of("till-1", alarm("till-1", "enrolment-clash"), b"") is None
    keep(store, Heard(changes=[Standing("till-1", NOW + DAY_MS, frozenset())]), NOW, notify=True)
    assert len(raised_of(store)) == 1
    desk.settle("till-1", NOW)
    assert desk.listed()[1] == []
    assert raised_of(store) == []
    with store.transaction() as statements:
        notices = statements.execute("SELECT body FROM notice ORDER BY number").fetchall()
    assert [json.loads(body)["state"] for (body,) in notices] == ["raised", "cleared"]


def test_a_name_whose_records_another_journal_signed_is_a_clash(desk: Desk, store: Store) -> None:
    trust(store, "till-1", make_key(5).public_key, NOW)
    terminal = Applicant()
    desk.ask(terminal.ask(), HERE, NOW)
    with pytest.raises(IdentityClash, match="another journal signed"):
        desk.approve(terminal.code, NOW, who="sam")
    assert audited(store.address) == []
    assert desk.ask(terminal.ask(), HERE, NOW).state == "waiting"


# --- renewal -----------------------------------------------------------------------------------------------------


def test_a_certificate_is_renewed_by_itself(desk: Desk, ca: CA) -> None:
    terminal = Applicant()
    first = enrolled(desk, terminal)
    answer = desk.renew(terminal.renew(), der(first), HERE, NOW + 120 * DAY_MS)
    assert (answer.state, answer.terminal, answer.workstation) == ("approved", "till-1", "North")
    assert read_certificate(answer.certificate.encode()).public_key() == terminal.key.public_key()
    assert counts(ca, first)  # until it ends: the answer may be lost
    again = desk.renew(terminal.again(), der(first), HERE, NOW + 120 * DAY_MS)
    assert again.certificate == answer.certificate
    assert desk.listed()[1] == []
    assert desk.renew(terminal.renew(), der(answer), HERE, NOW + 240 * DAY_MS).state == "approved"


def test_a_terminal_renews_so_often_and_no_more(desk: Desk) -> None:
    terminal = Applicant()
    answer = enrolled(desk, terminal)
    for _ in range(RENEWALS_A_DAY_MAX - 1):
        answer = desk.renew(terminal.renew(), der(answer), HERE, NOW)
    with pytest.raises(TooMany):
        desk.renew(terminal.renew(), der(answer), HERE, NOW)
    assert desk.renew(terminal.renew(), der(answer), HERE, NOW + 2 * DAY_MS).state == "approved"


def test_two_with_the_same_certificate_are_found_when_both_have_renewed(desk: Desk) -> None:
    terminal = Applicant()
    first = enrolled(desk, terminal)
    assert desk.renew(terminal.renew(), der(first), HERE, NOW).state == "approved"
    copy = Applicant()
    answer = desk.renew(copy.renew(), der(first), "198.51.100.9", NOW)
    assert (answer.state, answer.certificate) == ("refused", "")
    (clash,) = desk.listed()[1]
    assert (clash.terminal, clash.address, clash.times) == ("till-1", "198.51.100.9", 1)


def test_a_revoked_terminal_renews_nothing(desk: Desk, ca: CA) -> None:
    terminal = Applicant()
    first = enrolled(desk, terminal)
    ca.revoke("till-1", "stolen", NOW)
    assert desk.renew(terminal.renew(), der(first), HERE, NOW).state == "refused"
    assert desk.ask(terminal.ask(), HERE, NOW).state == "waiting"  # a person decides


def test_a_terminal_renews_its_own_name_alone(desk: Desk) -> None:
    first = enrolled(desk, Applicant("till-1", 1))
    other = Applicant("till-2", 2)
    enrolled(desk, other)
    with pytest.raises(EnrolmentError, match="till-1"):
        desk.renew(other.renew(), der(first), HERE, NOW)


# --- many --------------------------------------------------------------------------------------------------------


def test_a_code_that_was_approved_ahead_is_let_in_when_it_comes(desk: Desk, store: Store) -> None:
    terminal = Applicant("new")
    desk.expect(terminal.code.lower(), "till-7", "South", "sam", NOW)
    answer = desk.ask(terminal.ask(), HERE, NOW)
    assert (answer.state, answer.terminal, answer.workstation) == ("approved", "till-7", "South")
    assert [entry.who for entry in audited(store.address)] == ["sam"]


def test_a_clash_is_not_let_in_ahead(desk: Desk) -> None:
    enrolled(desk, Applicant(journal=1))
    other = Applicant(journal=2)
    desk.expect(other.code, "till-1", "", "sam", NOW)
    assert desk.ask(other.ask(), HERE, NOW).state == "waiting"


def test_strangers_do_not_fill_the_book(desk: Desk, ca: CA) -> None:
    with ca.book() as book:
        for number in range(WAITING_AN_ADDRESS_MAX):
            book.execute(
                "INSERT INTO request (code, wanted, csr, journal_key, address, about, first_ms, last_ms, state, doubt)"
                " VALUES (?, 'x', x'', x'', ?, '', ?, ?, 'waiting', '')",
                *(str(number), HERE, NOW, NOW),
            )
    with pytest.raises(TooMany):
        desk.ask(Applicant().ask(), HERE, NOW)
    assert desk.ask(Applicant().ask(), "198.51.100.9", NOW).state == "waiting"
    later = NOW + FORGOTTEN_AFTER_MS + 1
    assert desk.ask(Applicant("till-2", 2).ask(), HERE, later).state == "waiting"
    assert len(desk.listed()[0]) == 1


# --- by command --------------------------------------------------------------------------------------------------


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """What is typed: a password for each command."""
    path = tmp_path / "typed"
    path.write_text("seven small grey terminals\n" * 20)
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        yield []


def test_by_command(ca: CA, tmp_path: Path, typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    database = tmp_path / "headquarters.db"
    key = tmp_path / "ack-key"
    key.write_text("09" * 32)
    key.chmod(0o400)
    store = open_store(database, now_ms=NOW)
    make_first(store, KEY, "ada", "seven small grey terminals", NOW)
    ada = sign_in(store, KEY, "ada", "seven small grey terminals", NOW)
    for name, role in (("sam", Role.SECURITY), ("kim", Role.SUPPORT)):
        add(store, KEY, ada, name, [role], "seven small grey terminals", NOW)
    store.close()
    desk = Desk(ca)
    one, two, three = (Applicant(f"till-{number}", number) for number in (1, 2, 3))
    desk.ask(one.ask(), HERE, now_ms())

    def run(*words: object, by: str = "sam") -> int:
        at = ("--as", by, "--database", database, "--key", key, "--ca-folder", ca.folder)
        return main([str(word) for word in (*words, *at)])

    assert main(["enrol", "list", "--ca-folder", str(ca.folder)]) == 0
    assert one.code in capsys.readouterr().out
    assert run("enrol", "approve", one.code, by="kim") == 1
    assert "role-needed" in capsys.readouterr().err
    assert run("enrol", "approve", two.code) == 1
    assert "enrol-unknown" in capsys.readouterr().err
    assert run("enrol", "approve") == 2
    with pytest.raises(SystemExit):
        run("enrol", "approve", "no-code")
    bulk = tmp_path / "bulk.csv"
    bulk.write_text(f"code,terminal,workstation\n{one.code},till-1,North\n{two.code},till/2,South\n,,\nx,till-1\n")
    assert run("enrol", "approve", "--bulk", bulk) == 2
    said = capsys.readouterr().err
    assert f"{bulk}:3: " in said
    assert f"{bulk}:5: " in said
    assert desk.ask(one.ask(), HERE, now_ms()).state == "waiting"
    bulk.write_text(f"{one.code},till-1,North\n{two.code},till-2,\n")
    assert run("enrol", "approve", "--bulk", bulk) == 0
    assert "will be till-2" in capsys.readouterr().out
    assert desk.ask(one.ask(), HERE, now_ms()).workstation == "North"
    desk.ask(three.ask(), HERE, now_ms())
    assert run("enrol", "refuse", three.code) == 0
    assert run("enrol", "settle", "till-1") == 0
    assert run("ca", "revoke", "till-1", "--why", "stolen") == 0
    assert run("ca", "revoke", "till-9", "--why", "stolen") == 1
    assert "ca-unknown" in capsys.readouterr().err
    actions = [(each.action, each.outcome.partition(":")[0]) for each in audited(database)]
    assert ("enrol-approve", "refused") in actions
    assert {("enrol-approve", "done"), ("enrol-refuse", "done"), ("ca-revoke", "done")} <= set(actions)
    assert {each.terminal: each.trust for each in summarize(database).terminals}.get("till-1") == "pinned"
