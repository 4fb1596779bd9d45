"""The terminal's configuration: TOML to frozen dataclasses. An unknown key is an error, and every fault has its line.

Relative paths count from the folder of the file itself, so that a terminal's folder can be moved and opened again.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args
from urllib.parse import urlsplit

from core.card import wipe
from core.money import currency
from core.scan import VariableMeasure
from core.state import Shop
from core.stripe import NUMBER_DIGITS_MAX, NUMBER_DIGITS_MIN, CardKind, CardRange, is_payment
from core.tax import TaxRate
from core.topics import check_terminal
from drivers import registry
from drivers.nodes import Match
from store.keys_tier import Tier

DEVICES_MAX = 64
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a configuration: its line in the file (from 1; 0 where none applies) and what to do."""

    line: int
    message: str


class ConfigError(ValueError):
    """A configuration cannot be used; `faults` holds everything that is wrong with it."""

    def __init__(self, path: Path, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(f"{path}:{fault.line}: {fault.message}" for fault in faults))
        self.path = path
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """A device: its name, its driver's name in `drivers.registry`, and that driver's options.

    With `match` it is whatever fits that, and the options' path is the link that will lead there.
    """

    name: str
    driver: str
    options: registry.Options
    match: Match | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadquartersConfig:
    """Where batches go: the broker's URL, and the key (hex) that signs what headquarters acknowledges."""

    broker: str
    ack_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskConfig:
    """The medium's reserve, and the free bytes below which new sales stop (`full`) or a warning is shown (`low`)."""

    reserve_bytes: int
    full_below_bytes: int
    low_below_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysConfig:
    """Where the root key comes from (file, credential or tpm), and the organisation's recovery key (X25519, 32 bytes).

    `tpm` is how the TPM is reached, `pcrs` the registers that the root is bound to (tpm2-tools(1)); both for a TPM alone.
    """

    source: Tier
    recovery_key: bytes | None
    tpm: str
    pcrs: str


