"""Text for people leaves the core as an id with parameters; each client puts it into words."""

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be told: ``id`` names the condition (a stable code), ``params`` are what the words need.

    A parameter whose name ends in ``_minor`` is an amount in the shop's currency.
    """

    id: str
    params: dict[str, str | int] = {}


def message(condition: str, /, **params: str | int) -> Message:
    """A message from its id and parameters."""
    return Message(id=condition, params=params)
