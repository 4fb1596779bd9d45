"""The scale's driver on the far end of a real pty, in each of its protocols: weights, bad lines, bad cables, lost power."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from core.events import WeightCondition, WeightSensed
from core.ports import DeviceAbsent, DeviceGone, DeviceStalled, ProtocolError
from drivers.options import ScaleProtocol, SerialScaleOptions
from drivers.scale import SerialScale
from drivers.simulated.cable import PtyCable, Receive
from drivers.simulated.scale import CAPACITY_G, SimulatedScale
from tests.drivers.support import Events, HostClock, HostileCable, Manner, Served, until

PROTOCOLS: tuple[ScaleProtocol, ...] = ("toledo-8217", "mettler-sics", "cas")


class Counter:
    """A scale's driver and its far end."""

    def __init__(self, folder: Path, protocol: ScaleProtocol) -> None:
        self.events = Events()
        self.far = SimulatedScale(folder / "scale", protocol)
        options = SerialScaleOptions(
            path=folder / "scale", protocol=protocol, answer_timeout_s=0.2, interval_s=0.005, health_interval_s=0.2
        )
        self.driver = SerialScale("scale", options, self.events.append, HostClock())
        self.served = Served(self.driver)

    async def cleared(self) -> None:
        """Until the driver has seen the empty scale."""
        await until(lambda: self.driver.facts()["cleared"] == "yes")

    async def close(self) -> None:
        await self.served.close()
        self.far.close()


@pytest_asyncio.fixture(params=PROTOCOLS)
async def counter(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Counter]:
    made = Counter(tmp_path, request.param)
    await made.served.open()
    yield made
    await made.close()


def sensed(weight_g: int, *, cleared: bool = True, net: bool = False, reference: str = "1.1") -> WeightSensed:
    return WeightSensed(
        device="scale",
        condition=WeightCondition.STABLE,
        weight_g=weight_g,
        cleared=cleared,
        net=net,
        reference=reference,
    )


def condition(name: str, *, cleared: bool = True) -> WeightSensed:
    return WeightSensed(device="scale", condition=WeightCondition(name), cleared=cleared, reference="1.1")


async def test_a_weight_is_told_once_it_is_wanted(counter: Counter) -> None:
    await counter.cleared()
    counter.far.put(642)
    await until(lambda: counter.driver.facts()["weight_g"] == 642)
    assert counter.events == []
    counter.driver.weigh("1.1")
    assert await counter.events.reach(1) == [sensed(642)]


async def test_what_moves_is_no_weight_until_it_is_stable(counter: Counter) -> None:
    await counter.cleared()
    counter.driver.weigh("1.1")
    await counter.events.reach(1)
    counter.far.shake(60.0)
    counter.far.put(642)
    counter.far.shake(60.0)
    await counter.events.reach(2)
    counter.far.shake(0.0)
    await counter.events.reach(3)
    assert counter.events[-1] == sensed(642)
    assert condition("moving") in counter.events
    assert [event for event in counter.events if event not in (sensed(0), sensed(642), condition("moving"))] == []


async def test_too_much_and_too_little(counter: Counter) -> None:
    await counter.cleared()
    counter.far.put(CAPACITY_G + 1)
    counter.driver.weigh("1.1")
    assert await counter.events.reach(1) == [condition("overload")]
    counter.far.put(-20)
    assert (await counter.events.reach(2))[-1] == condition("underload")


async def test_what_was_sold_has_to_be_taken_off(counter: Counter) -> None:
    await counter.cleared()
    counter.far.put(642)
    counter.driver.weigh("1.1")
    await counter.events.reach(1)
    counter.driver.rest(sold=True)
    counter.driver.weigh("1.2")
    assert (await counter.events.reach(2))[-1] == sensed(642, cleared=False, reference="1.2")
    counter.far.put(0)
    await counter.events.reach(3)
    counter.far.put(900)
    assert (await counter.events.reach(4))[2:] == [sensed(0, reference="1.2"), sensed(900, reference="1.2")]


async def test_zero_is_seen_between_two_that_are_wanted(counter: Counter) -> None:
    await counter.cleared()
    counter.far.put(642)
    counter.driver.weigh("1.1")
    await counter.events.reach(1)
    counter.driver.rest(sold=True)
    counter.far.put(0)
    await counter.cleared()
    counter.far.put(900)
    counter.driver.weigh("1.2")
    assert (await counter.events.reach(2))[-1] == sensed(900, reference="1.2")


async def test_what_was_given_up_may_stay(counter: Counter) -> None:
    await counter.cleared()
    counter.far.put(642)
    counter.driver.weigh("1.1")
    await counter.events.reach(1)
    counter.driver.rest(sold=False)
    counter.driver.weigh("1.1")
    assert await counter.events.reach(2) == [sensed(642)] * 2


