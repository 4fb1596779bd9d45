"""The command `terminald enrol`: makes the terminal one of headquarters', and keeps its certificate good.

It asks, shows the claim code, and waits until a person at headquarters has approved it; where the certificate is good it
says so, and where that is due it renews it. With ``--once`` it does what can be done now, which is how the daemon runs it.
``--json``: one object, a `terminald.identity.Standing`, or {"fault", "message", "remedy"}. Status 0 a good certificate, 1 a
code waits to be approved, 2 it cannot be done.
"""

import argparse
import time
from pathlib import Path

from core.ports import JournalError, Signer
from terminald import paths
from terminald.adopt_config import configured, replace
from terminald.cli import CANNOT, FINDING, emit, fail, load_config
from terminald.config import Config, load
from terminald.identity import Identity, IdentityError, NameDiffers, Place, Standing

POLL_S = 5.0
"""How often a command that waits asks again."""


def enrol(given: argparse.Namespace) -> int:
    """``terminald enrol``."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    place = place_of(config)
    if place is None:
        return fail("[headquarters] enrol says nowhere where to ask: give it, with ca and certificate")
    try:
        if given.code:
            code = _identity(config, place).code()
            emit({"code": code}) if given.json else print(code)
            return 0
        try:
            standing = _identity(config, place).keep(renew=given.renew)
        except NameDiffers as other:
            if config.journal.exists():
                raise  # it bears the name
            config = _renamed(given.config, config, other.terminal)
            standing = _identity(config, place).keep()
        if standing.state == "waiting" and not given.once:
            _tell(standing, as_json=given.json)
            while standing.state == "waiting":
                time.sleep(POLL_S)
                standing = _identity(config, place).keep()
    except (IdentityError, JournalError) as error:
        if given.json:
            emit({"fault": error.code, "message": str(error), "remedy": error.remedy})
            return CANNOT
        return fail(f"{error} ({error.code}). {error.remedy}")
    except OSError as error:
        return fail(f"{error.filename or place.certificate} cannot be used: {error.strerror}")
    _tell(standing, as_json=given.json)
    return FINDING if standing.state == "waiting" else 0


def place_of(config: Config) -> Place | None:
    """Where this terminal is enrolled, if its configuration says so."""
    headquarters = config.headquarters
    if headquarters is None or not headquarters.enrol:
        return None
    assert headquarters.tls.ca is not None
    assert headquarters.tls.certificate is not None
    return Place(
        url=headquarters.enrol,
        ack_key=headquarters.ack_key,
        ca=headquarters.tls.ca,
        certificate=headquarters.tls.certificate,
    )


def _identity(config: Config, place: Place) -> Identity:
    def signer() -> Signer:
        """Before the journal's first start its keys are made, as that start would."""
        began = config.journal.exists()
        keys = paths.load_keys(config) if began else paths.load_or_make_keys(config)
        return paths.open_signer(config, keys)

    return Identity(
        place=place,
        terminal=config.terminal,
        signer=signer,
        now_ms=time.time_ns() // 1_000_000,
        about=_board(),
    )


def _renamed(path: Path, config: Config, terminal: str) -> Config:
    """The configuration with the name that headquarters gave, written to its file. Raises AdoptionRefused."""
    replace(path, configured(path, config, terminal, ""))
    return load(path)


def _board() -> str:
    """The board's model and serial number, where it tells them."""
    words = []
    for name in ("model", "serial-number"):
        try:
            with open(f"/proc/device-tree/{name}", "rb") as file:  # a node of the kernel's, no file
                words.append(file.read(128).rstrip(b"\0").decode("ascii", "replace"))
        except OSError:
            continue
    return " ".join(words)


def _tell(standing: Standing, *, as_json: bool) -> None:
    if as_json:
        emit(standing, now=True)
    elif standing.state == "waiting":
        print(f"{standing.terminal} waits for headquarters; the claim code is\n\n    {standing.code}\n", flush=True)
    else:
        done = {"good": "has a good certificate", "enrolled": "is enrolled", "renewed": "has a new certificate"}
        until = time.strftime("%Y-%m-%d", time.gmtime(standing.ends_ms / 1000))
        where = f" ({standing.workstation})" if standing.workstation else ""
        print(f"{standing.terminal}{where} {done[standing.state]}, until {until}")
