"""Mettler Toledo's Standard Interface Command Set (MT-SICS, level 0): ``SI`` asks for the weight as it is now.

Source: Mettler Toledo, Reference Manual MT-SICS. Answers end in CR LF: ``S S`` a stable weight, ``S D`` one in motion, each
with the weight in 10 characters and its unit; ``S I`` not now, ``S +`` overload, ``S -`` underload; ``ES``, ``ET``
and ``EL`` are the scale's own complaints. ``S`` and ``SIR`` are answered in the same words, so that a key pressed at the
scale, or a scale that repeats by itself, is understood too. Weights are net; whether a tare is in them is not said.
"""

import re

from core.events import WeightCondition
from drivers.codecs.scale import FRAME_BYTES_MAX, Said, Unusable, Weighed, weighed

ASK = b"SI\r\n"

# Ten characters and no fewer: there is no check sum, and a weight that lost a digit on the way is another weight.
_WEIGHT = re.compile(r"S ([SD]) ([ 0-9.+-]{10}) ([A-Za-z]{1,3})")
_CONDITIONS = {
    "S I": WeightCondition.MOVING,
    "S +": WeightCondition.OVERLOAD,
    "S -": WeightCondition.UNDERLOAD,
}


class MettlerSics:
    """A `drivers.codecs.scale.ScaleCodec`. A unit counts once it has come twice running: ``kg`` may have lost its ``k``."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._unit = ""

    def ask(self) -> bytes:
        self._line.clear()
        return ASK

    def feed(self, data: bytes) -> list[Said]:
        said: list[Said] = []
        for byte in data:
            if byte == 0x0A:
                if line := bytes(self._line).rstrip(b"\r"):
                    said.append(self._read(line))
                self._line.clear()
                continue
            self._line.append(byte)
            if len(self._line) > FRAME_BYTES_MAX:
                said.append(Unusable(complaint="garbled"))
                self._line.clear()
        return said

    def _read(self, line: bytes) -> Said:
        text = line.decode("ascii", "replace").rstrip()
        if found := _WEIGHT.fullmatch(text):
            before, self._unit = self._unit, found[3]
            if before != self._unit:
                return Unusable(complaint="garbled")
            return weighed(found[2].replace(" ", ""), self._unit, stable=found[1] == "S")
        if condition := _CONDITIONS.get(text):
            return Weighed(condition=condition)
        return Unusable(complaint="command" if text in ("ES", "EL") else "garbled")
