"""Structured logs: one JSON object a line on standard error. Never an amount, a product, a tag or a card."""

import logging
import sys
import traceback
from datetime import UTC, datetime

import msgspec

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


def configure(level: str = "INFO") -> None:
    """Sends the process's logs to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def report(error: BaseException) -> None:
    """Logs where an error came from: each one's kind and frames, without the values that its text may quote."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            report(part)
        return
    logging.getLogger("terminald").critical(
        "the daemon ended by a fault", exc_info=(type(error), error, error.__traceback__)
    )
