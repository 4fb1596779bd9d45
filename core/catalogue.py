"""An item of the shop, as the catalogue knows it."""

from typing import Literal

import msgspec


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What a GTIN stands for (GS1 General Specifications, GTIN in 14 digits with leading zeros).

    `unit_price_minor` is the price of one `unit` in minor units of the shop's currency, `tax` the code of a tax rate in
    the shop's configuration. A code that carries a price or a weight (GS1 restricted circulation number) is kept under
    its digits with the value field zeroed and the check digit computed anew.
    """

    gtin: str
    name: str
    unit: Literal["each", "kg"]
    unit_price_minor: int
    tax: str
