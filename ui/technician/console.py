"""The technician's console: who is there, and then one command a line. It answers also when the daemon is down."""

import re
from collections.abc import Callable

from core.language import later
from ui.say import say
from ui.technician import report
from ui.technician.child import VERIFY_S_MAX, Answer, NoAnswer, Terminald
from ui.technician.line import Gone, Idle, Line, Unreadable

IDLE_S = 600.0
LOGIN_S = 120.0
"""Within this time a PIN must follow its prompt; then the prompt begins anew."""
LOG_LINES = 20  # as _HELP says
LOG_LINES_MAX = 1000
ROLES = ("technician", "owner")
DEVICE_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")

_BANNER = later("terminald: technician's console")
_HELP = (
    ("status", "what the daemon says of itself, or the journal without it"),
    ("devices", "what is plugged in, its faults and what to do"),
    ("devices test NAME", "whether a device works"),
    ("devices suggest", "lines of configuration for what is plugged in and has none"),
    ("network", "address, time, name lookup, a round trip to the broker"),
    ("journal verify", "checks every record of the journal"),
    ("log [n]", "the newest n records of the technical log, else 20"),
    ("reclaim [CODE]", "a new owner, where no supervisor knows his PIN"),
    ("pin", "gives you another PIN"),
    ("help", "this list"),
    ("logout", "ends the session, as Ctrl-D does"),
)


