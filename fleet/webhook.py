"""Hands alarms on: each as a JSON object by POST to one address, until that answers 2xx; signed where there is a secret.

Notices stand in the database until they are taken, so that none is lost over a restart, and several collectors share them
out: whoever tells one moves its time on first. Each is told once at least; its `id` says which one it is.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from random import Random
from typing import Any, Final

from core.alarms import KINDS
from core.ports import Clock
from fleet.database import DatabaseAway
from fleet.own_alarms import OWN
from fleet.store import Store

TIMEOUT_S: Final = 10.0
LEASE_MS: Final = 60_000
"""So long a notice is left to whoever took it; then its taker is dead."""
PAUSE_S: Final = 5.0
PAUSE_S_MAX: Final = 900.0
"""Pauses after a failure, from the first, doubling, to the longest."""
REFUSALS_MAX: Final = 5
"""A notice that the other side understood and refused so often is given up."""
LOOK_S: Final = 60.0
"""How often it is looked for notices of other collectors that died."""
_REFUSED: Final = frozenset((400, 405, 406, 410, 411, 413, 414, 415, 422))

_log = logging.getLogger(__name__)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET, or go where nobody meant it to."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Webhook:
    """One address. `random` gives jitter."""

    def __init__(
        self,
        *,
        url: str,
        secret: str | None,
        database: Store,
        clock: Clock,
        random: Random,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._url = url
        self._secret = secret.encode() if secret else None
        self._database = database
        self._clock = clock
        self._random = random
        self._pause_s = pause_s
        self._thread = ThreadPoolExecutor(1, "webhook")
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._news = asyncio.Event()
        self._failures = 0

    def noted(self) -> None:
        """There is a new notice."""
        self._news.set()

    async def run(self) -> None:
        """Tells until cancelled. Raises DatabaseError."""
        while True:
            self._news.clear()
            try:
                told = await self._in_thread(self._tell_one)
            except DatabaseAway as error:
                _log.warning("alarms wait to be handed on: %s", error)
                await self._clock.sleep(PAUSE_S_MAX / 60)
                continue
            if told is None:
                await self._wait(LOOK_S)
            elif told:
                self._failures = 0
            else:
                self._failures += 1
                pause_s = min(self._pause_s * 2 ** (self._failures - 1), PAUSE_S_MAX)
                await self._clock.sleep(pause_s * (0.5 + self._random.random()))

    def close(self) -> None:
        """Lets go of thread and database. May be called twice."""
        self._thread.shutdown()
        self._database.close()

    async def _in_thread(self, work: Callable[[], bool | None]) -> bool | None:
        running = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])  # what is under way is written down; it takes TIMEOUT_S at most
            raise

    async def _wait(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._news.wait()
        except TimeoutError:
            pass

    # --- in the thread -------------------------------------------------------------------------------------------

    def _tell_one(self) -> bool | None:
        """The oldest notice that is due: whether it was settled; None where there is none. Raises DatabaseError."""
        found = self._claim()
        if found is None:
            return None
        number, body, tries = found
        fault, refused = self._post(number, body)
        with self._database.transaction() as statements:
            if fault is None or (refused and tries + 1 >= REFUSALS_MAX):
                statements.execute("DELETE FROM notice WHERE number = ?", (number,))
            else:
                statements.execute(
                    "UPDATE notice SET tries = tries + 1, due_ms = ? WHERE number = ?", (self._now_ms(), number)
                )
        if fault is None:
            return True
        if refused and tries + 1 >= REFUSALS_MAX:
            _log.error("notice %s is given up: %s", number, fault)
            return True
        _log.warning("notice %s was not taken, and is told again: %s", number, fault)
        return False

    def _claim(self) -> tuple[int, dict[str, Any], int] | None:
        """A notice for us alone."""
        now_ms = self._now_ms()
        with self._database.transaction() as statements:
            for number, body, tries in statements.execute(
                "SELECT number, body, tries FROM notice WHERE due_ms <= ? ORDER BY number LIMIT 8", (now_ms,)
            ).fetchall():
                mine = statements.execute(
                    "UPDATE notice SET due_ms = ? WHERE number = ? AND due_ms <= ?", (now_ms + LEASE_MS, number, now_ms)
                )
                if mine.rowcount:
                    told = json.loads(body)
                    row = statements.execute(
                        "SELECT site, workstation FROM registry WHERE terminal = ?", (told["terminal"],)
                    ).fetchone()
                    return number, {**told, "site": row[0] if row else "", "workstation": row[1] if row else ""}, tries
        return None

    def _post(self, number: int, told: dict[str, Any]) -> tuple[str | None, bool]:
        """Why it was not taken, and whether it will never be."""
        kind = KINDS.get(told["type"])
        remedy = kind.remedy if kind else OWN[told["type"]][2] if told["type"] in OWN else ""
        body = json.dumps({"id": number, **told, "remedy": remedy}, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "terminald-fleet", "Terminald-Notice": str(number)}
        if self._secret is not None:
            headers["Terminald-Signature"] = f"sha256={hmac.new(self._secret, body, hashlib.sha256).hexdigest()}"
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")  # noqa: S310 # checked
        try:
            with self._opener.open(request, timeout=TIMEOUT_S):
                return None, False
        except urllib.error.HTTPError as error:
            with error:
                return f"it answered {error.code}", error.code in _REFUSED
        except (OSError, ValueError, HTTPException) as error:
            return f"{type(error).__name__}: {getattr(error, 'reason', None) or error}", False

    def _now_ms(self) -> int:
        return self._clock.stamp().time_ms
