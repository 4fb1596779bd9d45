"""S6: an operator's PIN. The power is cut while somebody guesses, and what is left counts every try; the database tells no PIN.

*a* A store of credentials is guessed at over the shim, which writes down each call that touches the medium, and when each
PIN was looked at. At any moment after that the power may go: whatever of the unsynced is lost, torn or reordered, at
least as many tries are counted as PINs were looked at, and after five the operator is locked for the whole half hour.
Then a real daemon is killed (SIGKILL) in the middle of guesses, and locks after five all the same.

*b* The database as its owner would have it who broke its encryption, and the full dictionary of four digits, in each form in which
a PIN might have been hashed; without the pepper nothing is found. It is run on hashes of the least cost that Argon2id has,
as the dictionary against one at the product's cost takes minutes: what is tried is the pepper, and not the cost. The same attack with the
pepper must find them all.
"""

import asyncio
import base64
import contextlib
import hmac
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from argon2 import PasswordHasher
from argon2.low_level import Type, hash_secret_raw

from core.ports import JournalError
from store.credentials import LOCK_MS, TRIES_MAX, Credentials, Locked, Moment
from store.database import read_database
from store.operators import Operators
from tests.proofs.guarded_till import GuardedTill
from tests.proofs.registry import Proof, Result, Scale
from tests.shim.boundary import run as run_over_shim
from tests.shim.disk import Disk
from tests.shim.guesser import KEY, NAME, OPERATOR, PEPPER, PIN, Fault
from tests.shim.trace import Kind, read_trace

GUESSES = TRIES_MAX + 1
OWNER = "384751"
_CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_DICTIONARY = [f"{number:04d}" for number in range(10_000)]


def run(scale: Scale) -> Iterator[Result]:
    """The cuts with their mutants and the killed daemon; then the dictionary."""
    yield _cuts(scale)
    yield _cracks(scale)


PROOFS = [Proof(id="S6", title="operator's PIN", parts=("a", "b"), run=run)]


# --- the power goes while somebody guesses ------------------------------------------------------------------------


def _cuts(scale: Scale) -> Result:
    images = scale.pick(smoke=60, commit=3_000, release=100_000)
    faults = _guess(images, None, seed=6)
    caught = {fault.value: bool(_guess(min(images, 500), fault, seed=7)) for fault in Fault}
    kills = scale.pick(smoke=0, commit=6, release=100)
    if kills:
        with tempfile.TemporaryDirectory(prefix="terminald-s6-") as name, contextlib.redirect_stdout(sys.stderr):
            faults += asyncio.run(_killed(Path(name), kills))
    for fault in faults[:20]:
        print(f"S6: {fault}", file=sys.stderr)
    told = ", ".join(f"a store that {name} {'caught' if is_ else 'NOT caught'}" for name, is_ in caught.items())
    return Result(
        part="a",
        figure=len(faults),
        goal=0,
        holds=not faults and all(caught.values()),
        what=(
            f"tries forgotten in {images} media after a power cut while {GUESSES} PINs were guessed, and over {kills} kills of"
            f" a daemon; {told}"
        ),
        reason="; ".join(faults[:3])
        or "; ".join(f"a store that {name} got through" for name, is_ in caught.items() if not is_),
    )


def _guess(images: int, fault: Fault | None, *, seed: int) -> list[str]:
    """One run over the shim, and `images` power cuts in it; what is wrong with what they left."""
    faults: list[str] = []
    with tempfile.TemporaryDirectory(prefix="terminald-s6-", dir=_memory()) as name:
        root = Path(name)
        folder = root / "till"
        folder.mkdir()
        with Credentials(folder / NAME, KEY, PEPPER, hasher=_CHEAP) as credentials:
            Operators(credentials).add(OPERATOR, "cashier", PIN)
        disk = Disk({each.name: each.read_bytes() for each in folder.iterdir()})
        command = [sys.executable, "-m", "tests.shim.guesser", str(folder), str(GUESSES), *([fault] if fault else [])]
        done = run_over_shim(command, folder, trace=str(root / "trace"))
        assert done.returncode == 0, done.stderr
        events = read_trace(root / "trace", folder)
        said = [number for number, event in enumerate(events) if event.kind is Kind.SAID and b"look" in event.data]
        if fault is not Fault.COUNTS_AFTER and len(said) != TRIES_MAX:
            faults.append(f"of {GUESSES} guesses {len(said)} PINs were looked at")
        random = Random(seed)
        cuts = sorted(random.randrange(said[0], len(events)) + 1 for _ in range(images))
        taken = 0
        for cut in cuts:
            for event in events[taken:cut]:
                disk.take(event)
            taken = max(taken, cut)
            looks = sum(number < cut for number in said)
            _lay_out(root / "after", disk.image(random))
            try:
                wrong = _left(root / "after", min(looks, TRIES_MAX))
            except JournalError as error:
                wrong = str(error)
            if wrong:
                faults.append(f"a power cut after {cut} of {len(events)} calls, {looks} PINs looked at: {wrong}")
    return faults


def _left(folder: Path, looks: int) -> str:
    """What is wrong with a medium that was left when so many PINs had been looked at."""
    with Credentials(folder / NAME, KEY, PEPPER, hasher=_CHEAP) as credentials:
        ((failures,),) = credentials.run("SELECT failures FROM pin")
        if failures < looks:
            return f"{failures} are counted"
        if looks == TRIES_MAX:
            later = Moment(boot="b2", up_ms=10 * LOCK_MS)
            _, answer = Operators(credentials).check(OPERATOR, PIN, later)
            if answer != Locked(LOCK_MS):
                return f"after another start the right PIN is {answer}"
    return ""


