"""A daemon that is wrong about its disk in one way: what shows that ours is right must find these."""

import asyncio
import sys
from pathlib import Path

from store.space import Room, Space
from terminald import config, daemon, logs
from tests.proofs.full_disk import Fault


class _Unwatched(Space):
    """Never looks."""

    def look(self) -> Room:
        return Room.ENOUGH


class _NoReserve(Space):
    """Looks, and says that it holds a reserve."""

    def _take(self, free: int, held: int) -> bool:
        return True


_SPACES: dict[Fault, type[Space]] = {Fault.UNWATCHED: _Unwatched, Fault.NO_RESERVE: _NoReserve}


def main() -> int:
    """``python -m tests.proofs.heedless FAULT CONFIG``."""
    inside = vars(daemon)
    assert inside["Space"] is Space, "the daemon has its space from elsewhere: the mutants must follow"
    inside["Space"] = _SPACES[Fault(sys.argv[1])]
    logs.configure()
    asyncio.run(daemon.run(config.load(Path(sys.argv[2]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
