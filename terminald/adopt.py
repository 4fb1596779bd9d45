"""``terminald adopt``: a spare terminal takes over from a dead one, by the dead one's second medium.

The spare gets the dead terminal's name, its signing key, what headquarters has not acknowledged, and the till as it was,
and opens a new epoch. What was not delivered is forwarded under its old epoch, record by record the same bytes.

The medium opens with the organisation's recovery key, or with a code for this very medium: without either, the command
prints what to read to headquarters, and ``terminald keys recovery-code`` there prints the code.
"""

import argparse
import asyncio
import getpass
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from core import recovery, topics
from core.delivery import Ack, AckError, AckForged, open_ack
from core.entries import decode
from core.fold import apply
from core.ledger import open_record
from core.ports import JournalError
from core.state import Till
from store.adoption import (
    Inheritance,
    Note,
    begin_note,
    end_note,
    epoch_of,
    found_beside,
    inherit,
    put_in_place,
    read_note,
    refuse_unsent,
)
from store.database import claim
from store.epochs import NUMBERS_SKIPPED, Founding
from store.errors import AdoptionRefused, MirrorMissing, MirrorWrongKey
from store.keys import Keys, TerminalSigner
from store.keys_recovery import load_recovery
from store.mirror import FOLDER, Left, Taken, left_by, mark_taken, taken_over, terminals_on
from store.mirror_format import recovered, unwrap
from terminald import paths
from terminald.adopt_config import configured, replace
from terminald.broker import Broker, Message, MqttError, parse_url
from terminald.cli import CANNOT, FINDING, emit, fail, load_config
from terminald.clock import SystemClock
from terminald.config import Config
from terminald.engine import till_of
from terminald.mqtt import connect

HEADQUARTERS_TIMEOUT_S = 3.0
"""How long headquarters is asked what it has; the till sells without it."""
RETAINED_WITHIN_S = 0.5
PASSPHRASE_BYTES_MAX = 1_024


def adopt(given: argparse.Namespace) -> int:
    """``terminald adopt``."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        terminal = _whose(given.stick, given.terminal)
        newest = left_by(given.stick, terminal)[0]
        keys = paths.load_or_make_keys(config)
        if given.recovery_key is None and given.recovery_code is None and unwrap(newest.header, keys.mirror) is None:
            return _ask_for_code(given, newest)
        lock = claim(config.journal)
        try:
            return _adopt(given, config, keys, terminal)
        finally:
            os.close(lock)
    except JournalError as error:
        return _refuse(given, error)
    except OSError as error:
        return fail(f"{error.filename or given.stick}: {error.strerror}")


def recovery_code(given: argparse.Namespace) -> int:
    """``terminald keys recovery-code``, where the recovery key is kept."""
    try:
        fresh = recovery.read_request(given.request)
        private = load_recovery(given.recovery_key, _passphrase)
        code = recovery.code_text(recovery.decapsulate(private, fresh, recovery.RECLAIM if given.reclaim else b""))
    except recovery.RecoveryTextWrong as error:
        return fail(str(error), FINDING)
    except JournalError as error:
        return fail(f"{error} ({error.code}). {error.remedy}")
    except OSError as error:
        return fail(f"{given.recovery_key}: {error.strerror}")
    except ValueError:
        return fail("this request is of no terminal", FINDING)
    if given.json:
        emit({"code": code})
    else:
        print(code)
    return 0


# --- reading -----------------------------------------------------------------------------------------------------


def _whose(stick: Path, wanted: str | None) -> str:
    """The terminal whose medium it is. Raises MirrorMissing, AdoptionRefused."""
    found = sorted(terminals_on(stick))
    if wanted is not None and wanted in found:
        return wanted
    if not found or wanted is not None:
        raise MirrorMissing(f"there is no mirror of {wanted or 'any terminal'} in {stick}")
    if len(found) > 1:
        raise AdoptionRefused(f"the medium holds mirrors of {', '.join(found)}: name one with --terminal")
    return found[0]


def _ask_for_code(given: argparse.Namespace, newest: Left) -> int:
    header = newest.header
    request = recovery.request_text(bytes.fromhex(header.fresh))
    key = recovery.recovery_id(bytes.fromhex(header.recovery))
    if given.json:
        emit({"terminal": header.terminal, "request": request, "recovery_key": key})
        return FINDING
    print(f"This is the second medium of {header.terminal}, sealed to the recovery key {key}.")
    print(f"Read this to headquarters:\n\n    {request}\n")
    print("Then run the same command again with --recovery-code and what headquarters answers.")
    return FINDING


def _secret_of(given: argparse.Namespace, keys: Keys) -> Callable[[Left], bytes]:
    """By this terminal's own key, where it is its own medium; else by the code or the recovery key."""

    def secret(left: Left) -> bytes:
        own = unwrap(left.header, keys.mirror)
        if own is not None:
            return own
        if given.recovery_code is not None:
            try:
                return recovery.read_code(given.recovery_code)
            except recovery.RecoveryTextWrong as error:
                raise MirrorWrongKey(str(error)) from None
        return recovered(left.header, load_recovery(given.recovery_key, _passphrase))

    return secret


