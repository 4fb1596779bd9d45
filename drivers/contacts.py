"""A key lock and buttons: switches on pins of the Raspberry Pi (UnifiedPOS Keylock and POSKeyboard)."""

from collections.abc import Mapping

from core.events import ButtonOrder, ButtonPressed, KeyLockTurned, KeyPosition
from core.ports import Clock, Emit
from drivers.gpio import Contacts
from drivers.options import GpioButtonsOptions, GpioKeylockOptions


class GpioKeylock:
    """Emits KeyLockTurned, also for the position that it is found in. A `core.ports.Device`.

    Between two contacts the key stands at the position before; without a contact of its own, ``lock`` is none closed.
    """

    def __init__(self, name: str, options: GpioKeylockOptions, emit: Emit, clock: Clock) -> None:
        pins: dict[KeyPosition, int | None] = {
            "lock": options.lock_pin, "normal": options.normal_pin, "supervisor": options.supervisor_pin
        }  # fmt: skip
        self._positions: Mapping[int, KeyPosition] = {pin: place for place, pin in pins.items() if pin is not None}
        self.identity = "gpio:" + ",".join(map(str, self._positions))
        self._name = name
        self._options = options
        self._emit = emit
        self._contacts = Contacts(name, options.debounce_ms, self._changed)
        self._position: KeyPosition | None = None

    async def open(self) -> None:
        await self._contacts.open(dict.fromkeys(self._positions, self._options.pull))

    async def serve(self) -> None:
        await self._contacts.serve()

    def close(self) -> None:
        self._contacts.close()

    def facts(self) -> dict[str, str | int]:
        return {"position": self._position or "unknown"}

    def _changed(self, pin: int | None) -> None:
        closed = 1 if self._options.closed_level == "high" else 0
        at = [self._positions[pin] for pin, level in self._contacts.levels.items() if level == closed]
        if len(at) == 1:
            self._turned(at[0])
        elif not at and self._options.lock_pin is None:
            self._turned("lock")

    def _turned(self, position: KeyPosition) -> None:
        if position != self._position:
            self._position = position
            self._emit(KeyLockTurned(device=self._name, position=position))


class GpioButtons:
    """Emits ButtonPressed at each press, once however long it is held. A `core.ports.Device`."""

    def __init__(self, name: str, options: GpioButtonsOptions, emit: Emit, clock: Clock) -> None:
        pins: dict[ButtonOrder, int | None] = {
            "no-sale": options.no_sale_pin,
            "cancel": options.cancel_pin,
            "reprint": options.reprint_pin,
            "cash": options.cash_pin,
            "card": options.card_pin,
        }
        self._orders: Mapping[int, ButtonOrder] = {pin: order for order, pin in pins.items() if pin is not None}
        self.identity = "gpio:" + ",".join(map(str, self._orders))
        self._name = name
        self._options = options
        self._emit = emit
        self._contacts = Contacts(name, options.debounce_ms, self._changed)
        self._pressed = 0

    async def open(self) -> None:
        await self._contacts.open(dict.fromkeys(self._orders, self._options.pull))

    async def serve(self) -> None:
        await self._contacts.serve()

    def close(self) -> None:
        self._contacts.close()

    def facts(self) -> dict[str, str | int]:
        return {"pressed": self._pressed}

    def _changed(self, pin: int | None) -> None:
        closed = 1 if self._options.closed_level == "high" else 0
        if pin is not None and self._contacts.levels[pin] == closed:  # one held at the opening was not pressed
            self._pressed += 1
            self._emit(ButtonPressed(device=self._name, order=self._orders[pin]))
