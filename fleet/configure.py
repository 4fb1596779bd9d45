"""The configuration that headquarters wants terminals to have, and what they say of it.

A document is TOML; its tables take the place of a terminal's own of the same name (`core.desired`). Before anybody is told,
the terminal's own parser has looked at it. Versions follow headquarters' clock and never fall, as orders' numbers do.
"""

import difflib
import hashlib
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from core import topics
from core.card import wipe
from core.desired import DESIRED_ROLE, Desired, Reported, encode_desired
from core.orders import HELD
from core.ports import Signer
from fleet.audit import TEXT_MAX, note
from fleet.operators import Operator, RoleNeeded
from fleet.refusal import Refused
from fleet.registry import Filter, TerminalUnknown, chosen, every
from fleet.store import Address, Statements, Store, reading

CHECK_TIMEOUT_S = 60
CLAIM_MS = 30_000
PUBLISH_MAX = 200
OWN = ("terminal", "headquarters", "keys")
"""Tables that are a terminal's own: no document has them."""
_BASE = {
    "terminal": '[terminal]\nid = "any"\n',
    "shop": '[shop]\nname = "any"\naddress = ["any"]\ncurrency = "EUR"\n[[shop.tax]]\ncode = "A"\nrate = "19.00"\n',
}
"""What a document is completed with to be looked at, where it does not have these itself."""


class ConfigurationUnfit(Refused):
    """The terminal's parser refuses the document, or it is not one that headquarters may give."""

    code: ClassVar[str] = "configuration-unfit"
    remedy: ClassVar[str] = "Mend the lines that it names; no terminal was told anything."


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal's configuration. `state` is ``none``, ``sent`` (it has not said anything), or the terminal's word.

    `hash` is of the document that it is to have, `active` of the one that it says it runs with; both empty for its own file.
    """

    terminal: str
    version: int | None
    hash: str
    issuer: str
    made_ms: int | None
    state: str
    active: str
    code: str
    text: str
    heard_ms: int | None


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration to publish, retained."""

    terminal: str
    version: int
    topic: str
    payload: bytes


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal's word about its configuration, as it came."""

    terminal: str
    reported: Reported


