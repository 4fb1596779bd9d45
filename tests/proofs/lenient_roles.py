"""A daemon whose table of roles is wrong in one entry: what shows that ours is right must find each."""

import asyncio
import sys
from pathlib import Path

from core import permissions
from terminald import config, daemon, logs, orders

CHANGES: dict[str, dict[str, str | None]] = {
    "has lost an entry": {"drawer_keyed": None},
    "asks too little": {"line_discount_keyed": "cashier"},
    "asks nobody": {"operator_administered": "anybody"},
    "tells everybody": {"history.find": "anybody"},
}


def main() -> int:
    """``python -m tests.proofs.lenient_roles CHANGE CONFIG``."""
    change = CHANGES[sys.argv[1]]
    for module, name in ((permissions, "NEEDED"), (permissions, "READS"), (orders, "READS")):
        table = dict(vars(module)[name])
        for tag, needed in change.items():
            if tag in table:
                table.pop(tag)
                table |= {tag: needed} if needed is not None else {}
        vars(module)[name] = table
    logs.configure()
    asyncio.run(daemon.run(config.load(Path(sys.argv[2]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
