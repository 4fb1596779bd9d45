"""Who may give orders, how often a password may be guessed, and the log of it all; on both databases."""

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet import operators as o
from fleet.audit import listed, look_through
from fleet.cli import main
from fleet.database import DatabaseError
from fleet.operators import Role
from fleet.store import Address, Server, Store, open_store
from tests.postgres import Cluster
from tests.tills import make_key

KEY = make_key(5)
PASSWORD = "correct horse battery"
MINUTE_MS = 60_000


@pytest.fixture
def store(address: Address) -> Iterator[Store]:
    opened = open_store(address, now_ms=1)
    yield opened
    opened.close()


@pytest.fixture
def admin(store: Store) -> o.Operator:
    o.make_first(store, KEY, "ada", PASSWORD, 1)
    return o.sign_in(store, KEY, "ada", PASSWORD, 1)


def url(store: Store) -> str:
    return store.address.url if isinstance(store.address, Server) else str(store.address)


def test_nobody_is_there_by_default(store: Store) -> None:
    assert o.listed(store.address) == []
    with pytest.raises(o.OperatorRefused, match="no operator 'admin'"):
        o.sign_in(store, KEY, "admin", "admin", 1)


def test_the_first_one_is_made_once(store: Store, admin: o.Operator) -> None:
    assert admin.roles == (Role.ADMIN,)
    with pytest.raises(o.OperatorUnfit, match="operators already"):
        o.make_first(store, KEY, "eve", PASSWORD, 1)
    assert [each.name for each in o.listed(store.address)] == ["ada"]


def test_an_admin_makes_others_who_make_nobody(store: Store, admin: o.Operator) -> None:
    o.add(store, KEY, admin, "kim", [Role.SUPPORT, Role.MANAGER], "another good phrase", 2)
    kim = o.sign_in(store, KEY, "kim", "another good phrase", 3)
    assert kim.roles == (Role.MANAGER, Role.SUPPORT)
    with pytest.raises(o.RoleNeeded, match="takes the role admin, and kim is manager, support"):
        o.add(store, KEY, kim, "eve", [Role.ADMIN], PASSWORD, 4)
    with pytest.raises(o.RoleNeeded):
        o.change_password(store, KEY, kim, "ada", "a phrase of my own", 4)
    o.change_password(store, KEY, kim, "kim", "a phrase of my own", 4)
    assert o.sign_in(store, KEY, "kim", "a phrase of my own", 5) == kim
    with pytest.raises(o.OperatorUnfit, match="already"):
        o.add(store, KEY, admin, "kim", [Role.ADMIN], PASSWORD, 6)


@pytest.mark.parametrize("password", ["", "short", "aaaaaaaaaaaaaaaa", "my name is kim!!", "x" * 15 + "yz" * 200])
def test_what_is_guessed_first_is_no_password(store: Store, admin: o.Operator, password: str) -> None:
    with pytest.raises(o.OperatorUnfit, match="a password"):
        o.add(store, KEY, admin, "kim", [Role.SUPPORT], password, 2)


@pytest.mark.parametrize("name", ["", "K", "Kim", "4kim", "a b", "k" * 40, "k4111111111111111", "kim\n"])
def test_names_that_are_none(store: Store, admin: o.Operator, name: str) -> None:
    with pytest.raises(o.OperatorUnfit, match="is no name"):
        o.add(store, KEY, admin, name, [Role.SUPPORT], PASSWORD, 2)


def test_five_tries_in_vain_lock_for_half_an_hour_whatever_restarts(store: Store, admin: o.Operator) -> None:
    for left in (4, 3, 2, 1):
        with pytest.raises(o.OperatorRefused, match=f"tries left: {left}"):
            o.sign_in(store, KEY, "ada", "wrong", 10)
    with (
        contextlib.closing(open_store(store.address, now_ms=1)) as again,
        pytest.raises(o.OperatorRefused, match="locked"),
    ):
        o.sign_in(again, KEY, "ada", "wrong", 10)
    with pytest.raises(o.OperatorLocked, match="30 more minutes"):
        o.sign_in(store, KEY, "ada", PASSWORD, 10)
    with pytest.raises(o.OperatorLocked, match="1 more minutes"):
        o.sign_in(store, KEY, "ada", PASSWORD, 10 + 30 * MINUTE_MS - 1)
    assert o.sign_in(store, KEY, "ada", PASSWORD, 10 + 30 * MINUTE_MS) == admin
    with pytest.raises(o.OperatorRefused, match="tries left: 4"):
        o.sign_in(store, KEY, "ada", "wrong", 20 + 30 * MINUTE_MS)


