"""``terminald receipt key``: the public key that this terminal's receipts are verified by, as `receipt verify` reads it.

It is no secret: a shop may hang it out. With ``--json`` one object: {"terminal", "key"}.
"""

import argparse

from core.ports import JournalError
from terminald import paths
from terminald.cli import CANNOT, emit, fail, load_config


def show(given: argparse.Namespace) -> int:
    """Status 0, or 2 where there is no key yet."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        keys = paths.load_keys(config)
        if not paths.signing_key(config).exists():
            return fail("there is no signing key yet: it is made when the daemon starts for the first time")
        key = paths.open_signer(config, keys).public_key.hex()
    except JournalError as error:
        return fail(f"{error} ({error.code}). {error.remedy}")
    if given.json:
        emit({"terminal": config.terminal, "key": key})
    else:
        print(f"{config.terminal} {key}")
    return 0
