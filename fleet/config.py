"""The collector's configuration file: the same settings as its options, for a service.

::

    broker = "mqtts://mqtt.example.com"          # or brokers = ["...", "..."], tried in order
    ca = "ca.pem"                                # who signed the broker's certificate; else the system's authorities
    certificate = "collector.pem"                # proves to the broker who this is
    certificate_key = "collector.key"
    database = "headquarters.db"                 # relative paths are relative to the file's own folder
    # or "postgresql://collector:password@db.example.com/headquarters"
    key = "headquarters.db.ack-key"              # made where there is none
    ack_public_key_file = "ack-public-key"
    enrol_host = "hq.example.com"                # the enrolment service's name; several between spaces
    webhook = "https://hooks.example.com/pos"    # alarms are handed on there
    webhook_secret = "..."                       # signs them
    silent_after_min = "30"                      # a terminal that says nothing for so long is an alarm
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fleet.store import Address, Server, locate
from terminald.addresses import BROKERS_MAX, NO_TLS_FILES, Tls
from terminald.broker import parse_url


class ConfigError(Exception):
    """The file or the options do not say what is needed. The message names the place and the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorConfig:
    """Where the collector takes batches from, and where it keeps what."""

    brokers: tuple[str, ...] = ()
    tls: Tls = NO_TLS_FILES
    database: Address | None = None
    key: Path | None = None
    ack_public_key_file: Path | None = None
    enrol_hosts: tuple[str, ...] = ()
    webhook: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    silent_after_min: int | None = None


SETTINGS = (
    "broker", "brokers", "ca", "certificate", "certificate_key", "database", "key", "ack_public_key_file",
    "enrol_host", "webhook", "webhook_secret", "silent_after_min",
)  # fmt: skip
"""What a file may say."""


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
        if name not in SETTINGS:
            raise ConfigError(f"{path}: there is no setting {name!r}")
        if name != "brokers" and not isinstance(value, str):
            raise ConfigError(f"{path}: {name} must be text in quotes")
    try:
        brokers = _brokers(table)
        database = locate(table["database"]) if "database" in table else None
        webhook = _webhook(table["webhook"]) if "webhook" in table else None
        silent_after_min = _minutes(table["silent_after_min"]) if "silent_after_min" in table else None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    base = path.absolute().parent

    def beside(value: str | Path | None) -> Path | None:
        return None if value is None else base / value

    return CollectorConfig(
        brokers=brokers,
        tls=Tls(
            ca=beside(table.get("ca")),
            certificate=beside(table.get("certificate")),
            key=beside(table.get("certificate_key")),
        ),
        database=database if isinstance(database, Server) else beside(database),
        key=beside(table.get("key")),
        ack_public_key_file=beside(table.get("ack_public_key_file")),
        enrol_hosts=tuple(table.get("enrol_host", "").split()),
        webhook=webhook,
        webhook_secret=table.get("webhook_secret"),
        silent_after_min=silent_after_min,
    )


def _minutes(text: str) -> int:
    """A number of minutes from 5 to a week. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and 5 <= int(text[:6]) <= 10_080):
        raise ValueError('silent_after_min must be minutes in quotes, "5" to "10080"')
    return int(text)


def _webhook(url: str) -> str:
    """The same address. Raises ValueError where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not url.isprintable():
        raise ValueError("webhook must be https://host/path, or http://")
    return url


def _brokers(table: dict[str, object]) -> tuple[str, ...]:
    """One, or several in order. Raises ValueError."""
    if "brokers" not in table:
        brokers = [table["broker"]] if "broker" in table else []
    elif "broker" in table:
        raise ValueError("broker and brokers say the same thing: keep one")
    elif not isinstance(table["brokers"], list) or not 1 <= len(table["brokers"]) <= BROKERS_MAX:
        raise ValueError(f"brokers must be a list of 1 to {BROKERS_MAX} addresses in quotes")
    else:
        brokers = table["brokers"]
    for broker in brokers:
        parse_url(broker if isinstance(broker, str) else "")
    return tuple(map(str, brokers))
