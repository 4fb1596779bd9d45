"""Till, brokers and collector by mutual TLS: the first broker falls away and comes back, certificates run out and are renewed."""

import asyncio
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from terminald.broker import parse_url
from terminald.uplink import Uplink
from tests.brokers import Mosquitto, mosquitto_in
from tests.certificates import Authority, listening, secure_url
from tests.fleet.test_collect import Collect, agree, drained, fleet
from tests.tills import eventually, open_till

EXPIRED = -timedelta(minutes=1)


@pytest.fixture
def collect(tmp_path: Path) -> Iterator[Collect]:
    made = Collect(tmp_path)
    try:
        yield made
    finally:
        if made.is_running:
            made.stop(signal.SIGKILL)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def brokers(tmp_path: Path, authority: Authority) -> Iterator[tuple[Mosquitto, Mosquitto]]:
    options = listening(authority, authority.certify("broker", host="127.0.0.1"))
    with mosquitto_in(tmp_path, options) as first, mosquitto_in(tmp_path, options) as second:
        yield first, second


def configured(folder: Path, brokers: tuple[Mosquitto, Mosquitto]) -> Path:
    """The collector's file."""
    path = folder / "fleet.toml"
    path.write_text(
        f"brokers = {[secure_url(broker) for broker in brokers]}\n"
        'ca = "authority.pem"\ncertificate = "collector.pem"\ncertificate_key = "collector.key"\n'
        'database = "headquarters.db"\n'
    )
    return path


async def test_sales_go_by_the_broker_that_is_there(
    tmp_path: Path, authority: Authority, brokers: tuple[Mosquitto, Mosquitto], collect: Collect
) -> None:
    own, _ = authority.certify("till-3"), authority.certify("collector")
    collect.start_configured(configured(tmp_path, brokers))
    async with open_till(tmp_path) as till:
        forwarder = till.forwarder(collect.ack_key)
        uplink = Uplink(
            brokers=[parse_url(secure_url(broker), own) for broker in brokers], client_id=till.name, users=[forwarder],
            clock=till.clock, random=Random(1), earlier_after_s=0.5, unheard_after_s=3.0,
        )  # fmt: skip
        running = asyncio.create_task(uplink.run(), name="uplink")
        try:
            await till.sell_many(20, Random(1))
            await drained(till, forwarder)
            assert uplink.broker == secure_url(brokers[0])
            brokers[0].stop(signal.SIGKILL)
            await till.sell_many(20, Random(2))
            await drained(till, forwarder)
            assert uplink.broker == secure_url(brokers[1])
            authority.certify("till-3", begins=2 * EXPIRED, ends=EXPIRED)
            brokers[1].stop(signal.SIGKILL)
            brokers[1].start()
            await eventually(lambda: "till-3.pem: it expired on" in (uplink.fault or ""))
            await till.sell_many(20, Random(3))
            authority.certify("till-3")
            await drained(till, forwarder)
            agree(collect, till)
        finally:
            running.cancel()
            await asyncio.wait((running,))


def test_a_collector_says_what_is_wrong_with_its_certificate(
    tmp_path: Path, authority: Authority, brokers: tuple[Mosquitto, Mosquitto], collect: Collect
) -> None:
    collect.start_configured(configured(tmp_path, brokers))
    asyncio.run(eventually(lambda: f"{tmp_path}/collector.pem cannot be read" in collect.log.read_text()))
    authority.certify("collector")
    asyncio.run(eventually(lambda: "connected to mqtts://127.0.0.1" in collect.log.read_text()))
    assert collect.stop() == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('brokers = []\ndatabase = "x"\n', "1 to 8 addresses"),
        ('broker = "mqtt://a"\nbrokers = ["mqtt://b"]\n', "keep one"),
        ('brokers = ["http://b"]\n', "no broker's address"),
        ("brokers = [3]\n", "no broker's address"),
        ("ca = 3\n", "ca must be text"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(text)
    done = fleet("collect", "--config", path)
    assert done.returncode == 2
    assert words in done.stderr
