"""Devices of the tests' own, for what keeps devices running: they do what they are told, and write down what is done."""

import asyncio
from collections.abc import Iterator

from core.document import Document
from core.effects import LightState, ShowOnDisplay, ToneName
from core.events import PaymentAnswered, PaymentRefused, PaymentTakenBack
from core.ports import DeviceAbsent, DeviceError, PaymentTotals
from core.wallet import WalletCode


class FakeDevice:
    """Its openings go as `faults` say, one after the other (None: it opens); then as the last one."""

    def __init__(self, faults: Iterator[DeviceError | None] | None = None) -> None:
        self.identity = "device"
        self.opened = 0
        self.closed = 0
        self.broken = asyncio.Event()
        self.fault: Exception = DeviceAbsent("device: unplugged")
        self._faults = faults

    async def open(self) -> None:
        self.opened += 1
        fault = next(self._faults, None) if self._faults is not None else None
        if fault is not None:
            raise fault

    async def serve(self) -> None:
        await self.broken.wait()
        self.broken.clear()
        raise self.fault

    def close(self) -> None:
        self.closed += 1

    def facts(self) -> dict[str, str | int]:
        return {}


class FakePrinter(FakeDevice):
    """Prints as `outcomes` say, one after the other (None: well); then well."""

    def __init__(self, *outcomes: DeviceError | None) -> None:
        super().__init__()
        self.papers: list[Document] = []
        self._outcomes = iter(outcomes)

    async def print(self, document: Document) -> None:
        await asyncio.sleep(0)
        outcome = next(self._outcomes, None)
        if outcome is not None:
            raise outcome
        self.papers.append(document)


class FakeDrawer(FakeDevice):
    """Opens, or fails as `jam` says."""

    def __init__(self, jam: DeviceError | None = None) -> None:
        super().__init__()
        self.kicks = 0
        self._jam = jam

    async def kick(self) -> None:
        if self._jam is not None:
            raise self._jam
        self.kicks += 1


class FakePaymentDevice(FakeDevice):
    """Answers everything with `answers`, one after the other; `asked` says what it was asked."""

    def __init__(self, *answers: PaymentAnswered | PaymentRefused | PaymentTakenBack | DeviceError | None) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []
        self._answers = iter(answers)

    async def pay(
        self, reference: str, amount_minor: int, currency: str, wallet: WalletCode | None = None
    ) -> PaymentAnswered | PaymentRefused:
        answer = self._answer("pay", reference)
        assert isinstance(answer, PaymentAnswered | PaymentRefused)
        return answer

    async def abort(self, reference: str) -> None:
        self._answer("abort", reference)

    async def enquire(self, reference: str) -> PaymentAnswered | PaymentRefused | None:
        answer = self._answer("enquire", reference)
        assert not isinstance(answer, PaymentTakenBack)
        return answer

    async def reconcile(self, currency: str) -> PaymentTotals:
        return PaymentTotals(totals=())

    async def refund(
        self, reference: str, amount_minor: int, currency: str, original: str, poi_transaction: str
    ) -> PaymentAnswered | PaymentRefused:
        answer = self._answer("refund", reference)
        assert isinstance(answer, PaymentAnswered | PaymentRefused)
        return answer

    async def reverse(self, reference: str, amount_minor: int, currency: str, poi_transaction: str) -> PaymentTakenBack:
        answer = self._answer("reverse", reference)
        assert isinstance(answer, PaymentTakenBack)
        return answer

    def _answer(self, what: str, reference: str) -> PaymentAnswered | PaymentRefused | PaymentTakenBack | None:
        self.asked.append((what, reference))
        answer = next(self._answers, None)
        if isinstance(answer, DeviceError):
            raise answer
        return answer


class FakeSign(FakeDevice):
    """A display, a set of lights or a buzzer; what it is told it takes when `free` is set, and writes it down."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[object] = []
        self.jam: DeviceError | None = None
        self.free = asyncio.Event()
        self.free.set()

    async def show(self, shown: ShowOnDisplay) -> None:
        await self._take(shown.upper[0])

    async def set(self, state: LightState) -> None:
        await self._take(state)

    async def sound(self, tone: ToneName) -> None:
        await self._take(tone)

    async def _take(self, told: object) -> None:
        await self.free.wait()
        if self.jam is not None:
            raise self.jam
        self.told.append(told)
