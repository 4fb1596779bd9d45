"""What headquarters itself raises an alarm for: batches whose terminal or history is in doubt, terminals that are silent.

It is read from the database as it stands, so that it may be looked at any number of times, by any number of collectors.
"""

from dataclasses import dataclass
from typing import Final

from core.alarms import Severity
from fleet.store import Statements

SILENT: Final = "terminal-silent"
NEVER_MS: Final = 1 << 52
OWN: Final[dict[str, tuple[Severity, str, str]]] = {
    "batch-fork": (
        "critical", "It sent records that contradict those that headquarters holds.",
        "`terminald-fleet forks`: find the second device; it is cleared when the batches are decided about.",
    ),
    "batch-key-untrusted": (
        "critical", "It signs with another key than the one that it is known by.",
        "Where its card was replaced: `terminald-fleet trust`, then `quarantine release`. Else find the second device.",
    ),
    SILENT: (
        "major", "Nothing was heard of it for as long as fleet.toml says (`silent_after_min`).",
        "Call the shop: is it switched on, and does its network work? Its sales wait in it.",
    ),
}  # fmt: skip
"""Severity, text, what to do. No terminal can raise or clear one of these."""
_REASONS: Final = ("fork", "key-untrusted")

Place = tuple[str, str]
"""A terminal and a type of alarm."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A terminal that said nothing for `after_ms` is silent. Whoever looks has listened since `listening_ms`: what it
    could not hear before that is no silence."""

    after_ms: int
    listening_ms: int


def holding(statements: Statements, now_ms: int, silence: Silence | None) -> dict[Place, int]:
    """The alarms whose cause is there, and since when."""
    marks = ", ".join("?" * len(_REASONS))
    found = {
        (terminal, f"batch-{reason}"): since_ms
        for terminal, reason, since_ms in statements.execute(
            "SELECT terminal, reason, min(received_ms) FROM quarantine WHERE settled_ms IS NULL"  # noqa: S608 # our own words
            f" AND reason IN ({marks}) GROUP BY terminal, reason",
            _REASONS,
        )
    }
    if silence is not None:
        rows = statements.execute(
            "SELECT p.terminal, p.seen_ms FROM presence p LEFT JOIN registry r ON r.terminal = p.terminal"
            " WHERE p.seen_ms < ? AND r.retired_ms IS NULL",
            (now_ms - silence.after_ms,),
        )
        found |= {(terminal, SILENT): seen_ms for terminal, seen_ms in rows}
    return found


def may_be_raised(place: Place, now_ms: int, silence: Silence | None) -> bool:
    """Whether we would know, had its cause gone meanwhile."""
    return place[1] != SILENT or (silence is not None and now_ms - silence.listening_ms >= silence.after_ms)