def _lay_out(folder: Path, image: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in image.items():
        (folder / name).write_bytes(content)


def _memory() -> Path | None:
    return Path("/dev/shm") if Path("/dev/shm").is_dir() else None


async def _killed(root: Path, kills: int) -> list[str]:
    """A daemon that is killed in the middle of each guess, at any moment of it."""
    random, faults = Random(6), []
    till = GuardedTill(root, "[operators]\n")
    try:
        view = await till.start()
        await till.call("operator.claim", claim=view.operator.claim, operator="1", pin=OWNER)
        await till.call("operator.add", operator=OPERATOR, role="cashier", pin=PIN)
        answered = 0
        for _ in range(kills):
            guess = asyncio.create_task(till.refusal("operator.sign_on", operator=OPERATOR, pin="4822"))
            await asyncio.sleep(random.random() * 0.15)
            await till.daemon.kill()
            with contextlib.suppress(Exception):
                answered += await guess == "pin-wrong"
            await till.start()
        for _ in range(TRIES_MAX):
            told = await till.refusal("operator.sign_on", operator=OPERATOR, pin="4822")
            if told == "operator-locked":
                break
            answered += 1
        if answered >= TRIES_MAX:
            faults.append(f"a killed daemon looked at {answered} wrong PINs and went on")
        await till.daemon.kill()
        await till.start()
        if (told := await till.refusal("operator.sign_on", operator=OPERATOR, pin=PIN)) != "operator-locked":
            faults.append(f"after a kill the right PIN of a locked operator is told {told}")
        await till.call("operator.sign_on", operator="1", pin=OWNER)
        await till.call("operator.unlock", operator=OPERATOR)
        if (told := await till.refusal("operator.sign_on", operator=OPERATOR, pin=PIN)) is not None:
            faults.append(f"a supervisor lifts a lock, and the right PIN is told {told}")
    finally:
        await till.close()
    return faults


# --- the database alone -------------------------------------------------------------------------------------------

_FORMS: dict[str, Callable[[str, str], bytes]] = {
    "the PIN itself": lambda _, pin: pin.encode(),
    "the PIN with whose it is": lambda subject, pin: f"{subject}\0{pin}".encode(),
    "under a pepper of zeroes": lambda subject, pin: hmac.digest(bytes(32), f"{subject}\0{pin}".encode(), "sha256"),
    "under the database's key": lambda subject, pin: hmac.digest(KEY, f"{subject}\0{pin}".encode(), "sha256"),
}
"""What an attacker tries who knows our code, the database and its key, and not the pepper."""


def _cracks(scale: Scale) -> Result:
    count = scale.pick(smoke=1, commit=20, release=1_000)
    rows = _rows(count)
    found = sum(any(_crack(subject, kept, form) for form in _FORMS.values()) for subject, kept in rows)
    controls = rows[: max(1, min(20, count))]
    known = sum(_crack(subject, kept, _with_pepper) is not None for subject, kept in controls)
    each_ms = _cost_ms()
    return Result(
        part="b",
        figure=found,
        goal=0,
        holds=found == 0 and known == len(controls),
        what=(
            f"of {count} PINs found from the database alone by all 10,000 of four digits in {len(_FORMS)} forms; with the"
            f" pepper {known} of {len(controls)}; hashes of the least cost: at the product's, {each_ms:.0f} ms a try, one"
            f" dictionary would take {each_ms * 10:.0f} s"
        ),
        reason="" if known == len(controls) else "the attack does not find them with the pepper either",
    )


def _rows(count: int) -> list[tuple[str, str]]:
    """Operators with PINs by chance, as they lie in the database: whose, and the hash."""
    random = Random(60)
    with tempfile.TemporaryDirectory(prefix="terminald-s6-", dir=_memory()) as name:
        path = Path(name) / NAME
        with Credentials(path, KEY, PEPPER, hasher=_CHEAP) as credentials:
            for number in range(count):
                # Past the rules for PINs on purpose: the dictionary is whole.
                credentials.put_pin(f"operator/{number}", random.choice(_DICTIONARY))
        reading = read_database(path, KEY)
        rows: list[tuple[str, str]] = reading.execute("SELECT subject, hash FROM pin ORDER BY subject").fetchall()
        reading.close()
    return rows


def _with_pepper(subject: str, pin: str) -> bytes:
    return hmac.digest(PEPPER, f"{subject}\0{pin}".encode(), "sha256")


def _crack(subject: str, kept: str, form: Callable[[str, str], bytes]) -> str | None:
    """The PIN behind a hash, where one of the dictionary is it in this form."""
    salt, digest = (base64.b64decode(part + "=" * (-len(part) % 4)) for part in kept.split("$")[-2:])
    for pin in _DICTIONARY:
        if hash_secret_raw(form(subject, pin), salt, 1, 8, 1, len(digest), Type.ID) == digest:
            return pin
    return None


def _cost_ms() -> float:
    """One try at the product's cost, the quickest of five."""
    with tempfile.TemporaryDirectory(prefix="terminald-s6-", dir=_memory()) as name:
        with Credentials(Path(name) / NAME, KEY, PEPPER) as credentials:
            credentials.put_pin("operator/1", PIN)
            spent: list[float] = []
            for _ in range(5):
                began_s = time.perf_counter()
                credentials.check("operator/1", PIN, Moment(boot="b1", up_ms=1))
                spent.append((time.perf_counter() - began_s) * 1000)
    return min(spent)