def check(doc: str, name: str, base: str | None = None) -> None:
    """Has the terminal's own parser look at a document, completed by `base`. Raises ConfigurationUnfit with each fault."""
    try:
        tables = tomllib.loads(doc)
        others = tomllib.loads(base) if base is not None else {}
    except (ValueError, RecursionError) as error:
        raise ConfigurationUnfit(f"{name}: not TOML: {error}") from error
    if own := [table for table in OWN if table in tables]:
        raise ConfigurationUnfit(f"{name}: [{own[0]}] is each terminal's own, and not changed from afar")
    if clash := sorted(set(tables) & set(others)):
        raise ConfigurationUnfit(f"{name}: --base must not have what the document has: {', '.join(clash)}")
    rest = [base or "", *(text for table, text in _BASE.items() if table not in tables and table not in others)]
    with tempfile.TemporaryDirectory(prefix="terminald-") as folder:
        file = Path(folder) / "document.toml"
        file.write_text("\n".join((doc, *rest)), "utf-8")
        said = subprocess.run(
            [sys.executable, "-P", "-m", "terminald", "check", "--config", str(file)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CHECK_TIMEOUT_S, check=False,
        )  # fmt: skip
    if said.returncode:
        raise ConfigurationUnfit(wipe(said.stderr.replace(str(file), name)).strip())


def give(
    store: Store, signer: Signer, by: Operator, doc: str, wanted: Filter, why: str, now_ms: int
) -> tuple[list[str], list[str]]:
    """Gives terminals a document that was checked; to whom, and who has it as the newest already. Raises Refused."""
    role = next((role for role in by.roles if DESIRED_ROLE in HELD.get(role, ())), None)
    if role is None:
        raise RoleNeeded(f"a configuration takes the role {DESIRED_ROLE}, and {by.name} is {', '.join(by.roles)}")
    if len(why) > TEXT_MAX:
        raise ConfigurationUnfit(f"a reason has {TEXT_MAX} characters at most")
    hash_ = hashlib.sha256(doc.encode()).hexdigest()
    with store.transaction() as statements:
        newest = {terminal: (version, has) for terminal, version, has in _newest(statements)}
        (epoch,) = statements.execute("SELECT generation FROM headquarters").fetchone()
        terminals = chosen(statements, wanted)
        told = [each for each in terminals if newest.get(each, (0, ""))[1] != hash_]
        for terminal in told:
            version = max(newest.get(terminal, (0, ""))[0] + 1, now_ms)
            desired = Desired(
                terminal=terminal, epoch=epoch, version=version, issued_ms=now_ms, role=role, issuer=by.name, doc=doc
            )
            try:
                payload = encode_desired(desired, signer.sign)
            except ValueError as error:
                raise ConfigurationUnfit(str(error)) from error
            statements.execute(
                "INSERT INTO desired (terminal, version, hash, doc, payload, issuer, why, made_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (terminal, version, hash_, doc, payload, by.name, wipe(why), now_ms),
            )
        note(
            statements, signer, now_ms=now_ms, who=by.name, action="configure", outcome="given", terminals=told,
            about={"hash": hash_, "why": why},
        )  # fmt: skip
    return told, [each for each in terminals if each not in told]


def differences(address: Address, doc: str, wanted: Filter) -> Iterator[tuple[list[str], list[str]]]:
    """How a document differs from what terminals are to have now: the lines, and the terminals that they are for."""
    with reading(address) as statements:
        rows = statements.execute(
            "SELECT terminal, doc FROM desired d"
            " WHERE version = (SELECT max(version) FROM desired n WHERE n.terminal = d.terminal)"
        )
        before: dict[str, str] = dict(rows.fetchall())
        terminals = chosen(statements, wanted)
    for text in dict.fromkeys(before.get(each, "") for each in terminals):
        lines = difflib.unified_diff(text.splitlines(), doc.splitlines(), "now", "then", lineterm="", n=1)
        yield list(lines), [each for each in terminals if before.get(each, "") == text]


def standing(address: Address, wanted: Filter | None = None) -> list[Standing]:
    """Which configuration terminals are to have, and what they say. Raises DatabaseError."""
    with reading(address) as statements:
        names = [each.terminal for each in every(statements) if wanted is None or wanted.fits(each)]
        rows = {
            row[0]: row
            for row in statements.execute(
                "SELECT d.terminal, d.version, d.hash, d.issuer, d.made_ms FROM desired d"
                " WHERE d.version = (SELECT max(version) FROM desired n WHERE n.terminal = d.terminal)"
            )
        }
        said = {row[0]: row[1:] for row in statements.execute(f"SELECT {_REPORTED} FROM reported")}  # noqa: S608 # our own names
    return [_standing(name, rows.get(name), said.get(name)) for name in names]


def document(address: Address, terminal: str) -> str:
    """The newest document for a terminal; empty for none. Raises TerminalUnknown, DatabaseError."""
    with reading(address) as statements:
        if terminal not in {each.terminal for each in every(statements)}:
            raise TerminalUnknown(f"no terminal {terminal!r} is known")
        row = statements.execute(
            "SELECT doc FROM desired WHERE terminal = ? ORDER BY version DESC LIMIT 1", (terminal,)
        ).fetchone()
    return str(row[0]) if row is not None else ""


# --- the courier's part ------------------------------------------------------------------------------------------


def claim(store: Store, now_ms: int) -> list[Posting]:
    """What is to be published now: of each terminal the newest alone. Raises DatabaseError."""
    with store.transaction() as statements:
        rows = statements.execute(
            "SELECT terminal, version, payload FROM desired d WHERE published_ms IS NULL AND claimed_ms < ?"
            " AND version = (SELECT max(version) FROM desired n WHERE n.terminal = d.terminal) LIMIT ?",
            (now_ms - CLAIM_MS, PUBLISH_MAX),
        ).fetchall()
        for terminal, version, _ in rows:
            statements.execute(
                "UPDATE desired SET claimed_ms = ? WHERE terminal = ? AND version = ?", (now_ms, terminal, version)
            )
    return [
        Posting(terminal=terminal, version=version, topic=topics.desired(terminal), payload=payload)
        for terminal, version, payload in rows
    ]


def published(store: Store, done: Sequence[Posting], now_ms: int) -> None:
    """The broker has taken these. Raises DatabaseError."""
    with store.transaction() as statements:
        for each in done:
            statements.execute(
                "UPDATE desired SET published_ms = ? WHERE terminal = ? AND version = ?",
                (now_ms, each.terminal, each.version),
            )
            # One that is newer may have been published while this was under way: the broker keeps what came last.
            statements.execute(
                "UPDATE desired SET published_ms = NULL, claimed_ms = 0 WHERE terminal = ? AND version > ?",
                (each.terminal, each.version),
            )


def publish_again(store: Store) -> None:
    """What no terminal has reported yet goes to the broker once more: it may have lost it. Raises DatabaseError."""
    with store.transaction() as statements:
        statements.execute(
            "UPDATE desired SET published_ms = NULL, claimed_ms = 0 WHERE NOT EXISTS (SELECT 1 FROM reported"
            " WHERE reported.terminal = desired.terminal AND reported.version >= desired.version)"
        )


def record(store: Store, said: Sequence[Said], now_ms: int) -> None:
    """Writes down what terminals report. Raises DatabaseError."""
    with store.transaction() as statements:
        for each in said:
            report = each.reported
            values = (
                min(max(report.version, 0), 1 << 53), wipe(report.hash)[:64], report.state, wipe(report.active)[:64],
                wipe(report.code)[:64], wipe(report.text), min(max(report.ts, 0), 1 << 53), now_ms,
            )  # fmt: skip
            statements.execute(
                f"INSERT INTO reported ({_REPORTED}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 # our own names
                " ON CONFLICT (terminal) DO UPDATE SET version = excluded.version, hash = excluded.hash,"
                " state = excluded.state, active = excluded.active, code = excluded.code, said = excluded.said,"
                " said_ms = excluded.said_ms, heard_ms = excluded.heard_ms",
                (each.terminal, *values),
            )


_REPORTED = "terminal, version, hash, state, active, code, said, said_ms, heard_ms"


def _newest(statements: Statements) -> list[tuple[str, int, str]]:
    return statements.execute(
        "SELECT terminal, version, hash FROM desired d"
        " WHERE version = (SELECT max(version) FROM desired n WHERE n.terminal = d.terminal)"
    ).fetchall()


def _standing(name: str, row: Sequence[Any] | None, said: Sequence[Any] | None) -> Standing:
    version, hash_, issuer, made_ms = row[1:] if row is not None else (None, "", "", None)
    state = "none" if row is None else "sent"
    about: Sequence[Any] = (0, "", "", "", "", "", 0, None)
    if said is not None and row is not None and said[0] == version:
        state, about = said[2], said
    return Standing(
        terminal=name, version=version, hash=hash_, issuer=issuer, made_ms=made_ms, state=state,
        active=said[3] if said is not None else "", code=about[4], text=about[5],
        heard_ms=said[7] if said is not None else None,
    )  # fmt: skip
