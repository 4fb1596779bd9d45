"""Asks the terminal by running ``terminald … --json`` as a child, so that the console answers when the daemon is down.

Shapes of the answers: docstring of `terminald.technician`, of `terminald.network`, and ``journal verify`` as
{"whole": bool, "records": int, "finding": str or null}.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from core import nesting

ANSWER_S_MAX = 60.0
VERIFY_S_MAX = 1800.0
"""A journal of years on a slow card."""
ANSWER_BYTES_MAX = 8 << 20
ERROR_CHARS_MAX = 2000
_WORKING_AFTER_S = 2.0
_END_S = 3.0
_CANNOT = 2
_decoder = msgspec.json.Decoder()
"""The command's status for what cannot be done at all: a configuration, a key, a file."""


class NoAnswer(Exception):
    """The child could not tell; the message says why, in words of its own where it had some."""


Answer = dict[str, object]


class Terminald:
    """The command, and the configuration that it is asked about. `working` hears once that an answer takes a while."""

    def __init__(self, command: Sequence[str], config: Path, working: Callable[[], None]) -> None:
        self._command = tuple(command)
        self._config = config
        self._working = working
        self._child: subprocess.Popen[bytes] | None = None

    def ask(self, *arguments: str, secrets: Sequence[str] = (), answer_s: float = ANSWER_S_MAX) -> Answer:
        """The JSON object that ``terminald ARGUMENTS --config FILE --json`` prints.

        `secrets` go to its standard input, a line each: they must stand in no list of processes. Raises NoAnswer; on
        KeyboardInterrupt the child is ended first.
        """
        command = [*self._command, *arguments, "--config", str(self._config), "--json"]
        try:
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise NoAnswer(f"{self._command[0]} cannot be started: {error.strerror}") from error
        try:
            out, err = self._communicate(self._child, "".join(f"{secret}\n" for secret in secrets).encode(), answer_s)
            status = self._child.returncode
        finally:
            self.close()
        return _decode(status, out, err)

    def close(self) -> None:
        """Ends a child that still runs. May be called twice."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(_END_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()

    def _communicate(self, child: subprocess.Popen[bytes], given: bytes, answer_s: float) -> tuple[bytes, bytes]:
        began_s = time.monotonic()
        try:
            return child.communicate(given, timeout=min(_WORKING_AFTER_S, answer_s))
        except subprocess.TimeoutExpired:
            self._working()
        try:
            return child.communicate(timeout=max(0.0, answer_s - (time.monotonic() - began_s)))
        except subprocess.TimeoutExpired:
            raise NoAnswer(f"no answer within {answer_s:g} s") from None


def _decode(status: int, out: bytes, err: bytes) -> Answer:
    said = err.decode(errors="replace")[-ERROR_CHARS_MAX:].strip()
    if status == _CANNOT:
        raise NoAnswer(said or "the terminal's files cannot be opened")
    if len(out) > ANSWER_BYTES_MAX:
        raise NoAnswer("the answer is too long")
    try:
        answer: object = nesting.decode(_decoder, out)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NoAnswer(said or "no answer that could be read") from None
    if not isinstance(answer, dict):
        raise NoAnswer(said or "no answer that could be read")
    return answer