def test_a_new_password_opens_a_lock(store: Store, admin: o.Operator) -> None:
    o.add(store, KEY, admin, "kim", [Role.SUPPORT], PASSWORD, 2)
    for _ in range(o.TRIES_MAX):
        with pytest.raises(o.OperatorRefused):
            o.sign_in(store, KEY, "kim", "wrong", 3)
    o.change_password(store, KEY, admin, "kim", "another good phrase", 4)
    assert o.sign_in(store, KEY, "kim", "another good phrase", 5).name == "kim"


def test_the_disabled_stay_out_and_one_admin_stays_in(store: Store, admin: o.Operator) -> None:
    o.add(store, KEY, admin, "kim", [Role.SUPPORT], PASSWORD, 2)
    o.disable(store, KEY, admin, "kim", 3)
    with pytest.raises(o.OperatorRefused, match="kim is disabled"):
        o.sign_in(store, KEY, "kim", PASSWORD, 4)
    o.disable(store, KEY, admin, "kim", 5, back=True)
    assert o.sign_in(store, KEY, "kim", PASSWORD, 6).name == "kim"
    before = len(listed(store.address))
    with pytest.raises(o.OperatorUnfit, match="nobody would be left"):
        o.disable(store, KEY, admin, "ada", 7)
    with pytest.raises(o.OperatorUnfit, match="nobody would be left"):
        o.change_roles(store, KEY, admin, "ada", [Role.MANAGER], 7)
    with pytest.raises(o.OperatorUnfit, match="no operator 'eve'"):
        o.disable(store, KEY, admin, "eve", 7)
    assert len(listed(store.address)) == before
    o.change_roles(store, KEY, admin, "kim", [Role.ADMIN], 8)
    o.disable(store, KEY, admin, "ada", 9)


def test_the_log_tells_who_did_what(store: Store, admin: o.Operator) -> None:
    o.add(store, KEY, admin, "kim", [Role.SUPPORT], PASSWORD, 2)
    with pytest.raises(o.OperatorRefused):
        o.sign_in(store, KEY, "kim", "4111111111111111", 3)
    said = [(each.time_ms, each.who, each.action, each.outcome) for each in listed(store.address)]
    assert said == [
        (1, "", "operator-add", "done"),
        (2, "ada", "operator-add", "done"),
        (3, "kim", "sign-in", "refused: wrong password"),
    ]
    assert "4111" not in str(listed(store.address))
    assert [each.seq for each in listed(store.address, newest=2)] == [2, 3]
    found = look_through(store.address, KEY.public_key)
    assert (found.entries, found.broken) == (3, None)


