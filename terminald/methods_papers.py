"""Papers of finished sales over the control socket: copies and invoices, of the last one or of one that is found again."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from core import events as v
from core.text import message
from terminald.control import Method, Refused
from terminald.orders import Keyed, Orders
from terminald.paper_finder import PaperFinder

TEXT_LENGTH_MAX = 1_024

Text = Annotated[str, msgspec.Meta(max_length=TEXT_LENGTH_MAX)]


class ReprintParams(Keyed, frozen=True, kw_only=True):
    number: Annotated[int, msgspec.Meta(ge=0, le=10**12)] = 0


class InvoiceParams(ReprintParams, frozen=True, kw_only=True):
    name: Text
    tax_number: Text = ""
    address: tuple[Text, ...] = ()


def paper_methods(orders: Orders, papers: PaperFinder) -> Mapping[str, Method[Any]]:
    """The methods of this area."""

    async def reprint(given: ReprintParams) -> object:
        await look(given.number)
        return await orders.give(v.ReprintKeyed(number=given.number), given)

    async def invoice(given: InvoiceParams) -> object:
        await look(given.number)
        event = v.InvoiceKeyed(number=given.number, name=given.name, tax_number=given.tax_number, address=given.address)
        return await orders.give(event, given)

    async def look(number: int) -> None:
        if number:
            try:
                await papers.look(number)
            except TimeoutError:
                raise Refused(message("receipt-not-looked-up", number=number)) from None

    return {
        "receipt.reprint": Method(
            summary="Prints a copy of the last receipt, or of the one with this number",
            params=ReprintParams,
            handler=reprint,
        ),
        "receipt.invoice": Method(
            summary="Prints the invoice of the last sale, or of the one with this number, for a buyer whom nothing keeps",
            params=InvoiceParams,
            handler=invoice,
        ),
    }