MediumPolicy = Literal["separate", "folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorConfig:
    """Where the second medium is mounted. ``separate``: only what is another medium than the journal's counts;
    ``folder``: any folder does, which is for trials."""

    path: Path
    policy: MediumPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupConfig:
    """Where backups go, how often, and how many are kept: the newest `keep`, and the last of each of `keep` days.

    `policy` is as the mirror's: with ``separate`` an empty mount point is no medium.
    """

    path: Path
    every_h: int
    keep: int
    policy: MediumPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptConfig:
    """Which drivers take unknown scanners into use, in this order; `keyboards`: every USB keyboard is one."""

    drivers: tuple[str, ...] = ("scanner-hid", "scanner-serial")
    keyboards: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All that a daemon is told. Paths are absolute."""

    base: Path
    terminal: str
    shop: Shop
    journal: Path
    journal_key: Path
    journal_keep_days: int
    journal_segment_records: int
    keys: KeysConfig
    catalogue: Path
    customers: Path
    credentials: Path
    history: Path
    socket: Path
    socket_group: str | None
    headquarters: HeadquartersConfig | None
    double_read_ms: int
    disk: DiskConfig
    devices: tuple[DeviceConfig, ...]
    cards: tuple[CardRange, ...] = ()
    adopt: AdoptConfig = AdoptConfig()
    mirror: MirrorConfig | None = None
    backup: BackupConfig | None = None
    file: Path | None = None
    price_list: str = ""
    catalogue_cache_mb: int = 8


def load(path: Path) -> Config:
    """The configuration in a file. Raises ConfigError with every fault, OSError when the file cannot be read."""
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        fault = Fault(line=content.count(b"\n", 0, error.start) + 1, message="not UTF-8: save the file as UTF-8")
        raise ConfigError(path, (fault,)) from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))  # else it is at the end
        line = int(found[1]) if found else max(len(text.splitlines()), 1)
        raise ConfigError(path, (Fault(line=line, message=f"not TOML: {error}"),)) from error
    faults: list[Fault] = []
    config = _config(_Table(document, (), _Lines(text), faults), path.resolve())
    if faults:
        raise ConfigError(path, tuple(sorted(faults, key=lambda fault: fault.line)))
    return config


def _config(root: "_Table", file: Path) -> Config:
    base = file.parent
    terminal = root.table("terminal")
    identity = terminal.text("id")
    if identity:
        try:
            check_terminal(identity)
        except ValueError as error:
            terminal.fault("id", f"id {error}")
    terminal.end()
    scan = root.table("scan", optional=True)
    control = root.table("control", optional=True)
    socket = base / control.file("socket", "control.sock")
    devices = _devices(root.table("device", optional=True), links_of(socket))
    shop = _shop(root.table("shop"), identity, scan, _keyed_weight(root.table("weighing", optional=True), devices))
    journal = root.table("journal", optional=True)
    catalogue = root.table("catalogue", optional=True)
    customers = root.table("customers", optional=True)
    credentials = root.table("credentials", optional=True)
    history = root.table("history", optional=True)
    cards = root.table("cards", optional=True)
    journal_path = journal.file("path", "journal.db")
    config = Config(
        base=base,
        terminal=identity,
        shop=shop,
        journal=base / journal_path,
        journal_key=base / journal.file("key", "journal.key"),
        journal_keep_days=journal.whole("keep_days", 90, 1, 3_650),
        journal_segment_records=journal.whole("segment_records", 10_000, 10, 1_000_000),
        keys=_keys(root.table("keys", optional=True)),
        catalogue=base / catalogue.file("path", "catalogue.db"),
        customers=base / customers.file("path", "customers.db"),
        credentials=base / credentials.file("path", "credentials.db"),
        history=base / history.file("path", str(Path(journal_path).with_name("history.db"))),
        socket=socket,
        socket_group=control.text("group", "") or None,
        headquarters=_headquarters(root.table("headquarters")) if root.has("headquarters") else None,
        double_read_ms=scan.whole("double_read_ms", 150, 0, 5_000),
        disk=_disk(root.table("disk", optional=True)),
        mirror=_mirror(root.table("mirror"), base) if root.has("mirror") else None,
        backup=_backup(root.table("backup"), base) if root.has("backup") else None,
        file=file,
        cards=tuple(_card_range(one) for one in cards.tables("range")),
        devices=devices,
        adopt=_adopt(root.table("devices", optional=True)),
        price_list=catalogue.text("price_list", ""),
        catalogue_cache_mb=catalogue.whole("cache_mb", 8, 1, 1_024),
    )
    if config.headquarters is None and any(each.driver == "tamper-gpio" for each in config.devices):
        root.fault("device", "a tamper switch needs [headquarters] ack_key: only a signed order releases it")
    for table in (journal, catalogue, customers, credentials, history, cards, control, scan, root):
        table.end()
    return config


def _keyed_weight(table: "_Table", devices: tuple[DeviceConfig, ...]) -> bool:
    """Whether a weight may be typed: only where no scale is configured, unless it is said."""
    has_scale = any(
        device.driver in registry.DRIVERS and registry.DRIVERS[device.driver].kind == "Scale" for device in devices
    )
    keyed = table.truth("keyed", not has_scale)
    table.end()
    return keyed


def _shop(table: "_Table", terminal: str, scan: "_Table", keyed_weight: bool) -> Shop:
    code = table.text("currency", "EUR")
    if not re.fullmatch(r"[A-Z]{3}", code):
        table.fault("currency", f"currency {code!r} must be an ISO 4217 code of three capital letters, such as EUR")
    rates = tuple(_tax(tax) for tax in table.tables("tax"))
    if len({rate.code for rate in rates}) != len(rates):
        table.fault("tax", "two tax rates have the same code")
    shop = Shop(
        name=table.text("name"),
        address=table.texts("address"),
        terminal=terminal,
        currency=currency(code),
        taxes=rates,
        layouts=tuple(_layout(layout) for layout in scan.tables("variable")),
        keyed_weight=keyed_weight,
    )
    table.end()
    return shop


def _tax(table: "_Table") -> TaxRate:
    rate_text = table.text("rate", "0")
    try:
        rate_bp = Decimal(rate_text) * 100
    except InvalidOperation:
        rate_bp = Decimal(-1)
    if not rate_bp.is_finite() or not 0 <= rate_bp < 10_000 or rate_bp != int(rate_bp):
        table.fault("rate", f'rate {rate_text!r} must be a percentage from "0.00" to "99.99", in quotes')
        rate_bp = Decimal(0)
    rate = TaxRate(code=table.text("code"), rate_bp=int(rate_bp), included=table.truth("included", True))
    table.end()
    return rate


def _layout(table: "_Table") -> VariableMeasure:
    prefix = table.text("prefix")
    item_digits = table.whole("item_digits", 5, 1, 9)
    value_digits = table.whole("value_digits", 5, 1, 9)
    value = table.text("value", "price")
    if value not in ("price", "weight"):
        table.fault("value", f'value {value!r} must be "price" or "weight"')
    if not (prefix.isascii() and prefix.isdigit()) or len(prefix) + item_digits + value_digits > 12:
        table.fault("prefix", "prefix, item_digits and value_digits must be digits that fit into the 12 of an EAN-13")
    table.end()
    return VariableMeasure(
        prefix=prefix,
        item_digits=item_digits,
        value_digits=value_digits,
        value="weight" if value == "weight" else "price",
    )


def _card_range(table: "_Table") -> CardRange:
    kind = table.text("kind")
    if kind not in ("", *get_args(CardKind)):
        table.fault("kind", f"kind {kind!r} must be one of {', '.join(get_args(CardKind))}")
    prefix = table.text("prefix")
    if prefix and not (prefix.isascii() and prefix.isdigit() and len(prefix) <= NUMBER_DIGITS_MAX):
        table.fault("prefix", f"prefix {prefix!r} must be the first digits of a card's number, in quotes")
    elif prefix and is_payment(prefix):
        table.fault("prefix", f"prefix {prefix!r} is a payment card's too, and such are never read: give more digits")
    digits = table.whole("digits", 0, 0, NUMBER_DIGITS_MAX)
    if 0 < digits < max(NUMBER_DIGITS_MIN, len(prefix)):
        table.fault("digits", f"digits {digits} is less than the prefix has, or than a card's number must have")
    table.end()
    return CardRange(kind=cast(CardKind, kind), prefix=prefix, digits=digits)


def _keys(table: "_Table") -> KeysConfig:
    source = table.text("source", "file")
    if source not in get_args(Tier):
        table.fault("source", f"source {source!r} must be one of {', '.join(get_args(Tier))}")
    key_text = table.text("recovery_key", "")
    key = bytes.fromhex(key_text) if re.fullmatch(r"[0-9a-fA-F]{64}", key_text) else None
    if key_text and key is None:
        table.fault(
            "recovery_key", "recovery_key must be 64 hexadecimal digits: `terminald keys make-recovery` prints them"
        )
    pcrs = table.text("pcrs", "")
    if pcrs and not re.fullmatch(r"sha(1|256|384|512):\d{1,2}(,\d{1,2})*", pcrs):
        table.fault("pcrs", f"pcrs {pcrs!r} must be a bank and its registers, such as sha256:7")
    config = KeysConfig(
        source=cast(Tier, source),
        recovery_key=key,
        tpm=table.text("tpm", "device:/dev/tpmrm0"),
        pcrs=pcrs,
    )
    table.end()
    return config


def _headquarters(table: "_Table") -> HeadquartersConfig:
    broker = table.text("broker")
    if broker and not _is_broker(broker):
        table.fault("broker", f"broker {broker!r} must be mqtt://host:port or mqtts://host:port and nothing more")
    key_text = table.text("ack_key")
    key = bytes.fromhex(key_text) if re.fullmatch(r"[0-9a-fA-F]{64}", key_text) else b""
    if key_text and not key:
        table.fault("ack_key", "ack_key must be 64 hexadecimal digits: `terminald-fleet key` prints them")
    table.end()
    return HeadquartersConfig(broker=broker, ack_key=key)


def _is_broker(url: str) -> bool:
    """Whether the broker's URL is one that `terminald.broker` takes."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    more = parts.path.strip("/") or parts.query or parts.fragment
    return parts.scheme in ("mqtt", "mqtts") and bool(parts.hostname) and port != 0 and not more


def _mirror(table: "_Table", base: Path) -> MirrorConfig:
    mirror = MirrorConfig(path=base / table.text("path"), policy=_policy(table, "separate"))
    table.end()
    return mirror


def _backup(table: "_Table", base: Path) -> BackupConfig:
    backup = BackupConfig(
        path=base / table.text("path"),
        every_h=table.whole("every_h", 24, 1, 24 * 31),
        keep=table.whole("keep", 7, 1, 366),
        policy=_policy(table, "folder"),
    )
    table.end()
    return backup


def _policy(table: "_Table", default: MediumPolicy) -> MediumPolicy:
    policy = table.text("policy", default)
    if policy not in get_args(MediumPolicy):
        table.fault("policy", f"policy {policy!r} must be one of {', '.join(get_args(MediumPolicy))}")
    return "folder" if policy == "folder" else "separate"


def _disk(table: "_Table") -> DiskConfig:
    disk = DiskConfig(
        reserve_bytes=table.whole("reserve_mib", 16, 1, 4_096) << 20,
        full_below_bytes=table.whole("full_below_mib", 8, 1, 65_536) << 20,
        low_below_bytes=table.whole("low_below_mib", 64, 1, 65_536) << 20,
    )
    if disk.low_below_bytes < disk.full_below_bytes:
        table.fault("low_below_mib", "low_below_mib must not be less than full_below_mib")
    table.end()
    return disk


def links_of(socket: Path) -> Path:
    """The folder of the links that lead to the devices that are found by what they are."""
    return socket.parent / "devices"


def _devices(table: "_Table", links: Path) -> tuple[DeviceConfig, ...]:
    devices: list[DeviceConfig] = []
    for name in table.names():
        device = table.table(name)
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", name):
            table.fault(name, f"a device's name {name!r} must be small letters, digits and '-', at most 32")
        driver = device.text("driver")
        try:
            found = _device(name, driver, device.rest(), links) if driver else None
        except registry.OptionsRejected as error:
            for fault in error.faults:
                device.fault(fault.key, fault.message)
            continue
        if found is None:
            continue
        for other in devices:
            if found.match is not None and (found.match, driver) == (other.match, other.driver):
                device.fault(
                    None, f"matches the very devices of [device.{other.name}]: say in one what tells them apart"
                )
        devices.append(found)
    if len(devices) > DEVICES_MAX:
        table.fault(None, f"more than {DEVICES_MAX} devices")
    return tuple(devices)


def _device(name: str, driver: str, table: Mapping[str, object], links: Path) -> DeviceConfig:
    where = f"device.{name}"
    match = registry.match_for(driver, table, where)
    if match is not None:
        table = {key: value for key, value in table.items() if key not in registry.MATCH_KEYS}
        table = {**table, "path": str(links / name)}
    return DeviceConfig(name=name, driver=driver, options=registry.options_for(driver, table, where), match=match)


def _adopt(table: "_Table") -> AdoptConfig:
    known = AdoptConfig().drivers
    drivers = table.texts("adopt") if table.has("adopt") else known
    for driver in drivers:
        if driver not in known:
            table.fault("adopt", f"adopt {driver!r} must be one of {', '.join(known)}")
    adopt = AdoptConfig(drivers=drivers, keyboards=table.truth("adopt_keyboards", False))
    table.end()
    return adopt


class _Lines:
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


class _Table:
    """One table being read: every key is asked for by its type, `end` reports the keys that nobody asked for."""

    def __init__(self, values: Mapping[str, object], path: tuple[str, ...], lines: _Lines, faults: list[Fault]) -> None:
        self._values = values
        self._path = path
        self._lines = lines
        self._faults = faults
        self._asked: set[str] = set()

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

    def table(self, key: str, *, optional: bool = False) -> "_Table":
        value = self._typed(key, dict, "a table", {} if optional else None, {})
        return _Table(value, (*self._path, key), self._lines, self._faults)

    def tables(self, key: str) -> tuple["_Table", ...]:
        values = self._typed(key, list, f"tables, each under [[{'.'.join((*self._path, key))}]]", [], [])
        return tuple(
            _Table(value if isinstance(value, dict) else {}, (*self._path, key, str(place)), self._lines, self._faults)
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