async def test_an_idle_scale_is_left_alone(counter: Counter) -> None:
    await counter.cleared()
    asked = counter.far.asked
    await until(lambda: counter.far.asked > asked)  # and now and then asked whether it is there
    assert int(counter.driver.facts()["reads"]) <= 6


async def test_goods_from_before_the_start_have_to_be_taken_off(tmp_path: Path) -> None:
    counter = Counter(tmp_path, "toledo-8217")
    counter.far.put(642)
    await counter.served.open()
    counter.driver.weigh("1.1")
    assert await counter.events.reach(1) == [sensed(642, cleared=False)]
    await counter.close()


async def test_a_tare_is_told_where_the_scale_tells_it(tmp_path: Path) -> None:
    counter = Counter(tmp_path, "toledo-8217")
    await counter.served.open()
    await counter.cleared()
    counter.far.put(50)
    counter.far.tare()
    counter.far.put(692)
    counter.driver.weigh("1.1")
    assert await counter.events.reach(1) == [sensed(642, net=True)]
    await counter.close()


async def test_a_pulled_cable(counter: Counter) -> None:
    await counter.cleared()
    counter.far.put(642)
    counter.driver.weigh("1.1")
    await counter.events.reach(1)
    counter.far.unplug()
    assert isinstance(await counter.served.failure(), DeviceGone)
    await counter.served.close()
    with pytest.raises(DeviceAbsent):
        await counter.driver.open()
    counter.driver.close()
    counter.far.put(700)
    counter.far.plug()
    before = counter.driver.identity
    await counter.served.open()
    assert counter.driver.identity == before
    assert (await counter.events.reach(2))[-1] == sensed(700), "what was wanted is still wanted, and zero was seen"


async def test_a_silent_scale_is_stalled(counter: Counter) -> None:
    await counter.cleared()
    counter.far.is_silent = True
    assert isinstance(await counter.served.failure(), DeviceStalled)
    await counter.served.close()
    with pytest.raises(DeviceStalled):
        await counter.driver.open()


async def test_a_scale_in_pounds_is_refused_with_its_remedy(counter: Counter) -> None:
    await counter.cleared()
    counter.far.unit = "lb"
    counter.far.put(642)
    counter.driver.weigh("1.1")
    fault = await counter.served.failure()
    assert isinstance(fault, ProtocolError)
    assert "kilograms" in str(fault)
    assert sensed(0) in counter.events or counter.events == []


async def test_a_scale_of_another_protocol(tmp_path: Path) -> None:
    counter = Counter(tmp_path, "mettler-sics")
    counter.far.close()
    far = SimulatedScale(tmp_path / "scale", "cas")
    with pytest.raises(DeviceStalled):
        await counter.driver.open()
    far.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("manner", ["plain", "bytewise", "delayed"])
async def test_a_hostile_wire_that_loses_nothing(tmp_path: Path, manner: Manner, protocol: ScaleProtocol) -> None:
    assert await _weighings(tmp_path, manner, 1, protocol) == _WEIGHTS


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("seed", range(3))
async def test_a_lossy_wire_never_tells_another_weight(tmp_path: Path, seed: int, protocol: ScaleProtocol) -> None:
    assert await _weighings(tmp_path, "lossy", seed, protocol) == _WEIGHTS


_WEIGHTS = [642, 1305, 20, 9999, 14_000, 111, 1111, 11_111]


async def _weighings(folder: Path, manner: Manner, seed: int, protocol: ScaleProtocol) -> list[int]:
    """Puts each weight on the scale after an empty one; gives what was told of them."""
    events = Events()

    def cable(receive: Receive) -> HostileCable:
        return HostileCable(lambda inner: PtyCable(folder / "scale", inner), receive, manner, seed)

    far = SimulatedScale(cable, protocol)
    options = SerialScaleOptions(path=folder / "scale", protocol=protocol, answer_timeout_s=0.1, interval_s=0.005)
    driver = SerialScale("scale", options, events.append, HostClock())
    served = Served(driver)
    await served.open()
    told: list[int] = []
    for number, weight_g in enumerate(_WEIGHTS, start=1):
        far.put(0)
        await until(lambda: driver.facts()["cleared"] == "yes")
        far.put(weight_g)
        events.clear()
        driver.weigh(f"1.{number}")
        await until(lambda: any(_is_weight(event) for event in events))
        told += [event.weight_g for event in events if isinstance(event, WeightSensed) and _is_weight(event)]
        driver.rest(sold=True)
    await served.close()
    far.close()
    return told


def _is_weight(event: object) -> bool:
    return isinstance(event, WeightSensed) and event.condition is WeightCondition.STABLE and event.weight_g > 0
