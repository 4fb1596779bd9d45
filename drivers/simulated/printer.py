"""The far end of a receipt printer's cable: reads ESC/POS, puts it on virtual paper, and answers as a printer does."""

import asyncio
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from drivers.codecs.escpos_paper import (
    BarcodePrinted,
    DrawerKicked,
    Initialised,
    LinePrinted,
    NotUnderstood,
    PaperCut,
    PaperDecoder,
    PaperFed,
    ProcessedAsked,
    QrPrinted,
    RasterPrinted,
    StatusBackSet,
)
from drivers.simulated.cable import Cable, PtyCable, Receive, TcpCable

COLUMNS = 42

Mark = LinePrinted | QrPrinted | BarcodePrinted | RasterPrinted | PaperFed
"""What can be seen on the paper."""

_REAL_TIME = re.compile(rb"\x10(?:\x04([\x01-\x04])|\x14\x01[\x00\x01][\x01-\x08])")
"""DLE EOT n asks for a status, DLE DC4 1 m t gives a pulse."""
_REAL_TIME_BYTES_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """One piece of paper as it comes off the printer; `torn` where the next one began before this one was cut.

    `text` is as wide as the paper, centred lines in the middle; `marks` hold the same with style and QR codes in place.
    """

    text: str
    qr: tuple[str, ...]
    torn: bool
    marks: tuple[Mark, ...]


