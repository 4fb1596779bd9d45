"""R10: a disk that fills to its last byte in mid-sale costs no sale: the open one finishes, the next is refused, it recovers.

The real daemon keeps its state on a small file system of its own (`tests.proofs.small_disk`), under a loop that starts it
again as systemd does; `tests.proofs.full_disk` has the phases and their oracle. Daemons that are heedless of their disk
go through the same, and must be caught.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.proofs.full_disk import Fault, Phase
from tests.proofs.registry import CannotRun, Proof, Result, Scale
from tests.proofs.small_disk import Kind, inside

AT_ONCE = 2
RUN_TIMEOUT_S = 3_600.0
MIB: dict[Kind, int] = {"tmpfs": 128, "ext4": 192}
SMOKE_MIB = 32
MUTANTS = {Fault.UNWATCHED: Phase.MID_SALE, Fault.NO_RESERVE: Phase.CHECKPOINT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """One terminal, and how its disk fills."""

    kind: Kind
    mib: int
    phases: tuple[Phase, ...]
    fault: Fault | None = None


def run(scale: Scale) -> Iterator[Result]:
    """All phases on each file system; then the mutants."""
    inside([])  # says before anything is started that nothing can be mounted
    quick = scale is Scale.SMOKE
    phases = (Phase.MID_SALE,) if quick else tuple(Phase) * scale.pick(smoke=1, commit=1, release=30)
    kinds: tuple[Kind, ...] = ("tmpfs",) if quick else ("tmpfs", "ext4")
    shops = [Shop(kind=kind, mib=SMOKE_MIB if quick else MIB[kind], phases=phases) for kind in kinds]
    heedless = [
        Shop(kind="tmpfs", mib=SMOKE_MIB, phases=(phase,), fault=fault)
        for fault, phase in MUTANTS.items()
        if fault is Fault.UNWATCHED or not quick  # the other is caught by waiting for it in vain
    ]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="r10") as pool:
        seen = list(pool.map(_watch, [*shops, *heedless]))
    ran = [(shop, each) for shop, each in zip(shops, seen, strict=False) if "cannot" not in each]
    if not ran:
        raise CannotRun(str(seen[0]["cannot"]))
    faults = [fault for _, each in ran for fault in each["faults"]]
    for fault in faults:
        print(f"R10: {fault}", file=sys.stderr)
    caught = {str(shop.fault): bool(each["faults"]) for shop, each in zip(heedless, seen[len(shops) :], strict=True)}
    fillings = sum(len(shop.phases) for shop, _ in ran)
    yield Result(
        figure=len(faults),
        goal=0,
        holds=not faults and all(caught.values()),
        what=(
            f"sales lost, doubled, not finished or not refused, or no recovery, in {fillings} fillings of"
            f" {' and '.join(shop.kind for shop, _ in ran)} and {sum(each['sales'] for _, each in ran)} sales; slowest"
            f" recovery {max(each['recovered_s'] for _, each in ran):.2f} s (10 s at most); mutants:"
            f" {', '.join(f'{name} {_caught(is_)}' for name, is_ in caught.items())}"
        ),
        reason="; ".join(faults[:3])
        or "; ".join(f"the mutant {name} got through" for name, is_ in caught.items() if not is_),
    )


PROOFS = [Proof(id="R10", title="disk full", run=run)]


def _watch(shop: Shop) -> dict[str, Any]:
    """What a terminal saw; its `faults` say too where it did not even run. `cannot` where the medium cannot be made."""
    with tempfile.TemporaryDirectory(prefix="terminald-r10-") as name:
        command = [sys.executable, "-m", "tests.proofs.full_disk", str(Path(name, "shop")), shop.kind, str(shop.mib)]
        fault = [shop.fault] if shop.fault else []
        done = subprocess.run(
            inside([*command, ",".join(shop.phases), *fault]),
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        if "CannotRun" in last:
            return {"cannot": last}
        return {"faults": [f"{shop.kind}: it ended with {done.returncode}: {last}"], "sales": 0, "recovered_s": 0.0}
    seen: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return seen


def _caught(is_caught: bool) -> str:
    return "caught" if is_caught else "NOT caught"
