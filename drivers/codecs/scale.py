"""What the codecs of scales share: what a scale can say, and a weight's text as whole grams. Without I/O.

The till asks, the scale answers. A codec's `ask` gives the bytes of a question, its `feed` what the answer's bytes amount
to; some protocols want a word in between, which comes as `Send`. Prices are by the kilogram: weights come in grams, and a
scale that shows pounds is refused rather than converted, for the amount would be another than the one on its display.
"""

import re
from dataclasses import dataclass
from typing import Literal, Protocol

from core.events import WeightCondition

FRAME_BYTES_MAX = 64
"""No answer of any of our protocols is as long; more is noise."""
GRAMS_MAX = 9_999_999

_NUMBER = re.compile(r"([+-]?) *(\d{1,7})(?:[.,](\d{0,6}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """One answer. `weight_g` is 0 where the condition leaves nothing to read, and never negative where it is stable."""

    condition: WeightCondition
    weight_g: int = 0
    net: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """What the protocol wants said next, before the answer comes."""

    data: bytes


Complaint = Literal["garbled", "unit", "too-fine", "command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """An answer that is no weight for us.

    ``garbled``: damaged on the way, worth asking again. The others are for a technician: the scale shows another ``unit``
    than grams or kilograms, in steps that are ``too-fine`` for whole grams, or does not know the ``command``.
    """

    complaint: Complaint


Said = Weighed | Send | Unusable


class ScaleCodec(Protocol):
    """One protocol, one scale."""

    def ask(self) -> bytes:
        """The question for a weight. What was half answered before is void."""

    def feed(self, data: bytes) -> list[Said]:
        """What these bytes complete, in order."""


def weighed(text: str, unit: str, *, stable: bool, net: bool = False) -> Weighed | Unusable:
    """A weight as a scale writes it, in `unit` (``kg`` or ``g``, in any letters): exactly, or not at all.

    >>> weighed(" 1.250", "kg", stable=True).weight_g
    1250
    """
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return Unusable(complaint="garbled")
    decimals = {"kg": 3, "g": 0}.get(unit.strip().lower())
    if decimals is None:
        return Unusable(complaint="unit")
    sign, whole, fraction = found[1], found[2], (found[3] or "").ljust(decimals, "0")
    if fraction[decimals:].strip("0"):
        return Unusable(complaint="too-fine")
    weight_g = int(whole + fraction[:decimals])
    if weight_g > GRAMS_MAX:
        return Unusable(complaint="garbled")
    if not stable:
        return Weighed(condition=WeightCondition.MOVING, weight_g=0 if sign == "-" else weight_g, net=net)
    if sign == "-" and weight_g:
        return Weighed(condition=WeightCondition.UNDERLOAD, net=net)
    return Weighed(condition=WeightCondition.STABLE, weight_g=weight_g, net=net)
