"""An MQTT 3.1.1 broker in Python (amqtt), for machines where no mosquitto is and none may be installed."""

import asyncio
import contextlib
import signal
import sys

from amqtt.broker import Broker


async def serve(port: int) -> None:
    """Runs until SIGTERM."""
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": 64}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = Broker(config)
    await broker.start()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await stopping.wait()
    with contextlib.suppress(asyncio.CancelledError):
        await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
