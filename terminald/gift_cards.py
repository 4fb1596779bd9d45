"""Has the payment device do what gift cards need, and says what came of it; whether anything is asked again the core decides."""

import logging
from collections.abc import Awaitable, Callable
from typing import assert_never

from core import effects as x
from core import events as v
from core.ports import Clock, DeviceError, PaymentDevice

NO_DEVICE = "no-device"
NO_ANSWER = "no-answer"

GiftCardEffect = x.ReserveGiftCard | x.ChangeStoredValue | x.EnquireStoredValue | x.EnquireBalance
_log = logging.getLogger(__name__)


async def work_gift_card(
    request: GiftCardEffect, device_soon: Callable[[], Awaitable[PaymentDevice | None]], clock: Clock
) -> v.AnyEvent:
    """What the payment device said, or that it did not."""
    if isinstance(request, x.EnquireStoredValue):
        await clock.sleep(request.after_s)
    device = await device_soon()
    if device is None:
        return not_asked(request, NO_DEVICE)
    try:
        match request:
            case x.ReserveGiftCard():
                return await device.reserve(
                    request.reference, request.card, request.account, request.amount_minor, request.currency
                )
            case x.ChangeStoredValue():
                return await device.change_value(
                    request.reference, request.operation, request.amount_minor, request.currency, request.original
                )
            case x.EnquireStoredValue():
                found = await device.enquire_value(request.reference, request.currency)
                return found or v.StoredValueUnanswered(reference=request.reference)
            case x.EnquireBalance():
                return await device.balance(request.card, request.currency)
        assert_never(request)
    except DeviceError as error:
        _log.warning("a gift card's payment device has not answered", extra={"fault": error.code})
        return _unanswered(request)


def not_asked(request: GiftCardEffect, reason: str) -> v.AnyEvent:
    """Nothing was sent: it is certain that no value changed; what is asked about stays unknown."""
    match request:
        case x.ReserveGiftCard():
            return v.GiftCardUnreserved(reference=request.reference, reason=reason)
        case x.ChangeStoredValue():
            return v.StoredValueRefused(reference=request.reference, reason=reason)
        case x.EnquireStoredValue():
            return v.StoredValueUnanswered(reference=request.reference)
        case x.EnquireBalance():
            return v.BalanceUntold(card=request.card.masked, reason=reason)
    assert_never(request)


def _unanswered(request: GiftCardEffect) -> v.AnyEvent:
    match request:
        case x.ReserveGiftCard():
            return v.GiftCardUnreserved(reference=request.reference, reason=NO_ANSWER)
        case x.ChangeStoredValue() | x.EnquireStoredValue():
            return v.StoredValueUnanswered(reference=request.reference)
        case x.EnquireBalance():
            return v.BalanceUntold(card=request.card.masked, reason=NO_ANSWER)
    assert_never(request)
