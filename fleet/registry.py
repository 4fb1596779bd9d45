"""Which terminals there are, where they stand and what they are for; and which of them a filter names.

A terminal is known once it has said anything, was trusted, enrolled or put here by hand. A retired one stays in the table
and is named by no filter any more.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import msgspec

from core.card import holds_card
from core.topics import check_terminal
from fleet.refusal import Refused
from fleet.store import Address, Statements, reading

TEXT_MAX = 64
TAGS_MAX = 32
KEYS = ("site", "workstation", "state")
"""What `--where KEY=VALUE` can ask for; `state` is online, offline or unknown."""
_TAG = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_EVERY = (
    "SELECT n.id, coalesce(r.site, ''), coalesce(r.workstation, ''), coalesce(r.tags, ' '),"
    " coalesce(p.state, 'unknown'), r.retired_ms"
    " FROM (SELECT id FROM terminal UNION SELECT terminal FROM presence UNION SELECT terminal FROM registry) n"
    " LEFT JOIN registry r ON r.terminal = n.id LEFT JOIN presence p ON p.terminal = n.id ORDER BY 1"
)


class TerminalUnknown(Refused):
    """No terminal of this name has ever been heard of here."""

    code: ClassVar[str] = "terminal-not-known"
    remedy: ClassVar[str] = (
        "`terminald-fleet list` names those that are; `terminald-fleet place` puts one there by hand."
    )


class NoTerminals(Refused):
    """The filters name no terminal, or none was given."""

    code: ClassVar[str] = "no-terminals"
    remedy: ClassVar[str] = (
        "Say --terminal, --tag, --site, --where or --all; `terminald-fleet places` shows what they look at."
    )


class PlaceUnfit(Refused):
    """A site, a workstation or a tag is not written as they are."""

    code: ClassVar[str] = "place-unfit"
    remedy: ClassVar[str] = "Tags are a-z, 0-9, dot, dash and underscore; sites and workstations are printable text."


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal, where it stands, and what it is for. `state` is online, offline or unknown."""

    terminal: str
    site: str
    workstation: str
    tags: tuple[str, ...]
    state: str
    retired_ms: int | None


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which terminals: those named, or all; of them those that have every tag, stand at one of the sites, and fit `where`."""

    terminals: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    all: bool = False

    def fits(self, place: Place) -> bool:
        """Whether a place is one of them."""
        if place.retired_ms is not None or (self.terminals and place.terminal not in self.terminals):
            return False
        if not set(self.tags) <= set(place.tags) or (self.sites and place.site not in self.sites):
            return False
        return all(getattr(place, key) == value for key, value in self.where)


def places(address: Address, wanted: Filter | None = None) -> list[Place]:
    """All terminals, by name; or those of a filter. Raises DatabaseError."""
    with reading(address) as statements:
        return [place for place in every(statements) if wanted is None or wanted.fits(place)]


def every(statements: Statements) -> list[Place]:
    """All terminals, by name."""
    return [_place(row) for row in statements.execute(_EVERY).fetchall()]


def chosen(statements: Statements, wanted: Filter) -> tuple[str, ...]:
    """The terminals that a filter names, by name. Raises TerminalUnknown, NoTerminals."""
    if wanted == Filter():
        raise NoTerminals("nothing says which terminals")
    known = every(statements)
    names = {place.terminal: place for place in known}
    for name in wanted.terminals:
        if name not in names:
            raise TerminalUnknown(f"no terminal {name!r} is known")
        if names[name].retired_ms is not None:
            raise TerminalUnknown(f"terminal {name!r} is retired")
    found = tuple(place.terminal for place in known if wanted.fits(place))
    if not found:
        raise NoTerminals("no terminal is all of that")
    return found


def put(
    statements: Statements,
    terminal: str,
    now_ms: int,
    *,
    site: str | None = None,
    workstation: str | None = None,
    tags: Iterable[str] = (),
    untags: Iterable[str] = (),
) -> None:
    """Writes down where a terminal stands; what is None stays as it is. Raises PlaceUnfit."""
    check_terminal(terminal)
    for text in (site, workstation):
        if text is not None and (len(text) > TEXT_MAX or not text.isprintable() or holds_card(text)):
            raise PlaceUnfit(
                f"{text[:TEXT_MAX]!r} must be {TEXT_MAX} printable characters at most, and no card's number"
            )
    tags, untags = tuple(tags), tuple(untags)
    for tag in tags:
        if not _TAG.fullmatch(tag) or holds_card(tag):
            raise PlaceUnfit(f"{tag[:TEXT_MAX]!r} is no tag")
    statements.execute(
        "INSERT INTO registry (terminal, noted_ms) VALUES (?, ?) ON CONFLICT DO NOTHING", (terminal, now_ms)
    )
    (before,) = statements.execute("SELECT tags FROM registry WHERE terminal = ?", (terminal,)).fetchone()
    now = sorted((set(before.split()) | set(tags)) - set(untags))
    if len(now) > TAGS_MAX:
        raise PlaceUnfit(f"a terminal has {TAGS_MAX} tags at most")
    statements.execute(
        "UPDATE registry SET site = coalesce(CAST(? AS TEXT), site), workstation = coalesce(CAST(? AS TEXT), workstation),"
        " tags = ?, noted_ms = ? WHERE terminal = ?",
        (site, workstation, " ".join(("", *now, "")) if now else " ", now_ms, terminal),
    )


def retire(statements: Statements, terminal: str, now_ms: int) -> None:
    """No filter names the terminal any more."""
    put(statements, terminal, now_ms)
    statements.execute("UPDATE registry SET retired_ms = ? WHERE terminal = ?", (now_ms, terminal))


def _place(row: Sequence[Any]) -> Place:
    terminal, site, workstation, tags, state, retired_ms = row
    return Place(
        terminal=terminal, site=site, workstation=workstation, tags=tuple(tags.split()), state=state,
        retired_ms=retired_ms,
    )  # fmt: skip
