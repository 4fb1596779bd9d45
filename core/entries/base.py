"""What all entries share."""

from typing import ClassVar

import msgspec

from core.ledger import Stream


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What all entries share: the stream they go to and whether they move money (see `core.ledger.Draft`)."""

    STREAM: ClassVar[Stream] = Stream.SALES
    MOVES_MONEY: ClassVar[bool] = False
