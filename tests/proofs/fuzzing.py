"""Bad input for parsers: seeds, mutated; and what a parser made of it. The same name and number give the same input.

Nothing here looks at coverage. What stands in for it: every input may be the seed of later ones once its parser took it,
so that mutations pile up behind the first check; and each parser first gets what is known to hurt parsers: nothing at all,
single bytes, its seeds cut at every place, one piece of a seed over and over up to the largest size, and deep nesting.
"""

import gc
import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

Parse = Callable[[bytes], object]

SLOW_S = 0.05
"""Process time that no input may take."""
SLOW_TRIES = 3
"""The least of so many counts: a page fault or a collection of garbage is not the parser's."""
POOL_MAX = 256
NESTED_BYTES = 8_000
LARGE_EVERY = 400
"""One input of so many is as large as its parser takes."""
FINDINGS_MAX = 5
_BOUNDARY_BYTES = bytes(
    (0, 1, 2, 9, 10, 13, 0x1C, 0x1D, 0x1F, 0x20, 0x22, 0x30, 0x39, 0x3F, 0x7F, 0x80, 0x81, 0x82, 0xC0, 0xFE, 0xFF)
)
_BOUNDARY_TEXTS = (
    b"0", b"-1", b"1", b"127", b"128", b"255", b"256", b"65535", b"65536", b"2147483647", b"2147483648", b"4294967296",
    b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"1e999", b"1" * 400, b"0.1", b"1e-7", b"NaN",
)  # fmt: skip
_BOUNDARY_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_TOKENS = (
    b"[",
    b"{",
    b'{"a":',
    b"]",
    b"}",
    b'"',
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\n",
    b"\r\n",
    b",",
)


