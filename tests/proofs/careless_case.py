"""A daemon that is wrong about its case in one way: what shows that ours is right must find these."""

import asyncio
import os
import sys
from pathlib import Path
from typing import NoReturn

from terminald import config, daemon, logs
from terminald.tamper import CaseGuard


class _Keeps(CaseGuard):
    """Latches, and goes on with its keys."""

    def trip(self, device: str) -> NoReturn:
        self._latch.armed.rename(self._latch.latch)
        return None  # type: ignore[misc]


class _Forgets(CaseGuard):
    """Ends, and does not latch."""

    def trip(self, device: str) -> NoReturn:
        os._exit(70)


GUARDS = {"keeps its keys": _Keeps, "forgets the latch": _Forgets}


def main() -> int:
    """``python -m tests.proofs.careless_case GUARD CONFIG``."""
    inside = vars(daemon)
    assert inside["CaseGuard"] is CaseGuard, "the daemon has its guard from elsewhere: the mutants must follow"
    inside["CaseGuard"] = GUARDS[sys.argv[1]]
    logs.configure()
    asyncio.run(daemon.run(config.load(Path(sys.argv[2]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
