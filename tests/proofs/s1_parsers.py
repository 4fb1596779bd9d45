"""S1: whatever comes in, each parser takes it or says that it is none of its own, and is quick about it.

Every parser of what comes from outside (`parsers.PARSERS`) gets mutated seeds: flipped, cut, spliced, repeated, nested,
with boundary values where a length or a number stands, and now and then as large as it can come. Nothing but the errors
that it says it raises may leave it, and no input may take 50 ms of the process' time. Each finding prints its input.

Mutants: a parser that raises IndexError on a rare input, and one that is quadratic.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from core import tlv
from tests.proofs import parse_calls as c
from tests.proofs.fuzzing import FINDINGS_MAX, Finding, Parser, Tally, fuzz
from tests.proofs.parsers import OBJECTS, PARSERS
from tests.proofs.registry import Proof, Result, Scale

AT_ONCE = 2
CHUNK = 10_000


def run(scale: Scale) -> Iterator[Result]:
    """So many inputs each."""
    each = scale.pick(smoke=100, commit=1_000_000, release=10_000_000)
    tallies: dict[str, Tally] = defaultdict(Tally)
    for name, tally in _chunks(scale, each):
        _add(tallies[name], tally)
    for parser in PARSERS:
        tally = tallies[parser.name]
        print(
            f"S1 {parser.name}: {tally.inputs} inputs, {tally.taken} taken, the slowest {tally.slowest_s * 1000:.1f} ms",
            file=sys.stderr,
        )
    findings = [finding for tally in tallies.values() for finding in tally.findings]
    for finding in findings:
        print(f"S1 {finding.parser}: {finding.what}: {_shown(finding)}", file=sys.stderr)
    mutants = {name: len(fuzz(mutant, CHUNK, 0, findings_max=1).findings) for name, mutant in MUTANTS.items()}
    caught = ", ".join(f"{name}: {'caught' if count else 'NOT CAUGHT'}" for name, count in mutants.items())
    least = min(tallies[parser.name].inputs for parser in PARSERS if parser.one_in == 1)
    fewer = ", ".join(f"{tallies[parser.name].inputs} to the {parser.name}" for parser in PARSERS if parser.one_in > 1)
    yield Result(
        figure=least,
        goal=each,
        holds=not findings and least >= each and all(mutants.values()),
        what=f"inputs each to {sum(parser.one_in == 1 for parser in PARSERS)} parsers, {fewer}: nothing uncaught, "
        f"none over 50 ms; mutants: {caught}",
        reason="; ".join(sorted({f"{finding.parser}: {finding.what}" for finding in findings})[:5]),
    )


def _chunks(scale: Scale, each: int) -> Iterator[tuple[str, Tally]]:
    if scale is Scale.SMOKE:
        yield from ((parser.name, fuzz(parser, each, 0)) for parser in PARSERS)
        return
    work = [
        (place, number)
        for number in range(each // CHUNK)
        for place, parser in enumerate(PARSERS)
        if number % parser.one_in == 0
    ]
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_chunk, work)


def _chunk(work: tuple[int, int]) -> tuple[str, Tally]:
    place, number = work
    return PARSERS[place].name, fuzz(PARSERS[place], CHUNK, number)


def _add(to: Tally, tally: Tally) -> None:
    to.inputs += tally.inputs
    to.taken += tally.taken
    to.slowest_s = max(to.slowest_s, tally.slowest_s)
    to.findings += tally.findings[: FINDINGS_MAX - len(to.findings)]


def _shown(finding: Finding) -> str:
    data = finding.input
    return f"{data!r}" if len(data) <= 120 else f"{data[:60]!r}… {len(data)} bytes …{data[-40:]!r}"


# --- mutants ----------------------------------------------------------------------------------------------------------


def _trusting(data: bytes) -> None:
    """Believes a length of two bytes of one tag."""
    if data[:2] == b"\x6f\x81" and len(data) > 2:
        data[2 + data[2]]
    c.objects(data)


def _quadratic(data: bytes) -> None:
    while data:
        data = data[1:]


MUTANTS = {
    "an IndexError on a rare input": Parser(
        name="mutant: trusting",
        make=c.simply(_trusting),
        seeds=(bytes.fromhex("6F81028401AA"), *OBJECTS),
        allowed=(tlv.TlvFault,),
    ),
    "a quadratic one": Parser(
        name="mutant: quadratic", make=c.simply(_quadratic), seeds=(b"4006381333931\r",), size_max=1 << 17
    ),
}
PROOFS = [Proof(id="S1", title="parsers, fuzzed", run=run)]
