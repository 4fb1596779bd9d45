"""A TOML document read key by key: each is asked for by its type, and every fault has its line in the file."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from core.card import wipe

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a configuration: its line in the file (from 1; 0 where none applies) and what to do."""

    line: int
    message: str


class Lines:
    """Finds the line on which a key of a TOML document stands. tomllib does not tell."""

    _HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
    _KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(\s*\.\s*[A-Za-z0-9_-]+)*\s*=""")

    def __init__(self, text: str) -> None:
        self._at: dict[tuple[str, ...], int] = {}
        seen: dict[tuple[str, ...], int] = {}
        here: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), start=1):
            if header := self._HEADER.match(line):
                here = tuple(part.strip().strip("\"'") for part in header[1].split("."))
                if line.lstrip().startswith("[["):
                    seen[here] = seen.get(here, -1) + 1
                    here = (*here, str(seen[here]))
                for depth in range(1, len(here) + 1):
                    self._at.setdefault(here[:depth], number)
            elif key := self._KEY.match(line):
                names = [part.strip().strip("\"'") for part in key[0].rstrip("= ").split(".")]
                for depth in range(1, len(names) + 1):
                    self._at.setdefault((*here, *names[:depth]), number)

    def of(self, path: tuple[str, ...]) -> int:
        """The line of a key, or of the nearest table around it."""
        while path and path not in self._at:
            path = path[:-1]
        return self._at.get(path, 1)


class Table:
    """One table being read: every key is asked for by its type, `end` reports the keys that nobody asked for."""

    def __init__(self, values: Mapping[str, object], path: tuple[str, ...], lines: Lines, faults: list[Fault]) -> None:
        self._values = values
        self._path = path
        self._lines = lines
        self._faults = faults
        self._asked: set[str] = set()

    @property
    def faults(self) -> Sequence[Fault]:
        """All that has been found wrong so far, in the whole document."""
        return self._faults

    def fault(self, key: str | None, text: str) -> None:
        path = self._path if key is None else (*self._path, key)
        where = f"[{'.'.join(part for part in self._path if not part.isdigit())}] " if self._path else ""
        self._faults.append(Fault(line=self._lines.of(path), message=wipe(where + text)))

    def has(self, key: str) -> bool:
        self._asked.add(key)
        return key in self._values

    def names(self) -> tuple[str, ...]:
        return tuple(self._values)

    def rest(self) -> Mapping[str, object]:
        return self._values

    def text(self, key: str, default: str | None = None) -> str:
        return self._typed(key, str, "a text in quotes", default, "")

    def file(self, key: str, default: str) -> str:
        value = self.text(key, default)
        if Path(value).name not in ("", "..") and "\0" not in value:
            return value
        if isinstance(self._values.get(key), str):
            self.fault(key, f"{key} {value!r} must name a file")
        return default

    def truth(self, key: str, default: bool) -> bool:
        return self._typed(key, bool, "true or false", default, False)

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        value = self._typed(key, int, "a whole number", default, low)
        if not low <= value <= high:
            self.fault(key, f"{key} {value} is not within {low} to {high}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        values = self._typed(key, list, "a list of texts", [], [])
        if not all(isinstance(value, str) for value in values):
            self.fault(key, f"{key} must be a list of texts in quotes")
        return tuple(str(value) for value in values)

    def table(self, key: str, *, optional: bool = False) -> "Table":
        value = self._typed(key, dict, "a table", {} if optional else None, {})
        return Table(value, (*self._path, key), self._lines, self._faults)

    def tables(self, key: str) -> tuple["Table", ...]:
        values = self._typed(key, list, f"tables, each under [[{'.'.join((*self._path, key))}]]", [], [])
        return tuple(
            Table(value if isinstance(value, dict) else {}, (*self._path, key, str(place)), self._lines, self._faults)
            for place, value in enumerate(values)
        )

    def end(self) -> None:
        for key in self._values:
            if key not in self._asked:
                near = difflib.get_close_matches(key, self._asked, n=1)
                guess = f" Did you mean {near[0]!r}?" if near else ""
                self.fault(key, f"unknown key {key!r}.{guess} Known are: {', '.join(sorted(self._asked))}")

    def _typed(self, key: str, kind: type[_T], words: str, default: _T | None, fallback: _T) -> _T:
        self._asked.add(key)
        if key not in self._values:
            if default is not None:
                return default
            self.fault(None, f"{key} is missing")
            return fallback
        value = self._values[key]
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        self.fault(key, f"{key} must be {words}, not {value!r}")
        return fallback
