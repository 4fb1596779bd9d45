"""`terminald-fleet ca`: the fleet's own authorities, at a desk."""

import argparse
import getpass
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.arguments import Commands, add_database, add_key, add_sign_in, terminal

if TYPE_CHECKING:
    from fleet.ca import CA

FOLDER = Path("/var/lib/terminald-fleet/ca")


def add(commands: Commands) -> None:
    """Adds the command."""
    ca = commands.add_parser("ca", help="certificates for terminals, the broker and headquarters' programs")
    actions = ca.add_subparsers(dest="action", required=True, metavar="ACTION")
    init = actions.add_parser("init", help="make the authorities, once")
    init.add_argument("--name", default="terminald", metavar="TEXT", help="whose; it stands in the certificates")
    add_database(init, required=False)
    add_key(init)
    issue = actions.add_parser("issue", help="a certificate for what headquarters runs; kept up to date by itself")
    issue.add_argument("name", metavar="NAME", type=terminal, help="the user name at the broker; a file's name")
    issue.add_argument(
        "--host", action="append", default=[], metavar="NAME", help="a server's name or address; as often as it has any"
    )
    issue.add_argument("--days", type=float, metavar="N", help="how long it is good; else a year")
    issue.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="gets NAME.crt and NAME.key")
    revoke = actions.add_parser("revoke", help="a terminal's certificates, or another holder's, count no more")
    revoke.add_argument("name", metavar="NAME", type=terminal)
    revoke.add_argument("--why", required=True, metavar="TEXT", help="the reason; it is kept")
    revoke.add_argument("--headquarters", action="store_true", help="it is a name of headquarters, not a terminal")
    add_sign_in(revoke)
    publish = actions.add_parser("publish", help="bring the broker's folder up to date: authorities and revocations")
    publish.add_argument("--to", type=Path, metavar="FOLDER", help="the folder, said once")
    crl = actions.add_parser("crl", help="print the newest list of revoked certificates, PEM")
    crl.add_argument("--headquarters", action="store_true", help="of headquarters' authority, not of the terminals'")
    renew = actions.add_parser("renew", help="renew what is due of what headquarters runs; `enrol serve` does it daily")
    show = actions.add_parser("list", help="what was issued")
    show.add_argument("--json", action="store_true", help="a JSON list")
    for action in (init, issue, revoke, publish, crl, renew, show):
        add_ca(action)
    ca.set_defaults(run=_run)


def add_ca(parser: argparse.ArgumentParser) -> None:
    """`--ca-folder` and `--passphrase-file`, for `opened`."""
    parser.add_argument("--ca-folder", type=Path, default=FOLDER, metavar="FOLDER", help="the authorities' folder")
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="what the authorities' keys are encrypted with; - asks"
    )


def opened(options: argparse.Namespace) -> "CA":
    """The authorities that the arguments name. Raises Refused."""
    from fleet.ca import CA

    return CA(options.ca_folder, _passphrase(options.passphrase_file))


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def _passphrase(path: Path | None) -> bytes | None:
    """Of a file, of a systemd credential named ca-passphrase, or typed; None where there is none."""
    from fleet.ca import PassphraseWrong

    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if path is None and credentials and (Path(credentials) / "ca-passphrase").exists():
        path = Path(credentials) / "ca-passphrase"
    if path is None:
        return None
    try:
        text = getpass.getpass("Passphrase: ").encode() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise PassphraseWrong(f"{path}: {error.strerror}") from error
    return text.strip() or None


def _run(options: argparse.Namespace) -> int:
    if options.action == "init":
        return _init(options)
    ca = opened(options)
    now = now_ms()
    if options.action == "issue":
        from fleet.ca import SERVER_DAYS

        days = options.days if options.days is not None else SERVER_DAYS
        ca.issue(options.name, hosts=options.host, days=days, folder=options.to, now_ms=now)
    elif options.action == "revoke":
        _revoke(ca, options)
    elif options.action == "publish":
        where = ca.publish(now, options.to)
        if where is None:
            print("terminald-fleet: give --to, the broker's folder, this once", file=sys.stderr)
            return 2
    elif options.action == "crl":
        sys.stdout.buffer.write(ca.revocations("headquarters" if options.headquarters else "terminals", now))
    elif options.action == "renew":
        for name in ca.renew(now):
            print(name)
    else:
        _list(ca, now, as_json=options.json)
    return 0


def _revoke(ca: "CA", options: argparse.Namespace) -> None:
    from fleet.audit import note
    from fleet.ca import AuthorityName
    from fleet.operators import Role
    from fleet.session import signed_in

    authority: AuthorityName = "headquarters" if options.headquarters else "terminals"
    with signed_in(options) as my:
        my.operator.needs(Role.SECURITY)
        count = ca.revoke(options.name, options.why, my.now_ms, authority=authority)
        with my.store.transaction() as statements:
            note(
                statements, my.key, now_ms=my.now_ms, who=my.operator.name, action="ca-revoke", outcome="done",
                terminals=() if options.headquarters else (options.name,),
                about={"name": options.name, "why": options.why, "certificates": count},
            )  # fmt: skip
    where = ca.publish(now_ms())
    print(f"{count} revoked" + (f"; {where} is up to date" if where else "; no broker's folder: `ca publish`"))


def _init(options: argparse.Namespace) -> int:
    from fleet.ca import CA
    from fleet.keys import KeyFileError, beside, load_or_make

    if options.key is None and options.database is None:
        raise KeyFileError("give --database, or --key: terminals believe the authorities that this key signed")
    signer = load_or_make(options.key or beside(options.database))
    CA.make(options.ca_folder, options.name, signer, now_ms(), _passphrase(options.passphrase_file))
    return 0


def _list(ca: "CA", now: int, *, as_json: bool) -> None:
    import msgspec

    with ca.book() as book:
        found = book.issued()
    rows = [
        {
            "name": each.name,
            "authority": each.authority,
            "purpose": each.purpose,
            "state": "revoked" if each.revoked_ms else "expired" if each.ends_ms <= now else "good",
            "days": round((each.ends_ms - now) / 86_400_000, 1),
            "serial": each.serial,
            "why": each.why,
        }
        for each in found
    ]
    if as_json:
        print(msgspec.json.encode(rows).decode())
        return
    print(f"{'NAME':<24} {'AUTHORITY':<12} {'FOR':<7} {'STATE':<8} {'DAYS':>7}  SERIAL")
    for row in rows:
        print(
            f"{row['name']:<24} {row['authority']:<12} {row['purpose']:<7} {row['state']:<8} {row['days']:>7}"
            f"  {row['serial']} {row['why']}".rstrip()
        )
