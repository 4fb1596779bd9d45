"""`terminald-fleet send`, `orders` and `rollout`: giving orders to terminals, and following what becomes of them."""

import argparse
import sys
import time
from typing import TYPE_CHECKING

from fleet.arguments import Commands, add_database, add_sign_in, checked, terminal
from fleet.registry_cli import add_filters, filter_of

if TYPE_CHECKING:
    from fleet.dispatch import Draft
    from fleet.orders_report import Dispatch
    from fleet.rollout import Plan
    from fleet.store import Address

NOBODY_PUBLISHES_S = 10.0
"""An order that was not published by then finds no collector at work."""


def add(commands: Commands) -> None:
    """Adds the commands."""
    send = commands.add_parser("send", help="give terminals an order, and follow what becomes of it")
    _add_draft(send)
    add_wait(send)
    send.set_defaults(run=_send)
    _add_orders(commands)
    _add_rollout(commands)
    order = commands.add_parser("order", help="sign an order for one terminal, to be carried there")
    kinds = order.add_subparsers(dest="action", required=True, metavar="ORDER")
    release = kinds.add_parser("release-tamper", help="let a terminal sell again whose case was opened")
    release.add_argument("terminal", metavar="TERMINAL", type=terminal)
    release.add_argument("incident", metavar="INCIDENT", help="as `terminald tamper status` there names it")
    release.add_argument("--hours", type=float, default=24.0, metavar="N", help="for how long it is good")
    add_sign_in(release)
    release.set_defaults(run=_release)


