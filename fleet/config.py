"""The collector's configuration file: the same settings as its options, for a service.

::

    broker = "mqtt://127.0.0.1:1883"
    database = "headquarters.db"                 # relative paths are relative to the file's own folder
    # or "postgresql://collector:password@db.example.com/headquarters"
    key = "headquarters.db.ack-key"              # made where there is none
    ack_public_key_file = "ack-public-key"
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from fleet.store import Address, Server, locate
from terminald.broker import parse_url


class ConfigError(Exception):
    """The file or the options do not say what is needed. The message names the place and the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorConfig:
    """Where the collector takes batches from, and where it keeps what."""

    broker: str | None = None
    database: Address | None = None
    key: Path | None = None
    ack_public_key_file: Path | None = None


def load(path: Path) -> CollectorConfig:
    """The configuration of a file. Raises ConfigError."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except RecursionError:
        raise ConfigError(f"{path}: it is nested too deeply") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    for name, value in table.items():
        if name not in CollectorConfig.__dataclass_fields__:
            raise ConfigError(f"{path}: there is no setting {name!r}")
        if not isinstance(value, str):
            raise ConfigError(f"{path}: {name} must be text in quotes")
    try:
        if "broker" in table:
            parse_url(table["broker"])
        database = locate(table["database"]) if "database" in table else None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    base = path.absolute().parent

    def beside(value: str | Path | None) -> Path | None:
        return None if value is None else base / value

    return CollectorConfig(
        broker=table.get("broker"),
        database=database if isinstance(database, Server) else beside(database),
        key=beside(table.get("key")),
        ack_public_key_file=beside(table.get("ack_public_key_file")),
    )
