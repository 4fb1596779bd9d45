"""A tap on a device's cable: while somebody listens, a copy of all bytes that pass, either way, by the device's name.

One listener a device. With none, a stream pays for a look into an empty table. What a listener is given is the raw
traffic: it has to go through a mask (`drivers.codecs.recording`) before it is kept or sent anywhere.
"""

from collections.abc import Callable
from typing import Literal

Source = Literal["device", "till"]
Listen = Callable[[Source, bytes], None]

_listeners: dict[str, Listen] = {}


def listen(device: str, listener: Listen) -> bool:
    """Has `listener` called, on the loop's thread, with every piece from now on; False where there is one already."""
    return _listeners.setdefault(device, listener) is listener


def leave(device: str) -> None:
    """Listens no more. May be called twice."""
    _listeners.pop(device, None)


def pass_on(device: str, source: Source, data: bytes) -> None:
    """Called by streams with each piece."""
    if _listeners and (listener := _listeners.get(device)) is not None:
        listener(source, data)