def add_wait(parser: argparse.ArgumentParser) -> None:
    """`--wait` (milliseconds) and `--json`, for what follows an order: `watch`."""
    parser.add_argument(
        "--wait", metavar="TIME", type=validity, default=60_000, help="how long it is followed: 90s, 5m, 0"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")


def add_plan(parser: argparse.ArgumentParser) -> None:
    """What a roll-out's waves are, for `plan_of`."""
    parser.add_argument(
        "--waves", metavar="SHARES", type=_waves, default=(100, 1000, 10_000), help="as 1%%,10%%,100%% of all"
    )
    parser.add_argument("--stop-at-failures", metavar="SHARE", type=_share, default=200, help="as 2%%: more stop it")
    parser.add_argument(
        "--silent-after", metavar="TIME", type=validity, default=3_600_000, help="who said nothing so long failed"
    )
    parser.add_argument("--rest", metavar="TIME", type=validity, default=0, help="how long it rests between waves")


def plan_of(given: argparse.Namespace) -> "Plan":
    """The waves that the options ask for."""
    from fleet.rollout import Plan

    return Plan(waves_bp=given.waves, stop_bp=given.stop_at_failures, silent_ms=given.silent_after, rest_ms=given.rest)


def _add_draft(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("order", metavar="ORDER", help="what they are to do: `orders kinds` names it")
    add_filters(parser)
    parser.add_argument(
        "--param", metavar="NAME=VALUE", action="append", default=[], help="what the order takes; several times"
    )
    parser.add_argument(
        "--for",
        dest="valid",
        metavar="TIME",
        type=validity,
        default=86_400_000,
        help="how long it is good: 90s, 5m, 2h, 7d",
    )
    parser.add_argument("--not-before", metavar="TIME", type=_instant, default=0, help="2026-11-22T20:00Z: not earlier")
    parser.add_argument("--why", metavar="TEXT", default="", help="the reason; it stands in the log")
    add_sign_in(parser)


def _add_orders(commands: Commands) -> None:
    parser = commands.add_parser("orders", help="orders that were given")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    some = actions.add_parser("list", help="the newest ones")
    some.add_argument("--newest", metavar="N", type=int, default=30, help="how many")
    some.set_defaults(run=_list)
    kinds = actions.add_parser("kinds", help="what can be ordered, what each takes, and in which role it is given")
    kinds.set_defaults(run=_kinds)
    one = actions.add_parser("show", help="an order, and what each terminal made of it")
    one.set_defaults(run=_show)
    agree = actions.add_parser("approve", help="agree to an order that takes two persons")
    agree.set_defaults(run=_approve)
    back = actions.add_parser("cancel", help="take an order back from the terminals that have not begun it")
    back.set_defaults(run=_cancel)
    clear = actions.add_parser("clear", help="take what is over off the broker again, where it came back there")
    clear.set_defaults(run=_clear)
    for action in (one, agree, back, clear):
        action.add_argument("number", metavar="NUMBER", type=int, help="as `orders list` names it")
    for action in (some, one):
        action.add_argument("--json", action="store_true", help="JSON")
        add_database(action)
    for action in (agree, back, clear):
        add_sign_in(action)


def _add_rollout(commands: Commands) -> None:
    parser = commands.add_parser("rollout", help="orders that go out in waves, and stop when too many terminals fail")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("start", help="begin one; the collector carries it on, whoever restarts")
    _add_draft(new)
    add_plan(new)
    new.add_argument("--json", action="store_true", help="JSON")
    new.set_defaults(run=_start)
    status = actions.add_parser("status", help="how it stands")
    status.add_argument("--json", action="store_true", help="JSON")
    add_database(status)
    status.set_defaults(run=_status)
    pause = actions.add_parser("pause", help="begin no further wave")
    go_on = actions.add_parser("resume", help="go on with one that was paused or stopped")
    go_on.add_argument("--stop-at-failures", metavar="SHARE", type=_share, help="another share that stops it")
    stop = actions.add_parser("abort", help="give it up: who has not begun is told nothing any more")
    for action, to in ((pause, "paused"), (go_on, "running"), (stop, "aborted")):
        add_sign_in(action)
        action.set_defaults(run=_change, to=to)
    for action in (status, pause, go_on, stop):
        action.add_argument("number", metavar="NUMBER", type=int, help="as `orders list` names it")


def _draft(given: argparse.Namespace) -> "Draft":
    from fleet.dispatch import Draft, read_params

    return Draft(
        kind=given.order, params=read_params(given.order, given.param), wanted=filter_of(given), valid_ms=given.valid,
        not_before_ms=given.not_before, why=given.why,
    )  # fmt: skip


def _send(given: argparse.Namespace) -> int:
    from fleet.dispatch import give
    from fleet.session import signed_in

    draft = _draft(given)
    with signed_in(given) as my, my.store.transaction() as statements:
        number = give(statements, my.key, my.operator, draft, my.now_ms)
    return watch(given.database, number, given.wait / 1000, as_json=given.json)


def watch(database: "Address", number: int, wait_s: float, *, as_json: bool, briefly: bool = False) -> int:
    """Follows an order and tells what becomes of it; `briefly`: without a line for each terminal.

    Status 0 where all that ended did so well, and it was not cut short.
    """
    import msgspec

    from fleet.orders_report import as_text, counts_as_text, follow

    began_s = time.monotonic()
    told = set()

    def say(found: "Dispatch") -> None:
        if not as_json:
            print(f"order {number}: {counts_as_text(found.counts)}", flush=True)
        waits = found.counts.get("signed", 0)
        if waits and time.monotonic() - began_s > NOBODY_PUBLISHES_S and "nobody" not in told:
            told.add("nobody")
            print(f"terminald-fleet: {_NOBODY}", file=sys.stderr)

    found = follow(database, number, wait_s, say)
    if found.state == "open" and found.counts.get("signed") and not told and wait_s >= NOBODY_PUBLISHES_S:
        print(f"terminald-fleet: {_NOBODY}", file=sys.stderr)
    if as_json:
        print(msgspec.json.encode(found).decode())
    elif not briefly:
        print("\n".join(as_text(found)))
        if found.state == "pending":
            print(f"it takes two persons: another one with the role gives `terminald-fleet orders approve {number}`")
        elif found.state == "open":
            print(f"it goes on; `terminald-fleet orders show {number}` tells how")
    bad = set(found.counts) & {"failed", "rejected", "expired"}
    return 1 if bad or found.state in ("cancelled", "lapsed") else 0


_NOBODY = "no collector has published the order yet: is `terminald-fleet collect` running, and connected?"


def _release(given: argparse.Namespace) -> int:
    from core.orders import RELEASE_TAMPER
    from fleet.dispatch import to_file
    from fleet.session import signed_in

    with signed_in(given) as my:
        params = {"incident": given.incident}
        valid_ms = round(given.hours * 3_600_000)
        order = to_file(my.store, my.key, my.operator, given.terminal, RELEASE_TAMPER, params, valid_ms, my.now_ms)
    sys.stdout.buffer.write(order)
    return 0


def _kinds(_: argparse.Namespace) -> int:
    import msgspec

    from core.orders import ORDERS

    for name, kind in ORDERS.items():
        takes = " ".join(
            each.name if each.required else f"[{each.name}]" for each in msgspec.structs.fields(kind.params)
        )
        how = ", two persons" if kind.persons == 2 else ", by a file" if kind.by_file else ""
        print(f"{name:<18} {takes:<26} {kind.what} ({kind.role}{how})")
    return 0


def _list(given: argparse.Namespace) -> int:
    import msgspec

    from fleet.orders_report import listed, table

    found = listed(given.database, given.newest, _now_ms())
    print(msgspec.json.encode(found).decode() if given.json else "\n".join(table(found)))
    return 0


def _show(given: argparse.Namespace) -> int:
    import msgspec

    from fleet.orders_report import as_text, shown

    found = shown(given.database, given.number, _now_ms())
    print(msgspec.json.encode(found).decode() if given.json else "\n".join(as_text(found)))
    return 0


def _approve(given: argparse.Namespace) -> int:
    from fleet.dispatch import approve
    from fleet.session import signed_in

    with signed_in(given) as my:
        approve(my.store, my.key, my.operator, given.number, my.now_ms)
    print(f"order {given.number} is given")
    return 0


def _cancel(given: argparse.Namespace) -> int:
    from fleet.dispatch import cancel
    from fleet.session import signed_in

    with signed_in(given) as my:
        count = cancel(my.store, my.key, my.operator, given.number, my.now_ms)
    print(f"order {given.number} is taken back from {count} terminals")
    return 0


def _clear(given: argparse.Namespace) -> int:
    from fleet.answers import clear_again
    from fleet.session import signed_in

    with signed_in(given) as my:
        count = clear_again(my.store, my.key, my.operator, given.number, my.now_ms)
    print(f"{count} orders are taken off the broker")
    return 0


def _start(given: argparse.Namespace) -> int:
    import msgspec

    from fleet.rollout import start
    from fleet.session import signed_in

    draft, plan = _draft(given), plan_of(given)
    with signed_in(given) as my:
        number = start(my.store, my.key, my.operator, draft, plan, my.now_ms)
    if given.json:
        print(msgspec.json.encode({"number": number}).decode())
    else:
        print(f"roll-out {number} is begun; `terminald-fleet rollout status {number}` tells how it stands")
    return 0


def _status(given: argparse.Namespace) -> int:
    import msgspec

    from fleet.orders_report import as_text, shown

    found = shown(given.database, given.number, _now_ms())
    if found.rollout is None:
        return _no_rollout(given.number)
    print(msgspec.json.encode(found).decode() if given.json else "\n".join(as_text(found)))
    return 1 if found.rollout.state in ("stopped", "aborted") else 0


def _no_rollout(number: int) -> int:
    from fleet.dispatch import DispatchUnknown

    raise DispatchUnknown(f"order {number} is no roll-out")


def _change(given: argparse.Namespace) -> int:
    from fleet.rollout import change
    from fleet.session import signed_in

    with signed_in(given) as my:
        stop_bp = getattr(given, "stop_at_failures", None)
        change(my.store, my.key, my.operator, given.number, given.to, my.now_ms, stop_bp=stop_bp)
    print(f"roll-out {given.number} is {given.to}")
    return 0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def validity(text: str) -> int:
    return checked(lambda: read_duration(text))


def read_duration(text: str) -> int:
    """Milliseconds of ``90s``, ``5m``, ``2h``, ``7d`` or ``0``. Raises ValueError."""
    number, unit = (text[:-1], text[-1:]) if text != "0" else ("0", "s")
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400}.get(unit)
    if not number.isdecimal() or seconds is None or len(number) > 7:
        raise ValueError(f"{text!r} is no time such as 90s, 5m, 2h or 7d")
    return int(number) * seconds * 1000


def _instant(text: str) -> int:
    return checked(lambda: read_instant(text))


def read_instant(text: str) -> int:
    """Unix milliseconds of an ISO 8601 instant with its offset. Raises ValueError."""
    from datetime import datetime

    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(f"{text!r} is no instant such as 2026-11-22T20:00Z")
    return round(at.timestamp() * 1000)


def _share(text: str) -> int:
    from fleet.rollout import read_share

    return checked(lambda: read_share(text))


def _waves(text: str) -> tuple[int, ...]:
    from fleet.rollout import read_share

    return checked(lambda: tuple(read_share(part) for part in text.split(",")))
