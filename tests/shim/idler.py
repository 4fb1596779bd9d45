"""A till that rings up one line, and then waits: what its journal does in the meantime fails, or does not.

``python -m tests.shim.idler FOLDER`` prints the condition that its journal ended with.
"""

import asyncio
import sys
from pathlib import Path

from core.ledger import Draft, Stream
from store.errors import JournalError
from store.journal import SqlJournal
from store.keys import KeyFile
from tests.shim.seller import STAMP

WAIT_S = 2.0


async def main(folder: Path) -> None:
    """Waits for the flush that a basket is owed, and for its failure."""
    keys = KeyFile(folder / "journal.key").load_or_make([])
    async with await SqlJournal.open(
        folder / "journal.db", keys.journal, terminal="till-1", signing_key=bytes(32), stamp=STAMP, sync_delay_s=0.05
    ) as journal:
        await journal.append([Draft(stream=Stream.SALES, body=b'{"id":"item"}', moves_money=False)], STAMP)
        try:
            async with asyncio.timeout(WAIT_S):
                await journal.watch()
        except TimeoutError:
            print("well", flush=True)
        except JournalError as error:
            print(error.code, flush=True)
        try:
            await journal.append([Draft(stream=Stream.SALES, body=b'{"id":"more"}', moves_money=True)], STAMP)
            print("appended", flush=True)
        except JournalError as error:
            print(error.code, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
