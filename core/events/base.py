"""What all events share."""

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What all events share."""

    @property
    def tag(self) -> str:
        """By which tables know its kind (``cash_keyed``)."""
        return str(self.__struct_config__.tag)
