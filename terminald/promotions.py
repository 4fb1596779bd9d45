"""The shop's promotions: headquarters', which come with the catalogue, and those of the configuration in their place."""

import msgspec

from core.promotion import Rulebook
from core.state import Shop
from store.catalogue import Catalogue


class Promotions:
    """Puts the promotions of the catalogue's version into the shop, whenever there is another version."""

    def __init__(self, catalogue: Catalogue, own: Rulebook) -> None:
        self._catalogue = catalogue
        self._own = own
        self._version: tuple[int, str] | None = None

    def refreshed(self, shop: Shop) -> Shop:
        """The shop as it is now; the same one while the catalogue is. Raises JournalError."""
        version = self._catalogue.version()
        if version == self._version:
            return shop
        book = Rulebook(
            (*self._catalogue.promotions(), *self._own.promotions),
            precedence=self._own.precedence,
            price_list=self._own.price_list,
        )
        self._version = version
        return msgspec.structs.replace(shop, promotions=book)
