"""A daemon that is wrong about its power in one way: what shows that ours is right must find these."""

import asyncio
import sys
from pathlib import Path

from drivers import power
from terminald import config, daemon, logs


class _Blind(power.RpiPower):
    """Looks once."""

    async def serve(self) -> None:
        await asyncio.Event().wait()


class _Sleepy(power.RpiPower):
    """Looks every five seconds, as something that waits for the kernel's own driver might."""

    async def serve(self) -> None:
        while True:
            await asyncio.sleep(5.0)
            await self._look()


DRIVERS = {"looks once": _Blind, "looks seldom": _Sleepy}


def main() -> int:
    """``python -m tests.proofs.careless_power DRIVER CONFIG``."""
    vars(power)["RpiPower"] = DRIVERS[sys.argv[1]]
    logs.configure()
    asyncio.run(daemon.run(config.load(Path(sys.argv[2]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