@dataclass(frozen=True, kw_only=True)
class Parser:
    """A parser under test. `make` readies it in the process that runs it, and gives what takes bytes.

    `allowed` are the errors that it says it raises. `size_max` is what its caller hands to it at most.
    """

    name: str
    make: Callable[[], Parse]
    seeds: Sequence[bytes]
    allowed: tuple[type[Exception], ...] = ()
    tokens: Sequence[bytes] = ()
    size_max: int = 1 << 16
    one_in: int = 1
    """What is a program rather than a parser gets one input of so many."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """An input that a parser should have stood, and what it did instead."""

    parser: str
    what: str
    input: bytes


@dataclass(kw_only=True)
class Tally:
    """What came of some inputs."""

    inputs: int = 0
    taken: int = 0
    slowest_s: float = 0.0
    findings: list[Finding] = field(default_factory=list)


def fuzz(parser: Parser, count: int, number: int, *, findings_max: int = FINDINGS_MAX) -> Tally:
    """Gives a parser `count` inputs, those of chunk `number`; stops early after so many findings."""
    rng, tally, parse = random.Random(f"{parser.name} {number}"), Tally(), parser.make()
    mutator = _Mutator(parser, rng)
    hard = _hard(parser) if number == 0 else iter(())
    gc.collect()
    while tally.inputs < count and len(tally.findings) < findings_max:
        data = next(hard, None) or mutator.next()
        what, took_s = _try(parser, parse, data)
        tally.inputs += 1
        if took_s > SLOW_S and what in ("", "refused"):
            took_s = min(took_s, *(_try(parser, parse, data)[1] for _ in range(SLOW_TRIES)))
            if took_s > SLOW_S:
                tally.findings.append(Finding(parser=parser.name, what=f"took {took_s * 1000:.0f} ms", input=data))
        tally.slowest_s = max(tally.slowest_s, took_s)
        if not what:
            tally.taken += 1
            mutator.keep(data)
        elif what != "refused":
            tally.findings.append(Finding(parser=parser.name, what=what, input=data))
    return tally


def _try(parser: Parser, parse: Parse, data: bytes) -> tuple[str, float]:
    """Empty where the parser took it, ``refused`` where it said that it is none, else what went wrong; and the time."""
    began_ns = time.process_time_ns()
    try:
        parse(data)
        what = ""
    except parser.allowed:
        what = "refused"
    except Exception as error:
        what = f"{type(error).__name__}: {str(error)[:80]}"
    return what, (time.process_time_ns() - began_ns) / 1e9


def _hard(parser: Parser) -> Iterator[bytes]:
    """What is known to hurt, of each kind in turn, so that the shortest run has some of all."""
    yield from parser.seeds
    kinds = [_large(parser), _nested(parser), _cut_short(parser), _with_boundaries(parser)]
    for turn in itertools.zip_longest(*kinds):
        yield from (data for data in turn if data is not None)


def _large(parser: Parser) -> Iterator[bytes]:
    for piece in (*parser.seeds, *parser.tokens, b"9", b"\0", b"\xff", b"A", b"\n", *_TOKENS):
        yield (piece * (parser.size_max // max(len(piece), 1)))[: parser.size_max]


def _nested(parser: Parser) -> Iterator[bytes]:
    for token in (b"[", b'{"a":', *parser.tokens, *_TOKENS):
        for seed in parser.seeds:
            middle = len(seed) // 2
            room = parser.size_max - len(seed)
            yield seed[:middle] + token * (min(room, NESTED_BYTES) // len(token)) + seed[middle:]


def _cut_short(parser: Parser) -> Iterator[bytes]:
    for seed in parser.seeds:
        yield from (seed[:end] for end in range(min(len(seed), 200)))
    yield from (bytes((byte,)) for byte in range(256))


def _with_boundaries(parser: Parser) -> Iterator[bytes]:
    for seed in parser.seeds:
        for at in range(min(len(seed), 64)):
            yield from (seed[:at] + bytes((value,)) + seed[at + 1 :] for value in (0xFF, 0x00, 0x7F, 0x80))


class _Mutator:
    """An endless supply of inputs."""

    def __init__(self, parser: Parser, rng: random.Random) -> None:
        self._seeds = list(parser.seeds)
        self._fixed = len(self._seeds)
        self._tokens = (*parser.tokens, *_TOKENS)
        self._size_max = parser.size_max
        self._random = rng.random
        self._count = 0
        self._changes = (
            self._flip, self._set, self._insert, self._cut, self._drop, self._repeat, self._splice, self._number,
            self._text_number, self._swap, self._token,
        )  # fmt: skip

    def next(self) -> bytes:
        """Another input."""
        self._count += 1
        data = bytearray(self._pick(self._seeds))
        for _ in range(1 + int(self._random() ** 3 * 6)):
            self._changes[self._below(len(self._changes))](data)
        if self._count % LARGE_EVERY == 0 and data:
            at = self._below(len(data))
            piece = bytes(data[at : at + 1 + self._below(12)])
            data[at:at] = piece * ((self._size_max - len(data)) // len(piece))
        return bytes(data[: self._size_max])

    def keep(self, data: bytes) -> None:
        """It was taken: others may grow from it."""
        if len(data) > 2_000:
            return
        if len(self._seeds) < POOL_MAX:
            self._seeds.append(data)
        elif self._random() < 0.02:
            self._seeds[self._fixed + self._below(len(self._seeds) - self._fixed)] = data

    def _below(self, end: int) -> int:
        return int(self._random() * end)

    def _pick(self, choices: Sequence[bytes]) -> bytes:
        return choices[self._below(len(choices))]

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._below(len(data))] ^= 1 << self._below(8)

    def _set(self, data: bytearray) -> None:
        if data:
            data[self._below(len(data))] = _BOUNDARY_BYTES[self._below(len(_BOUNDARY_BYTES))]

    def _insert(self, data: bytearray) -> None:
        data.insert(self._below(len(data) + 1), self._below(256))

    def _cut(self, data: bytearray) -> None:
        del data[self._below(len(data) + 1) :]

    def _drop(self, data: bytearray) -> None:
        at = self._below(len(data) + 1)
        del data[at : at + 1 + self._below(8)]

    def _repeat(self, data: bytearray) -> None:
        at = self._below(len(data) + 1)
        piece = bytes(data[at : at + 1 + self._below(16)])
        data[at:at] = piece * (1 + self._below(8))

    def _splice(self, data: bytearray) -> None:
        other = self._pick(self._seeds)
        at = self._below(len(other) + 1)
        data[self._below(len(data) + 1) :] = other[at:]

    def _number(self, data: bytearray) -> None:
        """A boundary value where a length may stand."""
        size = 1 << self._below(3)
        value = _BOUNDARY_NUMBERS[self._below(len(_BOUNDARY_NUMBERS))] & ((1 << 8 * size) - 1)
        at = self._below(len(data) + 1)
        data[at : at + size] = value.to_bytes(size, "big" if self._random() < 0.5 else "little")

    def _text_number(self, data: bytearray) -> None:
        """A boundary value in place of digits."""
        at = self._below(len(data) + 1)
        end = at
        while end < len(data) and 0x30 <= data[end] <= 0x39:
            end += 1
        data[at:end] = self._pick(_BOUNDARY_TEXTS)

    def _swap(self, data: bytearray) -> None:
        if data:
            one, other = self._below(len(data)), self._below(len(data))
            data[one], data[other] = data[other], data[one]

    def _token(self, data: bytearray) -> None:
        at = self._below(len(data) + 1)
        data[at:at] = self._pick(self._tokens)