def _till(inheritance: Inheritance) -> Till:
    """The dead terminal's till: the state that came with the medium, and the records after it. Raises AdoptionRefused."""
    current = inheritance.epochs[-1]
    if current.state is None:
        raise AdoptionRefused("the medium holds no state of the till: its terminal had not finished writing it")
    seq, state = current.state
    till = till_of(state)
    if till is None:
        raise AdoptionRefused("the till's state was written by another version of the software: install that one here")
    try:
        for record in current.records:
            if record.seq > seq:
                till = apply(till, decode(open_record(record.exact).body))
    except (AssertionError, ValueError) as error:
        raise AdoptionRefused(f"the records do not follow from the till's state: {error}") from error
    return till


# --- what headquarters says --------------------------------------------------------------------------------------


def _check_acknowledgement(config: Config, inheritance: Inheritance) -> None:
    """Where headquarters has signed for what came before, it is this terminal's headquarters. Raises AdoptionRefused."""
    acks = [each.ack[1] for each in inheritance.epochs if each.ack is not None]
    if config.headquarters is None:
        return
    try:
        for ack in acks:
            open_ack(inheritance.terminal, ack, config.headquarters.ack_key)
    except AckForged:
        raise AdoptionRefused(
            f"{inheritance.terminal} reported to another headquarters than this terminal: correct [headquarters] ack_key"
        ) from None
    except AckError as error:
        raise AdoptionRefused(f"headquarters' answer on the medium cannot be read: {error}") from error


def _check_headquarters(config: Config, inheritance: Inheritance) -> str:
    """What headquarters holds, if it can be asked: ``agrees`` or ``not-reached``. Raises AdoptionRefused."""
    if config.headquarters is None:
        return "not-reached"
    broker = parse_url(inheritance.base.broker or config.headquarters.brokers[0], config.headquarters.tls)
    try:
        ack = asyncio.run(_retained(broker, inheritance.terminal, config.headquarters.ack_key))
    except (MqttError, TimeoutError, OSError):
        return "not-reached"
    if ack is None:
        return "not-reached"
    heads = {each.prev.epoch: each.records[-1].seq if each.records else each.prev.seq for each in inheritance.epochs}
    if ack.epoch not in heads and inheritance.epochs[0].prev.seq == 0:
        raise AdoptionRefused(f"headquarters already has another terminal that goes on as {inheritance.terminal}")
    if ack.epoch in heads and ack.hwm > heads[ack.epoch]:
        raise AdoptionRefused(
            f"headquarters holds records up to {ack.hwm}, and the medium ends at {heads[ack.epoch]}: it was out of its"
            " terminal before the end"
        )
    return "agrees"


async def _retained(broker: Broker, terminal: str, ack_key: bytes) -> Ack | None:
    """Headquarters' newest answer to the terminal, as the broker keeps it."""
    came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def hear(message: Message) -> None:
        if not came.done():
            came.set_result(message.payload)

    async with asyncio.timeout(HEADQUARTERS_TIMEOUT_S):
        async with connect(broker, f"{terminal}-adopt") as connection:
            await connection.subscribe(topics.ack(terminal), hear)
            try:
                async with asyncio.timeout(RETAINED_WITHIN_S):
                    payload = await came
            except TimeoutError:
                return None
    try:
        return open_ack(terminal, payload, ack_key)
    except AckError:
        return None


# --- taking over -------------------------------------------------------------------------------------------------


def _adopt(given: argparse.Namespace, config: Config, keys: Keys, terminal: str) -> int:
    began_s = time.monotonic()
    inheritance = inherit(given.stick, terminal, _secret_of(given, keys), salvage=given.salvage)
    till = _till(inheritance)
    _check_acknowledgement(config, inheritance)
    note = read_note(config.journal)
    placed = note is not None and bool(note.epoch) and epoch_of(config.journal, keys.journal) == note.epoch
    headquarters = "not-asked"
    if not placed:
        _check_taken(given, terminal, epoch_of(config.journal, keys.journal))
        refuse_unsent(config.journal, keys.journal, inheritance.epochs)
        if not given.force:
            headquarters = _check_headquarters(config, inheritance)
    text = configured(given.config, config, terminal, inheritance.base.broker)
    if placed:
        assert note is not None
        epoch = note.epoch
    else:
        epoch = found_beside(config.journal, keys.journal, inheritance, _founding(given, inheritance, till),
                             skip=_skip(given, inheritance))  # fmt: skip
        begin_note(config.journal, Note(terminal=terminal, epoch=epoch))
    clock_ms = time.time_ns() // 1_000_000
    seed = bytes.fromhex(inheritance.base.identity)
    put_in_place(
        config.journal,
        clock_ms,
        {
            "signing key": lambda: TerminalSigner.install(paths.signing_key(config), keys, seed),
            "configuration": lambda: replace(given.config, text),
        },
    )
    marked = _mark(given.stick, inheritance, epoch, clock_ms)
    end_note(config.journal)
    _hand_over(config.journal.parent)
    _report(given, inheritance, till, epoch, marked, headquarters, time.monotonic() - began_s)
    return 0


