"""What a simulation is made of: the product's own parts, or some with a fault in them; and the names of its ends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleet.collector import Collector
from terminald.broker import Broker
from terminald.engine import Engine
from terminald.forwarder import Forwarder
from terminald.peripherals import Peripherals
from tests.simulation.disk import FailingJournal

if TYPE_CHECKING:
    pass

TERMINAL = "till-3"
HEADQUARTERS = "headquarters"
NOWHERE = Broker(host="broker", port=1883)
"""Where the broker is matters to nobody: `HostileBroker.dial` finds it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is tried: the product's own, or one with a fault in it."""

    engine: type[Engine] = Engine
    peripherals: type[Peripherals] = Peripherals
    forwarder: type[Forwarder] = Forwarder
    collector: type[Collector] = Collector
    journal: type[FailingJournal] = FailingJournal
