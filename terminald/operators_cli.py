"""What the command `terminald operators` does: it asks the running daemon, whose journal keeps who changed whom.

PINs are asked for on a terminal without being shown, and else read from standard input, one a line: the new one first,
then the approver's.
"""

import argparse
import getpass
import sys
from typing import Any

import msgspec

from core.text import Message
from core.view import View
from terminald.cli import CANNOT, FINDING, emit, fail, load_config
from terminald.client import CallFailed, CallRefused, Disconnected, call_once
from terminald.config import Config


def claim(given: argparse.Namespace) -> int:
    """Makes the first supervisor; without an id, says the claim that stands on the screen."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    view = _call(config, "view.get", {})
    if isinstance(view, int):
        return view
    code = msgspec.convert(view, View).operator.claim
    if code is None:
        return fail("there is nothing to claim: there is an owner already, or nobody signs on here", FINDING)
    if given.operator is None:
        return _tell(given, {"claim": code}, code)
    asked = {"claim": code, "operator": given.operator, "pin": _secret("new PIN: "), "name": given.name}
    return _change(given, config, "operator.claim", asked, "is the owner")


def reclaim(given: argparse.Namespace) -> int:
    """The way back where no supervisor knows his PIN: the request, and with the answer the claim on the screen."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    said = _call(config, "operator.reclaim", {"code": given.code})
    if isinstance(said, int):
        return said
    if "request" in said:
        return _tell(given, said, said["request"])
    words = (
        f"a claim stands on the till's screen for {said['minutes']} minutes: type it there, with a new number and PIN"
    )
    return _tell(given, said, words)


def list_(given: argparse.Namespace) -> int:
    """Who may work here."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    rows = _call(config, "operator.list", {})
    if isinstance(rows, int):
        return rows
    words = "\n".join(
        f"{row['operator']:<8} {row['role']:<11} {'badge' if row['badge'] else '':<6}"
        f" {'locked ' + str(row['locked_minutes']) + ' min' if row['locked_minutes'] else '':<13} {row['name']}".rstrip()
        for row in rows
    )
    return _tell(given, {"operators": rows}, words)


def add(given: argparse.Namespace) -> int:
    """Makes an operator."""
    asked = {"operator": given.operator, "role": given.role, "name": given.name}
    return _approved(given, "operator.add", asked, "is made", new_pin=True)


def remove(given: argparse.Namespace) -> int:
    """Takes one out."""
    return _approved(given, "operator.remove", {"operator": given.operator}, "is out")


def role(given: argparse.Namespace) -> int:
    """Gives one another role."""
    asked = {"operator": given.operator, "role": given.role}
    return _approved(given, "operator.role", asked, f"is {given.role} now", new_pin=given.new_pin)


def pin(given: argparse.Namespace) -> int:
    """Gives one another PIN."""
    return _approved(given, "operator.pin", {"operator": given.operator}, "has another PIN", new_pin=True)


def badge(given: argparse.Namespace) -> int:
    """Gives one a badge."""
    asked = {"operator": given.operator, "code": given.code}
    words = "has this badge" if given.code else "gets the badge that a reader is shown within 30 seconds"
    return _approved(given, "operator.badge", asked, words)


def unlock(given: argparse.Namespace) -> int:
    """Lifts a lock."""
    return _approved(given, "operator.unlock", {"operator": given.operator}, "may try again")


def _approved(
    given: argparse.Namespace, method: str, asked: dict[str, object], words: str, *, new_pin: bool = False
) -> int:
    config = load_config(given.config)
    if config is None:
        return CANNOT
    if new_pin:
        asked["pin"] = _secret("new PIN: ")
    if given.approver:
        asked |= {"approver": given.approver, "approver_pin": _secret("approver's PIN: ")}
    return _change(given, config, method, asked, words)


def _change(given: argparse.Namespace, config: Config, method: str, asked: dict[str, object], words: str) -> int:
    said = _call(config, method, asked)
    if isinstance(said, int):
        return said
    return _tell(given, {"operator": given.operator, "done": True}, f"operator {given.operator} {words}")


def _call(config: Config, method: str, params: dict[str, object]) -> Any:
    """What the daemon answers, or the exit status after its refusal was said."""
    try:
        return call_once(config.socket, method, params)
    except CallRefused as error:
        return fail(f"refused: {_words(error.message)}", FINDING)
    except (CallFailed, Disconnected) as error:
        return fail(str(error))
    except TimeoutError:
        return fail("the daemon did not answer in time")


def _words(message: Message) -> str:
    return message.id + "".join(f" {name}={value}" for name, value in message.params.items())


def _secret(prompt: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline().rstrip("\r\n")


def _tell(given: argparse.Namespace, said: dict[str, object], words: str) -> int:
    if given.json:
        emit(said)
    else:
        print(words)
    return 0
