"""The far end of a customer display's cable: a screen of two rows."""

from collections.abc import Callable
from pathlib import Path

from drivers.codecs.display import Dialect, Screen
from drivers.simulated.cable import Cable, PtyCable, Receive


class SimulatedDisplay:
    """On a pty that the driver finds at `link`. Works on the running loop; starts plugged. `wire` makes its cable."""

    def __init__(
        self,
        link: Path,
        dialect: Dialect,
        columns: int = 20,
        wire: Callable[[Callable[[Receive], Cable], Receive], Cable] | None = None,
    ) -> None:
        self.screen = Screen(dialect, columns)
        self._dialect: Dialect = dialect

        def make(receive: Receive) -> Cable:
            return PtyCable(link, receive)

        self._cable = wire(make, self._on_bytes) if wire is not None else make(self._on_bytes)
        self._cable.plug()

    @property
    def rows(self) -> tuple[str, str]:
        """What the customer reads."""
        return self.screen.rows

    def power_cycle(self) -> None:
        """Off and on: it is dark, and forgets how it was set up."""
        self.screen = Screen(self._dialect, self.screen.columns)

    def stall(self, is_stalled: bool) -> None:
        """A stalled display takes nothing."""
        self._cable.deaf(is_stalled)

    def unplug(self) -> None:
        """Pulls the cable: the driver sees a hangup."""
        self._cable.unplug()

    def plug(self) -> None:
        """Puts it in again, at the same place."""
        self._cable.plug()

    def close(self) -> None:
        """Removes it. May be called twice."""
        self._cable.close()

    def _on_bytes(self, data: bytes) -> None:
        self.screen.feed(data)
