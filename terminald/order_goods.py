"""What headquarters' orders do with the goods: recalls at once, a catalogue from a URL.

A catalogue is taken in by a process of its own (``terminald catalogue``), as backups are made: thousands of rows are Python
enough to hold up a sale. The till sells on; its lookups see the old version until the one commit.
"""

import asyncio
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from core.orders import Content, LiftRecall, Order, Recall
from store.product_recalls import ProductRecalls, recall_of
from terminald.child import Child
from terminald.config import Config
from terminald.https import HttpsFailed, fetch
from terminald.order_action import Action, OrderFailed, Outcome

APPLY_LIMIT_S = 3_600.0
SPARE_BYTES = 32 << 20
"""What a download leaves free on the medium."""
_ANSWER_BYTES_MAX = 1 << 20
_UPDATE = (b"\x28\xb5\x2f\xfd", b"{")
"""How an update begins: zstd, or its first line. Anything else is a CSV of goods."""

_log = logging.getLogger(__name__)


class GoodsActions:
    """Orders about goods. `pid` is the process at work: it holds keys."""

    def __init__(self, config: Config, key: bytes) -> None:
        """`key` is the catalogue's."""
        self._child = Child()
        self._config = config
        self._ca = config.headquarters.tls.ca if config.headquarters is not None else None
        self._file = config.catalogue.with_name(config.catalogue.name + ".download")
        self._file.unlink(missing_ok=True)  # of a download that was cut off
        self._recalls = ProductRecalls(config.catalogue, key)

    @property
    def pid(self) -> int | None:
        """The process at work."""
        return self._child.pid

    def table(self) -> dict[str, Action]:
        """By the orders' names."""
        return {
            "recall": Action(run=self._recall),
            "lift-recall": Action(run=self._lift),
            "catalogue": Action(run=self._catalogue),
        }

    async def _recall(self, _order: Order, given: Recall) -> Outcome:
        since = given.since or datetime.now(UTC).astimezone().date().isoformat()
        try:
            recall = recall_of(given.gtin, given.lot, given.id, given.reason, since)
            await asyncio.to_thread(self._recalls.add, recall)
        except ValueError as fault:
            raise OrderFailed("recall-not-valid", str(fault)) from fault
        return Outcome(output={"id": recall.id, "since": recall.since})

    async def _lift(self, _order: Order, given: LiftRecall) -> Outcome:
        return Outcome(output={"lifted": await asyncio.to_thread(self._recalls.lift, given.id)})

    async def _catalogue(self, _order: Order, given: Content) -> Outcome:
        file = self._file
        room = os.statvfs(file.parent)
        if room.f_bavail * room.f_frsize < given.size_bytes + SPARE_BYTES:
            raise OrderFailed("disk-low", "there is no room for it on the medium")
        try:
            await asyncio.to_thread(
                fetch, given.url, file, sha256=given.sha256, size_bytes=given.size_bytes, ca=self._ca
            )
            return Outcome(output=await self._take_in(file))
        except HttpsFailed as failure:
            raise OrderFailed(failure.code, str(failure)) from failure
        finally:
            file.unlink(missing_ok=True)

    async def _take_in(self, file: Path) -> dict[str, object]:
        with file.open("rb") as opened:
            verb = "apply" if opened.read(4).startswith(_UPDATE) else "import"
        command = (sys.executable, "-P", "-m", "terminald", "catalogue", verb, str(file), "--json")
        try:
            status, said = await self._child.run(
                (*command, "--config", str(self._config.file)), limit_s=APPLY_LIMIT_S, bytes_max=_ANSWER_BYTES_MAX
            )
            answer: dict[str, object] = msgspec.json.decode(said, type=dict[str, object])
        except (TimeoutError, msgspec.MsgspecError) as error:
            raise OrderFailed("catalogue-failed", "the process that takes it in gave no answer") from error
        if status:
            code = str(answer.get("error", "catalogue-failed"))
            raise OrderFailed(code, str(answer.get("message") or answer.get("faults") or "it was refused")[:900])
        return answer