class Console:
    """One session on a line: login, commands, logout."""

    def __init__(self, line: Line, terminald: Terminald, *, idle_s: float = IDLE_S) -> None:
        self._line = line
        self._terminald = terminald
        self._idle_s = idle_s
        self._role = ""
        self._commands: dict[str, Callable[[list[str]], None]] = {
            "status": self._plain(report.status, "status"),
            "devices": self._devices,
            "network": self._plain(report.network, "network"),
            "journal": self._journal,
            "log": self._log,
            "reclaim": self._reclaim,
            "pin": self._pin,
            "help": self._help,
            "?": self._help,
        }

    def run(self) -> None:
        """Until logout, idle time, or the end of the line. Raises nothing."""
        self._line.prepare()
        try:
            self._log_in()
            self._serve()
        except (Gone, KeyboardInterrupt):
            pass  # The line hung up, or Ctrl-C came upon Ctrl-C: whoever comes next logs in.
        finally:
            self._terminald.close()

    # --- who is there ------------------------------------------------------------------------------------------------

    def _log_in(self) -> None:
        """Asks until somebody is known; on the first start whoever is there sets the PINs."""
        trouble = owner_known = False
        while True:
            try:
                self._line.say(f"\n{say(_BANNER)}")
                if trouble:
                    self._line.ask(say("Enter tries again. "), self._idle_s)
                trouble = False
                owner_known = owner_known or self._has_pin("owner")
                if not owner_known:
                    self._line.say(
                        say("This terminal has no PIN yet. There is no default one: set both now, 6 to 12 digits each.")
                    )
                    self._set_first_pins("owner", "technician")
                if self._check_pin():
                    if self._role == "owner":
                        self._set_first_pins("technician")
                    return
            except KeyboardInterrupt:
                self._line.forget()
                self._line.say(f"\n{say('Ctrl-D ends.')}")
            except Idle:
                self._line.forget()
            except Unreadable:
                self._line.forget()
                self._line.say(say("That could not be read."))
            except NoAnswer as error:
                trouble = True
                self._line.say(f"{say('Nobody can log in now:')}\n{error}")

    def _has_pin(self, role: str) -> bool:
        return bool(self._terminald.ask("pin", "status", "--role", role).get("set"))

    def _set_first_pins(self, *roles: str) -> None:
        """Gives a PIN to each of these roles that has none yet."""
        missing = [role for role in roles if not self._has_pin(role)]
        for role in missing:
            while not self._set_pin(role, present=""):
                pass
        if missing:
            self._line.say(say("The PINs are set."))

    def _set_pin(self, role: str, present: str) -> bool:
        """Asks twice for a new PIN and sets it."""
        new = self._line.ask_secretly(say("New PIN of the {role}: ", role=role), LOGIN_S)
        if self._line.ask_secretly(say("The same once more: "), LOGIN_S) != new:
            self._line.say(say("These two are not the same. Nothing was changed."))
            return False
        answer = self._terminald.ask("pin", "set", "--role", role, secrets=(new, present))
        if "error" in answer:
            self._line.say(say("Refused: {reason}.", reason=_reason(answer)))
            return False
        return True

    def _check_pin(self) -> bool:
        asked = self._line.ask(say("Role, technician or owner [technician]: "), self._idle_s).lower() or ROLES[0]
        role = next((role for role in ROLES if role.startswith(asked)), None)
        if role is None:
            self._line.say(say("There are two roles: technician and owner."))
            return False
        pin = self._line.ask_secretly(say("PIN: "), LOGIN_S)
        if not pin:
            return False
        answer = self._terminald.ask("pin", "check", "--role", role, secrets=(pin,))
        if answer.get("granted"):
            self._role = role
            self._line.say(say("Welcome, {role}. help lists the commands.", role=role))
            return True
        self._line.say(_denied(answer))
        return False

    # --- commands ----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            try:
                words = self._line.ask("> ", self._idle_s).split()
                if not words:
                    continue
                if words[0].lower() in ("logout", "exit", "quit"):
                    self._line.say(say("Goodbye."))
                    return
                self._obey(words[0].lower(), words[1:])
            except KeyboardInterrupt:
                self._line.forget()
                self._line.say(f"\n{say('Stopped.')}")
            except Unreadable:
                self._line.say(say("That line could not be read. help lists the commands."))
            except Idle:
                self._line.say(
                    "\n" + say("Nothing was typed for {minutes:g} minutes: logged out.", minutes=self._idle_s / 60)
                )
                return

    def _obey(self, name: str, rest: list[str]) -> None:
        command = self._commands.get(name)
        if command is None:
            self._line.say(say("There is no command {name}. help lists them.", name=name[:40]))
            return
        try:
            command(rest)
        except NoAnswer as error:
            self._line.say(say("No answer: {error}", error=error))

    def _plain(self, words: Callable[[Answer], str], *arguments: str) -> Callable[[list[str]], None]:
        """A command that is one question and its answer."""

        def command(_: list[str]) -> None:
            self._line.say(words(self._terminald.ask(*arguments)))

        return command

    def _journal(self, rest: list[str]) -> None:
        if rest != ["verify"]:
            self._line.say(say("The journal can be verified: journal verify"))
            return
        self._line.say(report.journal(self._terminald.ask("journal", "verify", answer_s=VERIFY_S_MAX)))

    def _devices(self, rest: list[str]) -> None:
        match rest:
            case []:
                self._line.say(report.devices(self._terminald.ask("devices", "list")))
            case ["test", name] if DEVICE_NAME.fullmatch(name):
                self._line.say(report.tried(self._terminald.ask("devices", "test", name)))
            case ["suggest"]:
                self._line.say(report.suggested(self._terminald.ask("devices", "suggest")))
            case _:
                self._line.say(say("devices alone lists them; devices test NAME, devices suggest"))

    def _log(self, rest: list[str]) -> None:
        count = rest[0] if rest else str(LOG_LINES)
        if not count.isdigit() or len(count) > 4 or not 1 <= int(count) <= LOG_LINES_MAX:
            self._line.say(say("How many records? log takes a number from 1 to {count}.", count=LOG_LINES_MAX))
            return
        self._line.say(report.log(self._terminald.ask("log", "--lines", count)))

    def _reclaim(self, rest: list[str]) -> None:
        """Without a code what is read to headquarters, with its answer the way to the till's screen."""
        said = self._terminald.ask("operators", "reclaim", *(("--code", "".join(rest)) if rest else ()))
        if "request" in said:
            self._line.say(say("Read this to whoever holds the organisation's recovery key, then: reclaim CODE"))
            self._line.say(str(said["request"]))
        elif "minutes" in said:
            self._line.say(
                say(
                    "A claim stands on the till's screen for {minutes} minutes: type it there.", minutes=said["minutes"]
                )
            )

    def _pin(self, _: list[str]) -> None:
        present = self._line.ask_secretly(say("Present PIN of the {role}: ", role=self._role), LOGIN_S)
        if self._set_pin(self._role, present):
            self._line.say(say("Your PIN is changed."))

    def _help(self, _: list[str]) -> None:
        self._line.say("\n".join(f"{name:<16} {say(words)}" for name, words in _HELP))


def _denied(answer: Answer) -> str:
    left_ms = answer.get("locked_ms")
    if isinstance(left_ms, int) and left_ms:
        return say("LOCKED after too many wrong PINs. Try again in {minutes} minutes.", minutes=-(-left_ms // 60_000))
    if answer.get("error") == "pin-not-set":
        return say("This role has no PIN yet: the owner sets it after logging in.")
    left = answer.get("tries_left")
    return say.plural(
        "Wrong PIN. {count} try left.", "Wrong PIN. {count} tries left.", left if isinstance(left, int) else 0
    )


def _reason(answer: Answer) -> str:
    return {
        "pin-wrong": say("the present PIN was wrong"),
        "pin-is-set": say("there is a PIN already"),
    }.get(str(answer.get("error")), str(answer.get("message", answer.get("error"))))
