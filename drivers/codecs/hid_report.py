"""How long a HID device's input reports are, from its report descriptor [USB HID 1.11, 6.2.2]."""

from typing import Final

from core.ports import ProtocolError

DESCRIPTOR_BYTES_MAX: Final = 4096
"""HID_MAX_DESCRIPTOR_SIZE of the kernel."""
_LONG_ITEM = 0xFE
_STACK_MAX = 16


def input_report(descriptor: bytes) -> tuple[int, bool]:
    """The longest input report's length in bytes, its number not counted, and whether reports are numbered.

    Raises ProtocolError for what is no descriptor, or one without input.
    """
    bits: dict[int, int] = {}
    size = count = number = 0
    stack: list[tuple[int, int, int]] = []
    at = 0
    while at < len(descriptor):
        first = descriptor[at]
        if first == _LONG_ITEM:
            at += 3 + (descriptor[at + 1] if at + 1 < len(descriptor) else 0)
            continue
        length = (0, 1, 2, 4)[first & 3]
        value = int.from_bytes(descriptor[at + 1 : at + 1 + length], "little")
        at += 1 + length
        match first & 0xFC:
            case 0x74:  # report size, in bits
                size = value
            case 0x94:  # report count
                count = value
            case 0x84:  # report ID
                number = value
            case 0xA4 if len(stack) < _STACK_MAX:  # push
                stack.append((size, count, number))
            case 0xB4 if stack:  # pop
                size, count, number = stack.pop()
            case 0x80:  # input
                bits[number] = bits.get(number, 0) + size * count
    longest = max(bits.values(), default=0)
    if at != len(descriptor) or not longest:
        raise ProtocolError("The report descriptor is none of a device that reports.")
    return (longest + 7) // 8, any(bits)
