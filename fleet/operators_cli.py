"""`terminald-fleet operator` and `audit`.

Passwords are asked for on a terminal without being shown, and else read from standard input, one a line: the acting
operator's first, then the new one. There is no option for them: what stands on a command line is seen by all.
"""

import argparse
import time

from fleet.arguments import Commands, add_database, add_key, add_sign_in, checked

ROLES = ("auditor", "support", "manager", "security", "admin")


def add(commands: Commands) -> None:
    """Adds the commands."""
    _add_operator(commands)
    log = commands.add_parser("audit", help="what operators did; with --verify, whether the log is as it was written")
    log.add_argument("--verify", action="store_true", help="look through it: chain, signatures, end")
    log.add_argument("--head", metavar="HEAD", type=_head, help="with --verify: a head that was noted down before")
    log.add_argument("--newest", metavar="N", type=int, help="the last N entries alone")
    log.add_argument("--json", action="store_true", help="JSON")
    add_database(log)
    add_key(log)
    log.set_defaults(run=_audit)


def _add_operator(commands: Commands) -> None:
    parser = commands.add_parser("operator", help="who may give orders at headquarters")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("add", help="make an operator; the first one is an admin and is made with --first")
    new.add_argument("name", metavar="NAME")
    _add_roles(new, "--role", "a role; may be given several times", action="append", default=[])
    new.add_argument("--first", action="store_true", help="there is none yet")
    add_sign_in(new, required=False)
    new.set_defaults(run=_add)
    some = actions.add_parser("list", help="who there is, with which roles")
    some.add_argument("--json", action="store_true", help="a JSON list")
    add_database(some)
    some.set_defaults(run=_list)
    role = actions.add_parser("role", help="give other roles, in place of those before")
    role.add_argument("name", metavar="NAME")
    _add_roles(role, "role", "all that it is to have", nargs="+")
    role.set_defaults(run=_role)
    out = actions.add_parser("disable", help="keep an operator out; what was done in its name stays in the log")
    out.add_argument("name", metavar="NAME")
    out.set_defaults(run=_disable)
    again = actions.add_parser("enable", help="let a disabled operator in again")
    again.add_argument("name", metavar="NAME")
    again.set_defaults(run=_enable)
    password = actions.add_parser("password", help="give another password, which opens a lock too")
    password.add_argument("name", metavar="NAME")
    password.set_defaults(run=_password)
    for action in (role, out, again, password):
        add_sign_in(action)


def _add_roles(parser: argparse.ArgumentParser, name: str, help_: str, **more: object) -> None:
    parser.add_argument(name, metavar="ROLE", choices=ROLES, help=f"{help_}: {', '.join(ROLES)}", **more)  # type: ignore[arg-type] # argparse's own words


def _add(given: argparse.Namespace) -> int:
    from fleet.operators import OperatorUnfit, Role, add, make_first
    from fleet.session import opened, secret, signed_in

    if given.first == bool(given.operator):
        raise OperatorUnfit("say --as ADMIN; or --first, where there is no operator yet")
    if given.first:
        if set(given.role) - {"admin"}:
            raise OperatorUnfit("the first operator is an admin, and nothing else: make others for the rest")
        with opened(given) as (store, key):
            make_first(store, key, given.name, secret("new password: ", twice=True), time.time_ns() // 1_000_000)
    else:
        if not given.role:
            raise OperatorUnfit("say with --role what the operator may do")
        with signed_in(given) as my:
            password = secret("new password: ", twice=True)
            add(my.store, my.key, my.operator, given.name, [Role(each) for each in given.role], password, my.now_ms)
    print(f"operator {given.name} is made")
    return 0


def _list(given: argparse.Namespace) -> int:
    import msgspec

    from fleet.operators import listed

    found = listed(given.database)
    if given.json:
        print(msgspec.json.encode(found).decode())
        return 0
    now_ms = time.time_ns() // 1_000_000
    print(f"{'NAME':<20} {'STATE':<14} ROLES")
    for each in found:
        left = -(-(each.locked_until_ms - now_ms) // 60_000)
        state = "disabled" if each.disabled else f"locked {left} min" if left > 0 else "active"
        print(f"{each.name:<20} {state:<14} {', '.join(each.roles)}")
    return 0


def _role(given: argparse.Namespace) -> int:
    from fleet.operators import Role, change_roles
    from fleet.session import signed_in

    with signed_in(given) as my:
        change_roles(my.store, my.key, my.operator, given.name, [Role(each) for each in given.role], my.now_ms)
    print(f"operator {given.name} is {', '.join(given.role)} now")
    return 0


def _disable(given: argparse.Namespace, *, back: bool = False) -> int:
    from fleet.operators import disable
    from fleet.session import signed_in

    with signed_in(given) as my:
        disable(my.store, my.key, my.operator, given.name, my.now_ms, back=back)
    print(f"operator {given.name} is {'let in again' if back else 'disabled'}")
    return 0


def _enable(given: argparse.Namespace) -> int:
    return _disable(given, back=True)


def _password(given: argparse.Namespace) -> int:
    from fleet.operators import change_password
    from fleet.session import secret, signed_in

    with signed_in(given) as my:
        password = secret("new password: ", twice=True)
        change_password(my.store, my.key, my.operator, given.name, password, my.now_ms)
    print(f"operator {given.name} has another password")
    return 0


def _audit(given: argparse.Namespace) -> int:
    import msgspec

    from fleet.audit import lines, listed, look_through
    from fleet.keys import beside, load_or_make

    if not given.verify:
        found = listed(given.database, newest=given.newest)
        print(msgspec.json.encode(found).decode() if given.json else "\n".join(lines(found)))
        return 0
    public_key = load_or_make(given.key or beside(given.database)).public_key
    audited = look_through(given.database, public_key, given.head)
    if given.json:
        print(msgspec.json.encode(audited).decode())
    elif audited.broken is None:
        print(f"{audited.entries} entries are as they were written; head {audited.head}")
    else:
        print(f"NOT AS IT WAS WRITTEN from entry {audited.broken} on: {audited.why}; {audited.entries} before it are")
    return 0 if audited.broken is None else 1


def _head(text: str) -> str:
    from fleet.audit import check_head

    return checked(lambda: check_head(text))
