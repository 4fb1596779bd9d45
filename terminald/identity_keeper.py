"""Who keeps the terminal one of headquarters' while it sells: asks to be enrolled, and renews the certificate in time.

The work is done by a process of its own (``terminald enrol --once``): certificates cost memory that a till has not, and are
looked at some times a day.
"""

import asyncio
import logging
import sys
from collections.abc import Callable

import msgspec

from core.ports import Clock
from core.text import Message, message
from terminald.child import Child
from terminald.config import Config

FIRST_AFTER_S = 2.0
LOOK_EVERY_S = 6 * 3600.0
"""How often it is looked whether the certificate is due; months are left then."""
ASK_AGAIN_S = 5.0
"""The shortest time after which an answer is asked for again; headquarters says how long it should be."""
RETRY_S = 300.0
LIMIT_S = 120.0
ANSWER_BYTES_MAX = 1 << 16

_log = logging.getLogger(__name__)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``terminald enrol --once --json`` says: `terminald.identity.Standing`, or a fault."""

    state: str = ""
    code: str = ""
    ends_ms: int = 0
    again_s: float = 0
    fault: str = ""
    message: str = ""
    remedy: str = ""


class IdentityKeeper:
    """Runs the command when something is due. `enrolled`: there is a certificate already."""

    def __init__(
        self,
        *,
        command: tuple[str, ...],
        enrolled: bool,
        clock: Clock,
        changed: Callable[[], None],
        first_after_s: float = FIRST_AFTER_S,
        ask_again_s: float = ASK_AGAIN_S,
    ) -> None:
        self.code = ""
        """The claim code, while headquarters has not approved it."""
        self.fault = ""
        """Why there is no good certificate, or no newer one: a stable code."""
        self._child = Child()
        self._command = command
        self._clock = clock
        self._changed = changed
        self._first_after_s = first_after_s
        self._ask_again_s = ask_again_s
        self._turn = asyncio.Lock()
        self._enrolled = asyncio.Event()
        if enrolled:
            self._enrolled.set()

    @property
    def pid(self) -> int | None:
        """The child at work: it holds keys."""
        return self._child.pid

    def conditions(self) -> tuple[Message, ...]:
        """For the screen: the code that a person reads to headquarters."""
        if self.code:
            return (message("claim-code", code=self.code),)
        return (
            (message("enrol-refused"),) if self.fault in ("enrol-refused", "enrol-untrusted", "enrol-renamed") else ()
        )

    async def enrolled(self) -> None:
        """Returns when there is a certificate: no broker needs to be asked before."""
        await self._enrolled.wait()

    async def run(self) -> None:
        """Runs until cancelled."""
        await self._clock.sleep(self._first_after_s)
        while True:
            answer = await self.look()
            if answer.state == "waiting":
                await self._clock.sleep(max(answer.again_s, self._ask_again_s))
            else:
                await self._clock.sleep(RETRY_S if answer.fault else LOOK_EVERY_S)

    async def look(self, *, renew: bool = False) -> Answer:
        """Does what is due now; `renew`: although it is not."""
        async with self._turn:
            answer = await self._answer(("--renew",) if renew else ())
        if answer.fault and answer.fault != self.fault:
            _log.warning("no certificate: %s. %s", answer.message, answer.remedy, extra={"fault": answer.fault})
        if answer.state in ("enrolled", "renewed"):
            _log.info("the terminal has a new certificate", extra={"ends_ms": answer.ends_ms})
            self._enrolled.set()
        self.code, self.fault = answer.code if answer.state == "waiting" else "", answer.fault
        self._changed()
        return answer

    async def _answer(self, flags: tuple[str, ...]) -> Answer:
        try:
            status, said = await self._child.run((*self._command, *flags), limit_s=LIMIT_S, bytes_max=ANSWER_BYTES_MAX)
        except TimeoutError:
            return Answer(fault="enrol-unreachable", message="headquarters does not answer in time")
        try:
            return msgspec.json.decode(said, type=Answer)
        except (ValueError, RecursionError):
            return Answer(fault="enrol-failed", message=f"the process that asks ended with {status}")


def command_of(config: Config) -> tuple[str, ...]:
    """The child process for a terminal."""
    assert config.file is not None
    return (
        *(sys.executable, "-P", "-m", "terminald", "enrol"),
        *("--once", "--json", "--config", str(config.file)),
    )
