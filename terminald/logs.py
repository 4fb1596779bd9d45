"""Structured logs: one JSON object a line on standard error. Never an amount, a product, a tag or a card."""

import logging
import sys
import traceback
from collections import deque
from datetime import UTC, datetime

import msgspec

from core.card import wipe

KEPT_BYTES = 256 << 10
"""Of the newest lines, in memory."""
LINE_LENGTH_MAX = 4_000

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            # Where it went wrong, without the values in it: an exception's text may quote what was being handled.
            line["error"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["at"] = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
        return msgspec.json.encode(line, enc_hook=str).decode()


def _message(record: logging.LogRecord) -> str:
    """asyncio adds to its message what a task or a callback was given: left out here, values and all."""
    message = record.getMessage()
    return message.partition("\n")[0].partition("(")[0] if record.name == "asyncio" else message


class _Newest(logging.Handler):
    """Keeps the newest lines in memory, for whoever asks: a daemon may not read the system's journal."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque()
        self._bytes = 0

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)[:LINE_LENGTH_MAX]
        self.lines.append(line)
        self._bytes += len(line)
        while self._bytes > KEPT_BYTES:
            self._bytes -= len(self.lines.popleft())


def configure(level: str = "INFO") -> None:
    """Sends the process's logs to standard error, and keeps the newest."""
    handler = logging.StreamHandler(sys.stderr)
    root = logging.getLogger()
    root.handlers[:] = [handler, _Newest()]
    for each in root.handlers:
        each.setFormatter(_JsonLines())
    root.setLevel(level)


def newest(count: int) -> list[str]:
    """The newest lines of this process's log, the oldest of them first, without what may be a card's number."""
    kept = next((each.lines for each in logging.getLogger().handlers if isinstance(each, _Newest)), ())
    return [wipe(line) for line in list(kept)[-count:]]


def report(error: BaseException) -> None:
    """Logs where an error came from: each one's kind and frames, without the values that its text may quote."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            report(part)
        return
    logging.getLogger("terminald").critical(
        "the daemon ended by a fault", exc_info=(type(error), error, error.__traceback__)
    )
