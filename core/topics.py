"""The names of MQTT topics, for both ends: ``pos/v1/{terminal}/...``.

A topic names the terminal alone: with an organisation or a site in it, a broker's ACL pattern would let one terminal
publish under another's name.
"""

import re

from core.card import holds_card

PREFIX = "pos/v1"
TERMINAL_CHARACTERS_MAX = 63

EVERY_STATUS = f"{PREFIX}/+/status"
EVERY_INFO = f"{PREFIX}/+/info"
EVERY_TELE = f"{PREFIX}/+/tele/+"
EVERY_ALARM = f"{PREFIX}/+/alarm/+"
EVERY_BATCH = f"{PREFIX}/+/money/batch"
EVERY_ACK = f"{PREFIX}/+/money/ack"
EVERY_RECALL = f"{PREFIX}/+/money/recall"
EVERY_RESULT = f"{PREFIX}/+/cmd/+/+/res"
EVERY_REPORTED = f"{PREFIX}/+/config/reported"

_TERMINAL = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{TERMINAL_CHARACTERS_MAX - 1}}}")
_GROUP = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_ORDER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_terminal(terminal: str) -> str:
    """The same id. Raises ValueError where it could not stand in a topic, a client id and a certificate's name."""
    if holds_card(terminal):
        raise ValueError("a terminal id must not look like a card's number: use fewer digits, or letters between them")
    if not _TERMINAL.fullmatch(terminal):
        raise ValueError(
            f"{terminal!r} is no terminal id: 1 to {TERMINAL_CHARACTERS_MAX} letters, digits, dots, dashes and"
            " underscores are, the first a letter or a digit"
        )
    return terminal


def shared(group: str, topic_filter: str) -> str:
    """A shared subscription (MQTT 5): the broker gives each message of the filter to one member of the group."""
    return f"$share/{group}/{topic_filter}"


def status(terminal: str) -> str:
    """Retained, and the will: whether the terminal is online."""
    return _under(terminal, "status")


def info(terminal: str) -> str:
    """Retained: what the terminal is made of."""
    return _under(terminal, "info")


def tele(terminal: str, group: str) -> str:
    """A group of flat JSON measurements."""
    return _under(terminal, f"tele/{_named('telemetry group', group)}")


def alarm(terminal: str, type_: str) -> str:
    """Retained until it is cleared by an empty message."""
    return _under(terminal, f"alarm/{_named('type of alarm', type_)}")


def every_alarm(terminal: str) -> str:
    """The filter of all alarms of one terminal."""
    return _under(terminal, "alarm/+")


def batch(terminal: str) -> str:
    """Batches of records, from the terminal."""
    return _under(terminal, "money/batch")


def ack(terminal: str) -> str:
    """Retained: what headquarters holds. Only the collector may write it."""
    return _under(terminal, "money/ack")


def recall(terminal: str) -> str:
    """A restored terminal's request for what its backup lacks."""
    return _under(terminal, "money/recall")


def replay(terminal: str) -> str:
    """What headquarters sends back to it."""
    return _under(terminal, "money/replay")


def check_order_id(order_id: str) -> str:
    """The same id. Raises ValueError where it could not stand in a topic."""
    if not _ORDER_ID.fullmatch(order_id) or holds_card(order_id):
        raise ValueError(
            f"{order_id[:64]!r} is no order's id: 1 to 64 letters, digits, dashes and underscores are, with no card's"
            " number among them"
        )
    return order_id


def order(terminal: str, kind: str, order_id: str) -> str:
    """Retained: an order of a kind (`core.orders.ORDERS`), signed. Only headquarters may write it."""
    if not _GROUP.fullmatch(kind):
        raise ValueError(f"{kind[:32]!r} is no kind of order")
    return _under(terminal, f"cmd/{kind}/{check_order_id(order_id)}")


def orders(terminal: str) -> str:
    """The filter of all orders for a terminal; their results are one level deeper."""
    return _under(terminal, "cmd/+/+")


def result(terminal: str, kind: str, order_id: str) -> str:
    """Retained: what became of an order, from the terminal (`core.order_results`)."""
    return f"{order(terminal, kind, order_id)}/res"


def order_of(topic: str) -> tuple[str, str]:
    """The kind and the id in an order's topic, or in its result's. Raises ValueError for any other."""
    terminal_of(topic)
    _, _, _, *rest = topic.split("/")
    if rest[-1:] == ["res"]:
        rest.pop()
    if len(rest) != 3 or rest[0] != "cmd" or not _GROUP.fullmatch(rest[1]):
        raise ValueError(f"{topic[:200]!r} is no order's topic")
    return rest[1], check_order_id(rest[2])


def desired(terminal: str) -> str:
    """Retained: the configuration that it is to have, signed. Only headquarters may write it."""
    return _under(terminal, "config/desired")


def reported(terminal: str) -> str:
    """Retained: which configuration it has, and what became of the desired one."""
    return _under(terminal, "config/reported")


def terminal_of(topic: str) -> str:
    """The terminal that a topic belongs to. Raises ValueError for a topic that is not one of ours."""
    if not topic.startswith(f"{PREFIX}/"):
        raise ValueError(f"{topic!r} does not begin with {PREFIX}/")
    terminal, slash, rest = topic[len(PREFIX) + 1 :].partition("/")
    if not slash or not rest:
        raise ValueError(f"{topic!r} names nothing of a terminal")
    return check_terminal(terminal)


def _named(what: str, name: str) -> str:
    if not _GROUP.fullmatch(name):
        raise ValueError(f"{name!r} is no {what}: lower-case letters, digits, dashes and underscores are")
    return name


def _under(terminal: str, rest: str) -> str:
    return f"{PREFIX}/{check_terminal(terminal)}/{rest}"
