"""`terminald-fleet catalogue push` and `content serve`: files for terminals."""

import argparse
import signal
import threading
from pathlib import Path

from fleet.arguments import Commands, add_sign_in
from fleet.orders_cli import add_plan, add_wait, plan_of, validity, watch
from fleet.registry_cli import add_filters, filter_of


def add(commands: Commands) -> None:
    """Adds the commands."""
    catalogue = commands.add_parser("catalogue", help="items, prices, promotions and recalls for terminals")
    actions = catalogue.add_subparsers(dest="action", required=True, metavar="ACTION")
    push = actions.add_parser("push", help="look whether a file stands at its URL, and have terminals take it in")
    push.add_argument(
        "file", metavar="FILE", type=Path, help="a CSV of items or an update, as in the technician's guide"
    )
    push.add_argument(
        "--url", metavar="URL", required=True, help="https://..., where terminals find it; a folder ends in /"
    )
    push.add_argument(
        "--ca", metavar="FILE", type=Path, help="who signed that server's certificate, besides the system's"
    )
    push.add_argument("--rollout", action="store_true", help="in waves, as `rollout start` does it")
    push.add_argument("--why", metavar="TEXT", default="", help="the reason; it stands in the log")
    push.add_argument(
        "--for", dest="valid", metavar="TIME", type=validity, default=7 * 86_400_000, help="how long it is good"
    )
    add_filters(push)
    add_plan(push)
    add_wait(push)
    add_sign_in(push)
    push.set_defaults(run=_push)
    content = commands.add_parser("content", help="a small HTTPS server for catalogues")
    verbs = content.add_subparsers(dest="action", required=True, metavar="ACTION")
    serve = verbs.add_parser("serve", help="serve the files in a folder")
    serve.add_argument("folder", metavar="FOLDER", type=Path)
    serve.add_argument("--certificate", metavar="FILE", type=Path, required=True, help="PEM, as of `ca issue --host`")
    serve.add_argument("--certificate-key", metavar="FILE", type=Path, help="PEM; else it is in the certificate's file")
    serve.add_argument("--address", metavar="ADDRESS", default="", help="where it listens; else everywhere")
    serve.add_argument("--port", metavar="N", type=int, default=8443)
    serve.set_defaults(run=_serve)


def _push(given: argparse.Namespace) -> int:
    from fleet.content import digest, look
    from fleet.dispatch import Draft, give
    from fleet.rollout import start
    from fleet.session import signed_in

    url = given.url + given.file.name if given.url.endswith("/") else given.url
    sha256, size_bytes = digest(given.file)
    look(url, sha256, size_bytes, given.ca)
    params = {"url": url, "sha256": sha256, "size_bytes": size_bytes}
    draft = Draft(kind="catalogue", params=params, wanted=filter_of(given), valid_ms=given.valid, why=given.why)
    with signed_in(given) as my:
        if given.rollout:
            number = start(my.store, my.key, my.operator, draft, plan_of(given), my.now_ms)
        else:
            with my.store.transaction() as statements:
                number = give(statements, my.key, my.operator, draft, my.now_ms)
    return watch(given.database, number, given.wait / 1000, as_json=given.json)


def _serve(given: argparse.Namespace) -> int:
    from fleet.content import Server

    with Server((given.address, given.port), given.folder, given.certificate, given.certificate_key) as server:
        for number in (signal.SIGTERM, signal.SIGINT):
            # Not from here: `shutdown` waits for the loop that this interrupts.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown, name="stop").start())
        print(f"serving {given.folder} on port {server.server_port}", flush=True)
        server.serve_forever()
    return 0