class SimulatedPrinter:
    """A printer on a pty whose symlink is `place`, on the TCP port `place` (0: any, see `port`), or on a cable of its own
    that `place` makes. Starts plugged.

    `on_mark` gets each line as it is printed, `on_paper` each finished piece; both may be set anew at any time. Works on
    the running loop.
    """

    def __init__(
        self,
        place: Path | int | Callable[[Receive], Cable],
        on_paper: Callable[[Paper], None],
        on_mark: Callable[[Mark], None] = lambda mark: None,
    ) -> None:
        self.on_paper = on_paper
        self.on_mark = on_mark
        self._cable = _cable(place, self._receive)
        self._decoder = PaperDecoder(COLUMNS)
        self._tail = b""
        self._status_back = 0
        self._paper_out = self._cover_open = self._near_end = self._offline = False
        self._is_on = True
        self._is_stalled = False
        self.marks: list[Mark] = []
        """What is on the paper that is not cut yet."""
        self.lines_left: int | None = None
        """After so many more lines the paper is out; None is a long roll."""
        self.line_s = 0.0
        """How long a line takes to print; 0 is at once."""
        self._printing: asyncio.TimerHandle | None = None
        self.not_understood: list[bytes] = []
        self.kicks = 0
        self.drawer_open = False
        """The drawer on its connector; its contact makes pin 3 high while it is open."""
        self.drawer_jammed = False
        """A jammed drawer stays shut whatever the solenoid does."""
        self._cable.plug()

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        assert isinstance(self._cable, TcpCable)
        return self._cable.port

    @property
    def plugged(self) -> bool:
        """Whether a driver can open it."""
        return self._cable.plugged

    def set_paper_out(self, is_out: bool) -> None:
        """Takes the roll out, or puts a new one in: what waits in the buffer is printed then."""
        self._paper_out = is_out
        if not is_out:
            self.lines_left = None
            self._near_end = False
        self._change()

    def set_near_end(self, is_near: bool) -> None:
        """The roll gets thin, or is a new one."""
        self._near_end = is_near
        self._change()

    def set_cover_open(self, is_open: bool) -> None:
        """Opens or closes the cover."""
        self._cover_open = is_open
        self._change()

    def set_offline(self, is_offline: bool) -> None:
        """As a printer is that reports an error."""
        self._offline = is_offline
        self._change()

    def shut_drawer(self) -> None:
        """The cashier pushes it shut."""
        self._move_drawer(is_open=False)

    def pry_drawer(self) -> None:
        """Somebody opens it without a kick: by its key, or by force."""
        self._move_drawer(is_open=True)

    def set_stalled(self, is_stalled: bool) -> None:
        """A stalled one reads nothing and says nothing."""
        self._is_stalled = is_stalled
        self._cable.deaf(is_stalled or not self._is_on)

    def power_off(self) -> None:
        """All that it was told is forgotten; on a network or on USB the driver sees a hangup, on a pty only silence."""
        self._is_on = False
        self._decoder.clear()
        self._tail = b""
        self._status_back = 0
        self._cable.deaf(True)
        if isinstance(self._cable, TcpCable):
            self._cable.unplug()

    def power_on(self) -> None:
        """What the driver sent in the meantime on a serial line went nowhere."""
        self._is_on = True
        if isinstance(self._cable, PtyCable):
            self._cable.forget()
        self._cable.deaf(self._is_stalled)
        self._cable.plug()

    def unplug(self) -> None:
        """Pulls the data cable; the printer keeps its power and its buffers."""
        self._cable.unplug()

    def plug(self) -> None:
        """Puts it in again, at the same place."""
        self._cable.plug()

    def close(self) -> None:
        """Removes it. May be called twice."""
        if self._printing is not None:
            self._printing.cancel()
        self._cable.close()

    @property
    def _can_print(self) -> bool:
        return self._is_on and not (self._paper_out or self._cover_open or self._offline)

    def _receive(self, data: bytes) -> None:
        # DLE EOT and DLE DC4 are obeyed as they come in, before all that waits; they may come in pieces.
        seen = self._tail + data
        done = 0
        for asked in _REAL_TIME.finditer(seen):
            done = asked.end()
            if asked[1]:
                self._cable.send(bytes((self._real_time_status(asked[1][0]),)))
            else:
                self._kick()
        self._tail = seen[done:][-_REAL_TIME_BYTES_MAX + 1 :]
        self._decoder.feed(data)
        self._work()

    def _work(self) -> None:
        while self._can_print and not self._printing and (happening := self._decoder.step()) is not None:
            match happening:
                case LinePrinted() | PaperFed() | QrPrinted() | BarcodePrinted() | RasterPrinted():
                    self._mark(happening)
                case PaperCut():
                    self._finish(torn=False)
                case Initialised():
                    self._status_back = 0
                    self._finish(torn=True)
                case StatusBackSet():
                    self._status_back = happening.mask
                    self._tell()
                case ProcessedAsked():
                    self._cable.send(b"\x03" if self._near_end else b"\x00")
                case DrawerKicked():
                    self._kick()
                case NotUnderstood():
                    self.not_understood.append(happening.data)
                case _:
                    assert_never(happening)

    def _kick(self) -> None:
        self.kicks += 1
        if not self.drawer_jammed:
            self._move_drawer(is_open=True)

    def _move_drawer(self, *, is_open: bool) -> None:
        if is_open != self.drawer_open:
            self.drawer_open = is_open
            self._tell()

    def _mark(self, mark: Mark) -> None:
        self.marks.append(mark)
        self.on_mark(mark)
        if self.line_s:
            self._printing = asyncio.get_running_loop().call_later(self.line_s, self._line_done)
        if self.lines_left is not None:
            self.lines_left -= 1
            if self.lines_left <= 0:
                self.set_paper_out(True)

    def _line_done(self) -> None:
        self._printing = None
        self._work()

    def _finish(self, *, torn: bool) -> None:
        marks, self.marks = tuple(self.marks), []
        if all(isinstance(mark, PaperFed) for mark in marks):
            return
        text = "\n".join(_drawn(mark) for mark in marks)
        codes = tuple(mark.data for mark in marks if isinstance(mark, QrPrinted))
        self.on_paper(Paper(text=text.rstrip() + "\n", qr=codes, torn=torn, marks=marks))

    def _change(self) -> None:
        self._tell()
        self._work()

    def _tell(self) -> None:
        """Automatic Status Back: four bytes."""
        if self._status_back and self._is_on and not self._is_stalled:
            first = (
                0x10
                | (0x04 if self.drawer_open else 0x00)
                | (0x00 if self._can_print else 0x08)
                | (0x20 if self._cover_open else 0x00)
            )
            second = 0x20 if self._offline else 0x00
            third = 0x0F if self._paper_out else 0x03 if self._near_end else 0x00
            self._cable.send(bytes((first, second, third, 0x0F)))

    def _real_time_status(self, number: int) -> int:
        """The byte for DLE EOT `number`."""
        if number == 1:
            return 0x12 | (0x04 if self.drawer_open else 0x00) | (0x00 if self._can_print else 0x08)
        if number == 2:
            paper, cover, error = self._paper_out, self._cover_open, self._offline
            return 0x12 | (0x04 if cover else 0) | (0x20 if paper else 0) | (0x40 if error else 0)
        if number == 4:
            return 0x12 | (0x6C if self._paper_out else 0x0C if self._near_end else 0x00)
        return 0x12


def _cable(place: Path | int | Callable[[Receive], Cable], receive: Receive) -> Cable:
    if isinstance(place, Path):
        return PtyCable(place, receive)
    if isinstance(place, int):
        return TcpCable(receive, port=place)
    return place(receive)


def _drawn(mark: Mark) -> str:
    match mark:
        case PaperFed():
            return "\n" * max(mark.lines - 1, 0)
        case QrPrinted():
            text = f"[QR {mark.data}]"
        case BarcodePrinted():
            text = f"[{mark.kind} {mark.data}]"
        case RasterPrinted():
            text = f"[picture {mark.width} x {len(mark.rows)}]"
        case LinePrinted():
            text = mark.text
        case _:
            assert_never(mark)
    align = mark.align if isinstance(mark, LinePrinted) else "centre"
    width = COLUMNS // 2 if isinstance(mark, LinePrinted) and mark.large else COLUMNS
    if align == "centre":
        return (" " * ((COLUMNS - _columns(text) * COLUMNS // width) // 2) + text).rstrip()
    return text.rjust(COLUMNS) if align == "right" else text


def _columns(text: str) -> int:
    return sum(not unicodedata.combining(character) for character in text)