@pytest.mark.parametrize(
    ("forgery", "why"),
    [
        ("UPDATE audit SET exact = CAST(replace(CAST(exact AS TEXT), 'ada', 'eve') AS BLOB) WHERE seq = 2", "changed"),
        ("DELETE FROM audit WHERE seq = 2", "entry 2 is missing"),
        ("DELETE FROM audit WHERE seq = 4", "newest entries are missing"),
        ("UPDATE audit SET signature = (SELECT signature FROM audit WHERE seq = 3) WHERE seq = 2", "did not sign"),
    ],
)
def test_what_was_done_to_the_log_is_found(tmp_path: Path, forgery: str, why: str) -> None:
    path = tmp_path / "hq.db"
    with contextlib.closing(open_store(path, now_ms=1)) as store:
        o.make_first(store, KEY, "ada", PASSWORD, 1)
        admin = o.sign_in(store, KEY, "ada", PASSWORD, 1)
        for name in ("kim", "max", "pat"):
            o.add(store, KEY, admin, name, [Role.SUPPORT], PASSWORD, 2)
        noted = look_through(path, KEY.public_key).head
        with pytest.raises(DatabaseError, match="never"), store.transaction() as statements:
            statements.execute(forgery)
        with store.transaction() as statements:
            statements.execute("DROP TRIGGER audit_stays")
            statements.execute("DROP TRIGGER audit_is_kept")
            statements.execute(forgery)
        found = look_through(path, KEY.public_key)
        assert found.broken is not None
        assert why in found.why
        assert main(["audit", "--verify", "--database", str(path)]) == 1
        if why.startswith("newest"):  # with the row that says where the log ends: the head noted elsewhere tells
            with store.transaction() as statements:
                statements.execute("UPDATE audit_head SET (seq, hash) = (SELECT seq, hash FROM audit WHERE seq = 3)")
            assert look_through(path, KEY.public_key).broken is None
            assert look_through(path, KEY.public_key, noted).why.startswith("the log was longer")


def test_a_server_keeps_the_log_too(postgres: Cluster) -> None:
    server = postgres.database("audit")
    with contextlib.closing(open_store(server, now_ms=1)) as store:
        o.make_first(store, KEY, "ada", PASSWORD, 1)
        for change in ("UPDATE audit SET seq = 7", "DELETE FROM audit"):
            with pytest.raises(DatabaseError, match="never"), store.transaction() as statements:
                statements.execute(change)
    assert look_through(server, KEY.public_key).entries == 1


def test_another_key_has_signed_nothing(store: Store, admin: o.Operator) -> None:
    assert look_through(store.address, make_key(6).public_key).broken == 1


Typed = Callable[..., int]


@pytest.fixture
def typed(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Typed:
    """A command with lines on its standard input."""

    def run(lines: str, *words: str) -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO(lines))
        return main([*words, "--database", url(store), "--key", f"{tmp_path}/ack-key"])

    return run


def test_the_commands(store: Store, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(f"{PASSWORD}\n", "operator", "add", "ada", "--first") == 0
    assert typed(f"{PASSWORD}\n", "operator", "add", "eve", "--first") == 1
    assert typed(f"{PASSWORD}\n{PASSWORD}x\n", "operator", "add", "kim", "--role", "support", "--as", "ada") == 0
    assert typed(f"{PASSWORD}\n", "operator", "add", "pat", "--as", "ada") == 1
    assert typed(f"{PASSWORD}x\n", "operator", "role", "kim", "admin", "--as", "kim") == 1
    assert typed(f"{PASSWORD}\n", "operator", "role", "kim", "manager", "security", "--as", "ada") == 0
    assert typed(f"{PASSWORD}\n", "operator", "disable", "kim", "--as", "ada") == 0
    assert typed(f"{PASSWORD}\n", "operator", "enable", "kim", "--as", "ada") == 0
    assert typed(f"{PASSWORD}x\n{PASSWORD}y\n", "operator", "password", "kim", "--as", "kim") == 0
    said = capsys.readouterr()
    assert "operator-unfit: there are operators already" in said.err
    assert "role-needed: this takes the role admin, and kim is support\nAsk somebody" in said.err
    assert main(["operator", "list", "--json", "--database", url(store)]) == 0
    (ada, kim) = json.loads(capsys.readouterr().out)
    assert (ada["roles"], kim["roles"], kim["disabled"]) == (["admin"], ["manager", "security"], False)
    assert typed("", "audit", "--verify") == 0
    assert "are as they were written; head " in capsys.readouterr().out
    assert typed("", "audit", "--json") == 0
    log = json.loads(capsys.readouterr().out)
    assert ("kim", "operator-role", "refused: role-needed") in [(e["who"], e["action"], e["outcome"]) for e in log]
    assert main(["operator", "list", "--database", url(store)]) == 0
    assert main(["audit", "--newest", "2", "--database", url(store)]) == 0
    assert "operator-password" in capsys.readouterr().out
