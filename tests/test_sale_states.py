"""The diagram of a sale's states in the guide is drawn from what the scripts in tests/transcripts do."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from core.state import Sale
from tests.test_docs import held

_SCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))
_STATES = {kind.__struct_config__.tag for kind in Sale.__args__}


def _arrows() -> dict[tuple[str, str], set[str]]:
    """The events that lead from one state to another."""
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for script in _SCRIPTS:
        state, event = "idle", ""
        for line in script.read_text().splitlines():
            if line.startswith("> "):
                event = line[2:].split()[0]
            elif after := re.match(r"  = ([a-z]+)", line):
                if after[1] != state:
                    found[state, after[1]].add(event)
                state = after[1]
    return found


def test_the_diagram_is_what_the_scripts_do(request: pytest.FixtureRequest) -> None:
    lines = [f"    {a} --> {b}: {', '.join(sorted(events))}" for (a, b), events in sorted(_arrows().items())]
    diagram = "\n".join(("```mermaid", "stateDiagram-v2", "    [*] --> idle", *lines, "```"))
    held("sale.md", "states", diagram, bool(request.config.getoption("--rewrite")))


def test_some_script_enters_and_leaves_every_state() -> None:
    arrows = _arrows()
    assert {after for _, after in arrows} == {before for before, _ in arrows} == _STATES
