"""The far end of a serial scanner's cable."""

from pathlib import Path

from drivers.simulated.cable import PtyCable


class SimulatedScanner:
    """Puts codes on a pty that the driver finds at `link`. Works on the running loop; starts plugged."""

    def __init__(self, link: Path, terminator: bytes = b"\r") -> None:
        self._terminator = terminator
        self._cable = PtyCable(link, _ignore)
        self._cable.plug()

    @property
    def plugged(self) -> bool:
        """Whether a driver can open it."""
        return self._cable.plugged

    def scan(self, code: bytes) -> None:
        """Sends a code as a scanner does, with its terminator. Nobody gets it while the cable is unplugged."""
        self._cable.send(code + self._terminator)

    def send(self, data: bytes) -> None:
        """Sends bytes as they are: torn, doubled or binary ones."""
        self._cable.send(data)

    def unplug(self) -> None:
        """Pulls the cable: the driver sees a hangup."""
        self._cable.unplug()

    def plug(self) -> None:
        """Puts it in again, at the same place."""
        self._cable.plug()

    def close(self) -> None:
        """Removes it. May be called twice."""
        self._cable.close()


def _ignore(data: bytes) -> None:
    """Our scanner takes no commands."""
