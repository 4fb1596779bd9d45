"""The process in which PC/SC is called: ``python -m drivers.smartcard_helper READER MEMBER_AID STAFF_AID``.

It says what happens in lines (`drivers.codecs.smartcard_lines`) on standard output, and ends when standard input does.
Each command to a card passes `drivers.codecs.apdu.allowed`: the shop's own applications and nothing else.
"""

import contextlib
import os
import signal
import sys
import threading
from typing import Any, Final

from core.stripe import sort
from drivers.codecs import apdu
from drivers.codecs import smartcard_lines as l
from drivers.codecs.nfc_lines import Alive, Fault, FaultKind, Ready, Torn

ALIVE_INTERVAL_MS: Final = 3000
LEAVE_TIMEOUT_S: Final = 1.0
RESPONSES_MAX: Final = 8
"""How often an answer may say that there is more of it."""
MISSING: Final = (
    "pyscard is not installed. As root: apt-get install pcscd libpcsclite-dev swig gcc python3-dev, "
    "then run tools/install --with-smart-cards"
)


def main(reader: str, member_aid: str, staff_aid: str) -> int:
    """Runs until standard input ends or the reader fails. The exit status says which."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # the daemon's end is the one sign to leave
        signal.signal(number, signal.SIG_IGN)
    try:
        from smartcard import scard
    except ImportError:
        _say(Fault(kind=FaultKind.LIBRARY, detail=MISSING))
        return 1
    applications: dict[bytes, Any] = {}
    if member_aid:
        applications[bytes.fromhex(member_aid)] = "loyalty"
    if staff_aid:
        applications[bytes.fromhex(staff_aid)] = "staff"
    try:
        _Reader(scard, reader, applications).run()
    except _Failed as failed:
        _say(Fault(kind=failed.kind, detail=failed.detail))
        return 1
    return 0


class _Failed(Exception):
    """The reader or the service cannot be used; holds nothing of a card."""

    def __init__(self, kind: FaultKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class _Torn(Exception):
    """The card went, or does not answer."""


class _Reader:
    """Waits for cards, and tells of each one once."""

    def __init__(self, scard: Any, wanted: str, applications: dict[bytes, Any]) -> None:
        self._scard = scard
        self._wanted = wanted
        self._applications = applications
        self._context: Any = None
        self._leaving = threading.Event()

    def run(self) -> None:
        """Until the daemon leaves. Raises _Failed."""
        s = self._scard
        self._context = self._checked(s.SCardEstablishContext(s.SCARD_SCOPE_SYSTEM), "the PC/SC service pcscd")
        threading.Thread(target=self._leave_with_the_daemon, name="end of input", daemon=True).start()
        try:
            self._serve(self._choose())
        finally:
            s.SCardReleaseContext(self._context)

    def _choose(self) -> str:
        result, names = self._scard.SCardListReaders(self._context, [])
        if result not in (self._scard.SCARD_S_SUCCESS, self._scard.SCARD_E_NO_READERS_AVAILABLE):
            raise self._failed(result)
        for name in names:
            if self._wanted in name:
                return str(name)
        raise _Failed(
            FaultKind.ABSENT, f"no smart-card reader {self._wanted!r}; there are: {', '.join(names) or 'none'}"
        )

    def _serve(self, name: str) -> None:
        s = self._scard
        _say(Ready(chipset=name))
        state, was_there = s.SCARD_STATE_UNAWARE, False
        while not self._leaving.is_set():
            result, changes = s.SCardGetStatusChange(self._context, ALIVE_INTERVAL_MS, [(name, state)])
            if result == s.SCARD_E_TIMEOUT:
                _say(Alive())
                continue
            if result == s.SCARD_E_CANCELLED:
                return
            if result != s.SCARD_S_SUCCESS:
                raise self._failed(result)
            ((_, now, _),) = changes
            if now & (s.SCARD_STATE_UNKNOWN | s.SCARD_STATE_UNAVAILABLE):
                raise _Failed(FaultKind.GONE, "the smart-card reader was pulled")
            is_there = bool(now & s.SCARD_STATE_PRESENT)
            # The upper half counts insertions and removals: a card that was changed in between is another one.
            if is_there and (not was_there or now >> 16 != state >> 16):
                self._meet(name, bool(now & s.SCARD_STATE_MUTE))
            state, was_there = now & ~s.SCARD_STATE_CHANGED, is_there

    def _meet(self, name: str, is_mute: bool) -> None:
        try:
            _say(l.CardForeign() if is_mute else self._read(name))
        except _Torn:
            _say(Torn())

    def _read(self, name: str) -> l.AnyLine:
        s = self._scard
        result, card, protocol = s.SCardConnect(
            self._context, name, s.SCARD_SHARE_EXCLUSIVE, s.SCARD_PROTOCOL_T0 | s.SCARD_PROTOCOL_T1
        )
        if result != s.SCARD_S_SUCCESS:
            raise self._torn_or_failed(result)
        try:
            header = s.SCARD_PCI_T1 if protocol == s.SCARD_PROTOCOL_T1 else s.SCARD_PCI_T0
            for aid, kind in self._applications.items():
                number = self._number(card, header, aid)
                if number is not None:
                    digits = memoryview(number.encode())
                    if number.isdigit() and sort(digits, ()) == "payment":
                        return l.CardForeign(is_payment=True)
                    return l.CardRead(kind=kind, number=number)
            return l.CardForeign()
        finally:
            s.SCardDisconnect(card, s.SCARD_UNPOWER_CARD)

    def _number(self, card: Any, header: Any, aid: bytes) -> str | None:
        """The number in an application, in what its SELECT says or else in its first file; None where it has neither."""
        is_there, answer = self._ask(card, header, apdu.select(aid))
        if not is_there:
            return None
        number = apdu.number_in(answer)
        if number is None:
            is_read, content = self._ask(card, header, apdu.READ_FIRST_FILE)
            number = apdu.number_in(content) if is_read else None
        return number

    def _ask(self, card: Any, header: Any, command: bytes) -> tuple[bool, bytes]:
        """Whether the card did it, and what it said. Raises _Torn."""
        answer = b""
        for _ in range(RESPONSES_MAX):
            said = self._transmit(card, header, command)
            answer += said[:-2]
            if said[-2] == 0x61:
                command = apdu.get_response(said[-1])
            elif said[-2] == 0x6C:
                command = command[:-1] + said[-1:]
            else:
                # 62 82: the file ended before so much was read.
                return said[-2:] in (b"\x90\x00", b"\x62\x82"), answer
        return False, b""

    def _transmit(self, card: Any, header: Any, command: bytes) -> bytes:
        checked = apdu.allowed(command, self._applications.keys())
        result, said = self._scard.SCardTransmit(card, header, list(checked))
        if result != self._scard.SCARD_S_SUCCESS:
            raise self._torn_or_failed(result)
        if not 2 <= len(said) <= apdu.RESPONSE_BYTES_MAX + 2:
            raise _Torn
        return bytes(said)

    # --- what went wrong ------------------------------------------------------------------------------------------

    def _checked(self, called: tuple[int, Any], what: str) -> Any:
        result, value = called
        if result != self._scard.SCARD_S_SUCCESS:
            raise _Failed(self._kind(result, FaultKind.ABSENT), f"{what}: {self._words(result)}")
        return value

    def _torn_or_failed(self, result: int) -> Exception:
        s = self._scard
        if result in (s.SCARD_E_NO_SERVICE, s.SCARD_E_SERVICE_STOPPED, s.SCARD_E_READER_UNAVAILABLE):
            return self._failed(result)
        return _Torn()

    def _failed(self, result: int) -> _Failed:
        return _Failed(self._kind(result, FaultKind.GONE), self._words(result))

    def _kind(self, result: int, default: FaultKind) -> FaultKind:
        s = self._scard
        return {
            s.SCARD_W_SECURITY_VIOLATION: FaultKind.DENIED,
            s.SCARD_E_SHARING_VIOLATION: FaultKind.BUSY,
        }.get(result, default)

    def _words(self, result: int) -> str:
        if result == self._scard.SCARD_E_NO_SERVICE:
            return "it does not run: as root, apt-get install pcscd, then systemctl enable --now pcscd.socket"
        return str(self._scard.SCardGetErrorMessage(result))

    def _leave_with_the_daemon(self) -> None:
        with contextlib.suppress(OSError):
            while os.read(sys.stdin.fileno(), 64):
                pass
        self._leaving.set()
        self._scard.SCardCancel(self._context)
        threading.Event().wait(LEAVE_TIMEOUT_S)
        os._exit(0)  # the service hangs in a call that nothing else ends


def _say(line: l.AnyLine) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more, and standard input has ended too
        os.write(sys.stdout.fileno(), l.encode(line))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3]))
