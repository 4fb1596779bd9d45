"""`terminald-fleet place` and `places`, and the filters that name terminals."""

import argparse
from typing import TYPE_CHECKING

from fleet.arguments import Commands, add_database, add_sign_in, checked, terminal

if TYPE_CHECKING:
    from fleet.registry import Filter


def add(commands: Commands) -> None:
    """Adds the commands."""
    one = commands.add_parser("place", help="write down where a terminal stands and what it is for")
    one.add_argument("terminal", metavar="TERMINAL", type=terminal)
    one.add_argument("--site", metavar="TEXT", help="the shop")
    one.add_argument("--workstation", metavar="TEXT", help="the place in it")
    one.add_argument("--tag", metavar="TAG", action="append", default=[], help="give it a tag; several times")
    one.add_argument("--untag", metavar="TAG", action="append", default=[], help="take a tag away; several times")
    add_sign_in(one)
    one.set_defaults(run=_place)
    some = commands.add_parser("places", help="where terminals stand and what they are for; all, or those of filters")
    add_filters(some)
    some.add_argument("--json", action="store_true", help="a JSON list")
    add_database(some)
    some.set_defaults(run=_places)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """`--terminal`, `--tag`, `--site`, `--where`, `--all`: see `filter_of`."""
    parser.add_argument(
        "--terminal", metavar="TERMINAL", type=terminal, action="append", help="this one; several times"
    )
    parser.add_argument("--tag", metavar="TAG", action="append", help="those with this tag; several: with each of them")
    parser.add_argument("--site", metavar="TEXT", action="append", help="those at this site; several: at one of them")
    parser.add_argument(
        "--where", metavar="KEY=VALUE", type=_where, action="append", help="site, workstation or state is this"
    )
    parser.add_argument("--all", action="store_true", help="all that are not retired")


def filter_of(given: argparse.Namespace) -> "Filter":
    """What the options ask for."""
    from fleet.registry import Filter

    return Filter(
        terminals=tuple(given.terminal or ()), tags=tuple(given.tag or ()), sites=tuple(given.site or ()),
        where=tuple(given.where or ()), all=given.all,
    )  # fmt: skip


def _place(given: argparse.Namespace) -> int:
    from fleet.audit import note
    from fleet.operators import Role
    from fleet.registry import put
    from fleet.session import signed_in

    with signed_in(given) as my, my.store.transaction() as statements:
        my.operator.needs(Role.SUPPORT, Role.MANAGER, Role.SECURITY)
        about = {name: getattr(given, name) for name in ("site", "workstation", "tag", "untag") if getattr(given, name)}
        put(
            statements, given.terminal, my.now_ms, site=given.site, workstation=given.workstation, tags=given.tag,
            untags=given.untag,
        )  # fmt: skip
        note(
            statements, my.key, now_ms=my.now_ms, who=my.operator.name, action="place", outcome="done",
            terminals=(given.terminal,), about=about,
        )  # fmt: skip
    print(f"{given.terminal} is written down")
    return 0


def _places(given: argparse.Namespace) -> int:
    import msgspec

    from fleet.registry import Filter, places

    wanted = filter_of(given)
    found = places(given.database, None if wanted == Filter() else wanted)
    if given.json:
        print(msgspec.json.encode(found).decode())
        return 0
    print(f"{'TERMINAL':<20} {'STATE':<8} {'SITE':<20} {'WORKSTATION':<14} TAGS")
    for each in found:
        state = "retired" if each.retired_ms is not None else each.state
        print(
            f"{each.terminal:<20} {state:<8} {each.site or '-':<20} {each.workstation or '-':<14} {' '.join(each.tags)}"
        )
    return 0


def _where(text: str) -> tuple[str, str]:
    return checked(lambda: _key_and_value(text))


def _key_and_value(text: str) -> tuple[str, str]:
    from fleet.registry import KEYS

    key, equals, value = text.partition("=")
    if not equals or key not in KEYS:
        raise ValueError(f"--where is KEY=VALUE, with {', '.join(KEYS)} for KEY")
    return key, value
