"""The configuration of a terminal that takes over from another one: it gets the other's name, and its account at the broker."""

import contextlib
import json
import os
import re
import shutil
from pathlib import Path

from store.database import sync_folder
from store.errors import AdoptionRefused
from terminald.config import Config, ConfigError, load


def configured(path: Path, config: Config, terminal: str, broker: str) -> str:
    """The configuration's text with another name, and with the broker's address where there is an account in it.

    It was tried by then whether the file can be written, and is read as it should. Raises AdoptionRefused.
    """
    text = path.read_text()
    wanted = text
    if config.terminal != terminal:
        wanted = _with_value(wanted, "terminal", "id", terminal)
    headquarters = config.headquarters
    if headquarters is not None and broker and broker not in headquarters.brokers and "@" in broker:
        wanted = _with_value(wanted, "headquarters", "broker", broker)
    if wanted != text:
        _try(path, wanted, terminal)
    return wanted


def replace(path: Path, text: str) -> None:
    """Puts the text in place of the file's, whole or not at all, with the file's owner and mode; keeps the old one."""
    if path.read_text() == text:
        return
    shutil.copy2(path, path.with_name(path.name + ".before-adoption"))
    new = path.with_name(path.name + ".new")
    shutil.copy2(path, new)
    found = path.stat()
    os.chown(new, found.st_uid, found.st_gid)
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync_folder(path.parent)


def _with_value(text: str, table: str, key: str, value: str) -> str:
    """The text with another value of a key; what else stands on its line stays."""
    lines = text.splitlines(keepends=True)
    here = ""
    for number, line in enumerate(lines):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            here = header[1].strip()
        elif here == table and re.match(rf"\s*{key}\s*=", line):
            changed, count = re.subn(
                r"""(=\s*)("(?:[^"\\]|\\.)*"|'[^']*')""", lambda found: found[1] + json.dumps(value), line, count=1
            )
            if count:
                return "".join((*lines[:number], changed, *lines[number + 1 :]))
    raise AdoptionRefused(f'the configuration has no line for {key} under [{table}]: set it to "{value}" there')


def _try(path: Path, text: str, terminal: str) -> None:
    """Whether the configuration can be written, and reads as it should. Raises AdoptionRefused."""
    trial = path.with_name(path.name + ".trial")
    try:
        with os.fdopen(os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(text)  # for nobody else to read: it may hold the broker's password
        config = load(trial)
    except ConfigError as error:
        raise AdoptionRefused(f"the configuration cannot be changed by this command: set id to {terminal}") from error
    except OSError as error:
        raise AdoptionRefused(
            f'{path} cannot be written ({error.strerror}): set [terminal] id = "{terminal}" there, and run this again'
        ) from error
    finally:
        with contextlib.suppress(OSError):
            trial.unlink(missing_ok=True)
    if config.terminal != terminal:
        raise AdoptionRefused(f'set [terminal] id = "{terminal}" in {path}, and run this again')