def _check_taken(given: argparse.Namespace, terminal: str, own_epoch: str | None) -> None:
    taken = taken_over(given.stick / FOLDER / terminal)
    if taken is not None and taken.epoch == own_epoch:
        raise AdoptionRefused(f"this terminal has taken over from {terminal} already: start the daemon")
    if taken is not None and not given.force:
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(taken.time_ms / 1000))
        raise AdoptionRefused(
            f"{when} UTC another terminal took over from {terminal} with this medium, and goes on as {taken.epoch}; with"
            " --force this one does too, and headquarters is alarmed"
        )


def _founding(given: argparse.Namespace, inheritance: Inheritance, till: Till) -> Founding:
    used = max(till.next_number - 1, given.last_receipt or 0)
    return Founding(
        terminal=inheritance.terminal,
        signing_key=bytes.fromhex(inheritance.base.signing_key),
        stamp=SystemClock().stamp(),
        reason="adopted",
        number=used,
    )


def _skip(given: argparse.Namespace, inheritance: Inheritance) -> int:
    """Numbers that the dead terminal may have used after it wrote to the medium for the last time."""
    return 0 if inheritance.clean or given.last_receipt is not None else NUMBERS_SKIPPED


def _hand_over(folder: Path) -> None:
    """What root made in the daemon's folder belongs to the daemon."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        for path in folder.iterdir():
            if path.is_file() and path.stat().st_uid == 0:
                os.chown(path, owner.st_uid, owner.st_gid)


def _mark(stick: Path, inheritance: Inheritance, epoch: str, time_ms: int) -> bool:
    """Whether word could be left on the medium; without it, headquarters alone notices a second adoption."""
    head = inheritance.head
    taken = Taken(epoch=epoch, previous_epoch=head.epoch, previous_seq=head.seq, time_ms=time_ms)
    try:
        mark_taken(stick, inheritance.terminal, taken)
    except OSError:
        return False
    return True


# --- what is said ------------------------------------------------------------------------------------------------


def _report(
    given: argparse.Namespace,
    inheritance: Inheritance,
    till: Till,
    epoch: str,
    marked: bool,
    headquarters: str,
    took_s: float,
) -> None:
    head = inheritance.head
    records = sum(len(each.records) for each in inheritance.epochs)
    if given.json:
        emit(
            {
                "terminal": inheritance.terminal,
                "epoch": epoch,
                "previous_epoch": head.epoch,
                "previous_seq": head.seq,
                "records": records,
                "sales": inheritance.sales,
                "amount_minor": inheritance.amount_minor,
                "last_number": till.next_number - 1,
                "numbers_skipped": _skip(given, inheritance),
                "sale_open": type(till.sale).__name__ != "Idle",
                "torn": inheritance.torn,
                "marked": marked,
                "headquarters": headquarters,
                "took_s": round(took_s, 3),
            }
        )
        return
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(inheritance.last_time_ms / 1000))
    print(
        f"This terminal is {inheritance.terminal} now, with {inheritance.sales} sales that headquarters may not have."
    )
    print(
        f"The last thing that the dead terminal did was at {when}; its last receipt had number {till.next_number - 1}."
    )
    if _skip(given, inheritance):
        print(f"The next {_skip(given, inheritance)} numbers are left out, since it may have used some of them.")
    if not marked:
        print("The medium cannot be written: do not use it for a second terminal.")
    print("Start the daemon, and leave the medium plugged in: sales begin where they ended.")


def _refuse(given: argparse.Namespace, error: JournalError) -> int:
    if given.json:
        emit({"fault": error.code, "finding": str(error)})
    return fail(f"{error} ({error.code}). {error.remedy}", FINDING)


def _passphrase() -> bytes:
    """The recovery key's passphrase: asked for on a terminal, else a line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass("Passphrase of the recovery key: ").encode()
    return sys.stdin.buffer.readline(PASSPHRASE_BYTES_MAX).rstrip(b"\r\n")
