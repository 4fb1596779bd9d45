"""Logs: one JSON object a line, and never a value that was being handled when something went wrong."""

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest

from terminald import logs

CANARY = "Nutella 400 g for 3.79 with 4111111111111111"


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    """The root logger as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logging.getLogger("terminald.engine").warning("a receipt may be torn", extra={"transaction": 7})
    (line,) = _lines(capsys)
    assert line.pop("ts")
    assert line == {
        "level": "warning",
        "logger": "terminald.engine",
        "message": "a receipt may be torn",
        "transaction": 7,
    }


def test_a_fault_is_told_by_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    try:
        try:
            raise ValueError(CANARY)
        except ValueError as error:
            raise ExceptionGroup(CANARY, [error, KeyError(CANARY)]) from error
    except ExceptionGroup as group:
        logs.report(group)
    said = capsys.readouterr().err
    assert "Nutella" not in said
    lines = [json.loads(line) for line in said.splitlines()]
    assert [line["error"] for line in lines] == ["ValueError", "KeyError"]
    assert any("test_a_fault_is_told_by_its_place" in place for place in lines[0]["at"])


async def test_what_asyncio_says_holds_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    """It quotes the arguments of a callback and the error of a task: neither is logged."""
    logs.configure()
    loop = asyncio.get_running_loop()

    def fails(given: str) -> None:
        raise ValueError(given)

    async def fails_too() -> None:
        raise ValueError(CANARY)

    loop.call_soon(fails, CANARY)
    task = loop.create_task(fails_too(), name="fails-too")
    await asyncio.wait([task])
    del task
    await asyncio.sleep(0)
    said = capsys.readouterr().err
    assert "Nutella" not in said
    assert "411111" not in said
    messages = [json.loads(line)["message"] for line in said.splitlines()]
    assert len(messages) == 2
    assert messages[0].startswith("Exception in callback")
    assert messages[1].startswith("Task exception was never retrieved")


def test_a_value_that_is_no_json_is_written_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logging.getLogger("x").error("odd", extra={"what": object})
    (line,) = _lines(capsys)
    assert "object" in str(line["what"])


def test_the_newest_lines_are_kept_bounded_and_without_cards() -> None:
    logs.configure()
    logger = logging.getLogger("terminald.test")
    for number in range(3_000):
        logger.info("line %s of a card 4111111111111111 %s", number, "x" * 200)
    kept = logs.newest(10_000)
    assert sum(map(len, kept)) <= logs.KEPT_BYTES
    assert json.loads(kept[-1])["message"].startswith("line 2999 of a card ************1111")
    assert not any("4111111111111111" in line for line in kept)
    assert logs.newest(2) == kept[-2:]
