"""`terminald-fleet recall`: a lot off sale everywhere, and who has not got it."""

import argparse
import secrets
from typing import Any

from fleet.arguments import Commands, add_database, add_sign_in
from fleet.orders_cli import add_wait, watch


def add(commands: Commands) -> None:
    """Adds the commands."""
    parser = commands.add_parser("recall", help="take a lot off sale at every terminal, and see who has not got it")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("start", help="take it off sale, also at terminals that become known later")
    new.add_argument("gtin", metavar="GTIN", help="the item, 8 to 14 digits")
    new.add_argument("--lot", metavar="LOT", default="", help="the lot (GS1 AI 10); all of the item without it")
    new.add_argument("--reason", metavar="TEXT", required=True, help="what the screen says")
    new.add_argument("--id", metavar="ID", help="a name of your own; else one is made up")
    new.set_defaults(run=_start)
    status = actions.add_parser(
        "status", help="the recalls that stand, and who has not got them; 1 where somebody lacks one"
    )
    status.add_argument("id", metavar="ID", nargs="?", help="one of them")
    status.add_argument("--json", action="store_true", help="a JSON list")
    add_database(status)
    status.set_defaults(run=_status)
    again = actions.add_parser("again", help="tell those who have not got it once more, after they refused or failed")
    again.set_defaults(run=_again)
    end = actions.add_parser("lift", help="sell it again")
    end.set_defaults(run=_lift)
    for action in (again, end):
        action.add_argument("id", metavar="ID", help="as `recall status` names it")
    for action in (new, end):
        action.add_argument("--why", metavar="TEXT", default="", help="for the log")
    for action in (new, again, end):
        add_wait(action)
        add_sign_in(action)


def _start(given: argparse.Namespace) -> int:
    from fleet.recalls import start
    from fleet.session import signed_in

    id_ = given.id or f"recall-{secrets.token_hex(3)}"
    params: dict[str, Any] = {"id": id_, "gtin": given.gtin, "reason": given.reason}
    if given.lot:
        params["lot"] = given.lot
    with signed_in(given) as my:
        number = start(my.store, my.key, my.operator, params, given.why, my.now_ms)
    return _follow(given, number, id_)


def _again(given: argparse.Namespace) -> int:
    from fleet.recalls import again
    from fleet.session import signed_in

    with signed_in(given) as my:
        number = again(my.store, my.key, my.operator, given.id, my.now_ms)
    return _follow(given, number, given.id)


def _lift(given: argparse.Namespace) -> int:
    from fleet.recalls import lift
    from fleet.session import signed_in

    with signed_in(given) as my:
        number = lift(my.store, my.key, my.operator, given.id, given.why, my.now_ms)
    return watch(given.database, number, given.wait / 1000, as_json=given.json)


def _follow(given: argparse.Namespace, number: int, id_: str) -> int:
    status = watch(given.database, number, given.wait / 1000, as_json=given.json, briefly=True)
    if not given.json:
        _status(argparse.Namespace(database=given.database, id=id_, json=False))
    return status


def _status(given: argparse.Namespace) -> int:
    import msgspec

    from fleet.recalls import as_text, standing

    found = standing(given.database, given.id)
    if given.json:
        print(msgspec.json.encode(found).decode())
    else:
        print("\n".join(line for each in found for line in as_text(each)) or "nothing is recalled")
    return 1 if any(each.lacking for each in found) else 0
