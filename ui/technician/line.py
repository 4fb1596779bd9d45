"""A serial line as a person's terminal: whole lines in, ASCII or UTF-8 out, and nothing that comes in can steer or block it.

The terminal device itself does the editing (termios(3), canonical mode), as on any VT100: backspace, Ctrl-U, Ctrl-W.
"""

import contextlib
import os
import select
import termios
import textwrap
import time
import unicodedata
from collections.abc import Iterator

LINE_CHARS_MAX = 200
WRITE_S_MAX = 60.0
"""A line that takes nothing for so long, after Ctrl-S or without a reader, has nobody at its end."""
WIDTH = 80
_CHUNK_BYTES = 4096
_OFF = b"\0"  # _POSIX_VDISABLE


class Gone(Exception):
    """The line hung up, or its end of input was typed."""


class Idle(Exception):
    """Nobody typed anything for the time that was given."""


class Unreadable(Exception):
    """A line that nobody typed: longer than any command, or with bytes that are no characters. It was thrown away.

    What is left of noise must not count as an answer: as a PIN it would lock somebody out.
    """


class Line:
    """Standard input and output, or any pair of descriptors."""

    def __init__(self, incoming: int = 0, outgoing: int = 1, *, ascii_alone: bool = True) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._clean = ascii_only if ascii_alone else printable_only
        self._buffer = bytearray()
        self._overlong = False
        self._ended = False

    def prepare(self) -> None:
        """Puts a terminal into the state that this program needs, whatever was there before. A pipe is left alone."""
        if not os.isatty(self._incoming):
            return
        with contextlib.suppress(OSError):
            # A description of our own: to set the shared one to non-blocking would change it under others.
            self._outgoing = os.open(
                os.ttyname(self._outgoing), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
            )
        mode = termios.tcgetattr(self._incoming)
        mode[0] = termios.ICRNL | termios.IXON | termios.IXANY | termios.IGNBRK | termios.IGNPAR
        mode[1] = termios.OPOST | termios.ONLCR
        mode[3] = termios.ISIG | termios.ICANON | termios.IEXTEN | termios.ECHO | termios.ECHOE | termios.ECHOK
        mode[3] |= termios.ECHOCTL  # control characters show as ^X, and steer nothing
        characters = mode[6]
        characters[termios.VINTR], characters[termios.VEOF] = b"\x03", b"\x04"
        characters[termios.VERASE], characters[termios.VKILL], characters[termios.VWERASE] = b"\x7f", b"\x15", b"\x17"
        # Nobody is there to wake a stopped console, and a core file might hold what was typed.
        characters[termios.VQUIT] = characters[termios.VSUSP] = _OFF
        termios.tcsetattr(self._incoming, termios.TCSAFLUSH, mode)

    def ask(self, prompt: str, idle_s: float) -> str:
        """Prints a prompt and returns one line of ASCII. Raises Gone, Idle, Unreadable or KeyboardInterrupt."""
        self.write(prompt)
        return self._read(idle_s)

    def ask_secretly(self, prompt: str, idle_s: float) -> str:
        """The same for what must not be seen: nothing of it is echoed, and what was typed before the prompt is dropped."""
        with self._without_echo():
            self.write(prompt)
            try:
                return self._read(idle_s)
            finally:
                self.write("\n")

    def say(self, text: str = "") -> None:
        """Prints whole lines; what is wider than a terminal goes on in the next row. Raises Gone."""
        for row in self._clean(text).split("\n"):
            rows = [row] if columns(row) <= WIDTH else wrap(row, WIDTH)
            self.write("\n".join(rows) + "\n")

    def write(self, text: str) -> None:
        """Prints as it is, in ASCII or UTF-8. Raises Gone."""
        left = self._clean(text).encode()
        while left:
            try:
                left = left[os.write(self._outgoing, left) :]
            except BlockingIOError:
                if not select.select([], [self._outgoing], [], WRITE_S_MAX)[1]:
                    raise Gone from None
            except OSError as error:
                raise Gone from error

    def _read(self, idle_s: float) -> str:
        until_s = time.monotonic() + idle_s
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                raw = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                overlong, self._overlong = self._overlong or len(raw) > LINE_CHARS_MAX, False
                if overlong or any(not (0x20 <= byte < 0x7F or byte == 0x09) for byte in raw):
                    raise Unreadable
                return raw.decode("ascii").replace("\t", " ").strip()
            if len(self._buffer) > LINE_CHARS_MAX:
                self._overlong = True
                self._buffer.clear()
            if self._ended:
                raise Gone
            self._receive(until_s)

    def _receive(self, until_s: float) -> None:
        ready, _, _ = select.select([self._incoming], [], [], max(0.0, until_s - time.monotonic()))
        if not ready:
            raise Idle
        try:
            chunk = os.read(self._incoming, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise Gone from error
        if not chunk:
            self._ended = True
        self._buffer += chunk.replace(b"\r", b"\n")

    def forget(self) -> None:
        """Drops what came in and was not yet read: the rest of a line that Ctrl-C ended, or of a burst of noise."""
        with contextlib.suppress(termios.error):  # a pipe has nothing of this kind
            termios.tcflush(self._incoming, termios.TCIFLUSH)
            # The kernel heeds a Ctrl-S ahead of its turn; the key that would have ended it may just have been dropped.
            termios.tcflow(self._incoming, termios.TCOOFF)
            termios.tcflow(self._incoming, termios.TCOON)
        self._buffer.clear()
        self._overlong = False

    @contextlib.contextmanager
    def _without_echo(self) -> Iterator[None]:
        if not os.isatty(self._incoming):
            yield
            return
        before = termios.tcgetattr(self._incoming)
        silent = termios.tcgetattr(self._incoming)
        silent[3] &= ~(termios.ECHO | termios.ECHOE | termios.ECHOK)
        termios.tcsetattr(self._incoming, termios.TCSAFLUSH, silent)
        self.forget()
        try:
            yield
        finally:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._incoming, termios.TCSADRAIN, before)


def ascii_only(text: str) -> str:
    """Printable ASCII and newlines; what else there is becomes a question mark."""
    return "".join(char if char == "\n" or " " <= char <= "~" else "?" for char in text)


def printable_only(text: str) -> str:
    """Printable characters and newlines; what would steer a terminal becomes a question mark."""
    return "".join(char if char == "\n" or char.isprintable() else "?" for char in text)


def columns(text: str) -> int:
    """How many columns of a terminal it takes: two for an ideograph."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def wrap(text: str, width: int) -> list[str]:
    """Rows of at most `width` columns, broken at spaces; a text with ideographs between any two of its characters."""
    if columns(text) == len(text):
        return textwrap.wrap(text, width)
    rows = [""]
    for char in text:
        if columns(rows[-1] + char) > width:
            rows.append("")
        rows[-1] += char
    return rows
