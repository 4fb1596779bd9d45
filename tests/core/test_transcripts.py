"""Every script in tests/transcripts ends as it is written there. ``make transcripts`` writes them anew: read the diff."""

from pathlib import Path

import pytest

from tests.core.transcript import play

_SCRIPTS = sorted((Path(__file__).parent.parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("script", _SCRIPTS, ids=lambda path: path.stem)
def test_script_ends_as_written(script: Path, request: pytest.FixtureRequest) -> None:
    written = script.read_text()
    played = play(written)
    if request.config.getoption("--rewrite"):
        script.write_text(played)
    else:
        assert played.splitlines() == written.splitlines()


def test_there_are_scripts() -> None:
    assert len(_SCRIPTS) >= 10
