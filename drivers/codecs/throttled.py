"""The Raspberry Pi firmware's word on its power: the bits of ``get_throttled`` [Raspberry Pi documentation, vcgencmd].

Bits 0 to 3 say how it is, bits 16 to 19 that it has been so since the start or since somebody cleared them. The alarm of
the kernel's hwmon driver (``in0_lcrit_alarm``: 0 or 1) reads as the first of them.
"""

from dataclasses import dataclass

FLAGS = ("under-voltage", "frequency-capped", "throttled", "temperature-limit")
WEAK = frozenset(("under-voltage", "throttled"))
"""What blocks a tender."""
_HAS_BEEN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerState:
    """`now` holds at this moment, `has_been` at some moment before."""

    now: frozenset[str]
    has_been: frozenset[str]


def decode(text: bytes) -> PowerState:
    """What the file says: hexadecimal, with or without 0x. Raises ValueError."""
    try:
        bits = int(text.decode("ascii").strip(), 16)
    except (UnicodeDecodeError, ValueError):
        raise ValueError(f"not the firmware's bits: {text[:20]!r}") from None
    if not 0 <= bits < 1 << 32:
        raise ValueError(f"not the firmware's bits: {text[:20]!r}")
    now = frozenset(flag for place, flag in enumerate(FLAGS) if bits >> place & 1)
    has_been = frozenset(flag for place, flag in enumerate(FLAGS) if bits >> place + _HAS_BEEN & 1)
    return PowerState(now=now, has_been=has_been)


def encode(state: PowerState) -> bytes:
    """As the kernel writes it."""
    now = sum(1 << place for place, flag in enumerate(FLAGS) if flag in state.now)
    return b"%x\n" % (now | sum(1 << place + _HAS_BEEN for place, flag in enumerate(FLAGS) if flag in state.has_been))
