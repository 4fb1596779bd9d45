"""The terminal's configuration: TOML to frozen dataclasses. An unknown key is an error, and every fault has its line.

Relative paths count from the folder of the file itself, so that a terminal's folder can be moved and opened again.
"""

import re
import tomllib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

import msgspec

from core.state import Shop
from core.stripe import NUMBER_DIGITS_MAX, NUMBER_DIGITS_MIN, CardKind, CardRange, is_payment
from core.topics import check_terminal
from drivers import registry
from drivers.nodes import Match
from drivers.options import EscposPrinterOptions, GpioKeylockOptions, NexoOptions, PrinterDrawerOptions
from store.keys_tier import Tier
from terminald.addresses import BROKERS_MAX, NO_TLS_FILES, Tls
from terminald.overlay import overlay_of
from terminald.shop_config import read_gift_cards, read_shop
from terminald.toml_table import Fault, Lines, Table

DEVICES_MAX = 64
DEVICE_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


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
    """Where batches go: the brokers' URLs in the order in which they are tried, the files of TLS to them, and the public
    key (Ed25519) that signs what headquarters says. `enrol` is where the files of TLS come from, if they come by themselves.

    `disrupt_between` are the local hours (``HH:MM``) in which orders that end the daemon may be carried out; at any time
    where it is None.
    """

    brokers: tuple[str, ...]
    ack_key: bytes
    tls: Tls = NO_TLS_FILES
    disrupt_between: tuple[str, str] | None = None
    enrol: str = ""


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
class OperatorsConfig:
    """That nobody does anything without signing on, and after how many seconds of rest he signs on again."""

    lock_after_s: int = 300


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
    operators: OperatorsConfig | None = None
    file: Path | None = None
    price_list: str = ""
    catalogue_cache_mb: int = 8


_HOUR = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"


def load(path: Path) -> Config:
    """The configuration in a file, with what headquarters wants of it (`terminald.overlay`).

    Raises ConfigError with every fault, OSError when the file cannot be read.
    """
    own = path.read_bytes()
    overlay = overlay_of(path)
    return _read(path, own, overlay.document() if overlay is not None else "")


def preview(path: Path, document: str) -> Config:
    """What a terminal's configuration would be with a document of headquarters'. Raises ConfigError, OSError.

    The faults' lines are those of the document, where they are in its tables.
    """
    return _read(path, path.read_bytes(), document)


def _read(path: Path, own: bytes, document: str) -> Config:
    text, values = _parse(path, own)
    wished_text, wished = _parse(path, document.encode())
    lines = Lines(text) if not wished else _BothLines(Lines(text), Lines(wished_text), wished)
    faults: list[Fault] = []
    config = _config(Table({**values, **wished}, (), lines, faults), path.resolve())
    if faults:
        raise ConfigError(path, tuple(sorted(faults, key=lambda fault: fault.line)))
    return config


class _BothLines(Lines):
    """Lines of a file, and of the document whose tables take the place of some of its tables."""

    def __init__(self, own: Lines, wished: Lines, names: Container[str]) -> None:
        self._own = own
        self._wished = wished
        self._names = names

    def of(self, path: tuple[str, ...]) -> int:
        return (self._wished if path and path[0] in self._names else self._own).of(path)


def _parse(path: Path, content: bytes) -> tuple[str, dict[str, object]]:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        fault = Fault(line=content.count(b"\n", 0, error.start) + 1, message="not UTF-8: save the file as UTF-8")
        raise ConfigError(path, (fault,)) from error
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))  # else it is at the end
        line = int(found[1]) if found else max(len(text.splitlines()), 1)
        raise ConfigError(path, (Fault(line=line, message=f"not TOML: {error}"),)) from error
    except RecursionError:
        raise ConfigError(
            path, (Fault(line=1, message="not TOML that can be read: it is nested too deeply"),)
        ) from None


def _config(root: Table, file: Path) -> Config:
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
    keyed_weight = _keyed_weight(root.table("weighing", optional=True), devices)
    drawer = root.table("drawer", optional=True)
    catalogue = root.table("catalogue", optional=True)
    price_list = catalogue.text("price_list", "")
    shop = read_shop(root.table("shop"), identity, scan, root.tables("promotion"), price_list, keyed_weight)
    shop = msgspec.structs.replace(shop, drawer_must_shut=drawer.truth("must_shut", False))
    shop = _till(root.table("till", optional=True), shop)
    cards = root.table("cards", optional=True)
    ranges = tuple(_card_range(one) for one in cards.tables("range"))
    shop = read_gift_cards(root.table("gift_cards", optional=True), msgspec.structs.replace(shop, cards=ranges))
    wallets = next((each.options.wallets for each in devices if isinstance(each.options, NexoOptions)), ())
    lock = next((each.options for each in devices if isinstance(each.options, GpioKeylockOptions)), None)
    shop = msgspec.structs.replace(
        shop, wallets=wallets, key_lock=lock is not None, key_approves=lock is not None and lock.approves
    )
    operators, badge_alone = _operators(root.table("operators")) if root.has("operators") else (None, False)
    shop = msgspec.structs.replace(shop, sign_on=operators is not None, badge_alone=badge_alone)
    journal = root.table("journal", optional=True)
    customers = root.table("customers", optional=True)
    credentials = root.table("credentials", optional=True)
    history = root.table("history", optional=True)
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
        headquarters=_headquarters(root.table("headquarters"), base) if root.has("headquarters") else None,
        double_read_ms=scan.whole("double_read_ms", 150, 0, 5_000),
        disk=_disk(root.table("disk", optional=True)),
        mirror=_mirror(root.table("mirror"), base) if root.has("mirror") else None,
        backup=_backup(root.table("backup"), base) if root.has("backup") else None,
        operators=operators,
        file=file,
        cards=ranges,
        devices=devices,
        adopt=_adopt(root.table("devices", optional=True)),
        price_list=price_list,
        catalogue_cache_mb=catalogue.whole("cache_mb", 8, 1, 1_024),
    )
    if config.headquarters is None and any(each.driver == "tamper-gpio" for each in config.devices):
        root.fault("device", "a tamper switch needs [headquarters] ack_key: only a signed order releases it")
    if shop.language == "zh" and any(
        isinstance(each.options, EscposPrinterOptions) and each.options.codepage != "GB18030" for each in config.devices
    ):
        root.fault("device", 'a receipt printer needs codepage = "GB18030" to print [shop] language "zh"')
    for table in (journal, catalogue, customers, credentials, history, cards, control, drawer, scan, root):
        table.end()
    return config


def _till(table: Table, shop: Shop) -> Shop:
    """The till's own day."""
    changed = msgspec.structs.replace(
        shop,
        till_sessions=table.truth("sessions", False),
        day_end_hour=table.whole("day_end_hour", 0, 0, 12),
        move_minor_max=table.whole("move_minor_max", 10**7, 1, 10**9),
    )
    table.end()
    return changed


def _keyed_weight(table: Table, devices: tuple[DeviceConfig, ...]) -> bool:
    """Whether a weight may be typed: only where no scale is configured, unless it is said."""
    has_scale = any(_is_a("Scale", device) for device in devices)
    keyed = table.truth("keyed", not has_scale)
    table.end()
    return keyed


def _card_range(table: Table) -> CardRange:
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


def _keys(table: Table) -> KeysConfig:
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


def _headquarters(table: Table, base: Path) -> HeadquartersConfig:
    brokers = _brokers(table)
    key_text = table.text("ack_key")
    key = bytes.fromhex(key_text) if re.fullmatch(r"[0-9a-fA-F]{64}", key_text) else b""
    if key_text and not key:
        table.fault("ack_key", "ack_key must be 64 hexadecimal digits: `terminald-fleet key` prints them")
    files = {name: base / table.file(name, name) for name in ("ca", "certificate", "key") if table.has(name)}
    if "key" in files and "certificate" not in files:
        table.fault("key", "key is of no use without the certificate that it belongs to")
    if files and not any(url.startswith("mqtts:") for url in brokers):
        table.fault(next(iter(files)), f"{', '.join(files)} need a broker at mqtts://")
    hours = re.fullmatch(rf"({_HOUR})-({_HOUR})", text := table.text("disrupt_between", ""))
    if text and (hours is None or hours[1] == hours[2]):
        table.fault("disrupt_between", f"disrupt_between {text!r} must be two local times such as 21:00-06:00")
    enrol = table.text("enrol", "")
    if enrol and not _is_url(enrol, ("https",)):
        table.fault("enrol", f"enrol {enrol!r} must be https://host:port and nothing more")
    elif enrol and files.keys() != {"ca", "certificate"}:
        table.fault(
            "enrol", "enrol needs ca and certificate, the files that it keeps, and no key: that stands in certificate"
        )
    table.end()
    between = (hours[1], hours[2]) if hours is not None else None
    return HeadquartersConfig(brokers=brokers, ack_key=key, tls=Tls(**files), disrupt_between=between, enrol=enrol)


def _brokers(table: Table) -> tuple[str, ...]:
    """One, or several in order."""
    key, urls = "brokers", table.texts("brokers")
    if not table.has("brokers"):
        key, urls = "broker", (table.text("broker"),)
    else:
        if table.has("broker"):
            table.fault("broker", "broker and brokers say the same thing: keep one")
        if not 1 <= len(urls) <= BROKERS_MAX:
            table.fault("brokers", f"brokers must name 1 to {BROKERS_MAX} of them")
    for url in urls:
        if not _is_broker(url) and (url or key == "brokers"):
            table.fault(key, f"{key} {url!r} must be mqtt://host:port or mqtts://host:port and nothing more")
    return urls


def _is_broker(url: str) -> bool:
    """Whether the broker's URL is one that `terminald.broker` takes."""
    return _is_url(url, ("mqtt", "mqtts"))


def _is_url(url: str, schemes: tuple[str, ...]) -> bool:
    """Whether it names a scheme, a host and perhaps a port, and nothing that follows."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    more = parts.path.strip("/") or parts.query or parts.fragment
    return parts.scheme in schemes and bool(parts.hostname) and port != 0 and not more


def _mirror(table: Table, base: Path) -> MirrorConfig:
    mirror = MirrorConfig(path=base / table.text("path"), policy=_policy(table, "separate"))
    table.end()
    return mirror


def _backup(table: Table, base: Path) -> BackupConfig:
    backup = BackupConfig(
        path=base / table.text("path"),
        every_h=table.whole("every_h", 24, 1, 24 * 31),
        keep=table.whole("keep", 7, 1, 366),
        policy=_policy(table, "folder"),
    )
    table.end()
    return backup


def _policy(table: Table, default: MediumPolicy) -> MediumPolicy:
    policy = table.text("policy", default)
    if policy not in get_args(MediumPolicy):
        table.fault("policy", f"policy {policy!r} must be one of {', '.join(get_args(MediumPolicy))}")
    return "folder" if policy == "folder" else "separate"


def _operators(table: Table) -> tuple[OperatorsConfig, bool]:
    config = OperatorsConfig(lock_after_s=table.whole("lock_after_s", 300, 10, 86_400))
    badge_alone = table.truth("badge_alone", False)
    table.end()
    return config, badge_alone


def _disk(table: Table) -> DiskConfig:
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
    return socket.parent / ".devices"


def _devices(table: Table, links: Path) -> tuple[DeviceConfig, ...]:
    devices: list[DeviceConfig] = []
    for name in table.names():
        device = table.table(name)
        if not DEVICE_NAME.fullmatch(name):
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
    _check_drawers(table, devices)
    if len(devices) > DEVICES_MAX:
        table.fault(None, f"more than {DEVICES_MAX} devices")
    return tuple(devices)


def _check_drawers(table: Table, devices: list[DeviceConfig]) -> None:
    """A drawer on a printer names a printer."""
    printers = [device.name for device in devices if _is_a("POSPrinter", device)]
    for device in devices:
        if isinstance(device.options, PrinterDrawerOptions) and device.options.printer not in printers:
            known = f"Known are: {', '.join(printers)}" if printers else "No printer is configured"
            table.table(device.name).fault(
                "printer", f"printer {device.options.printer!r} is no printer's name. {known}"
            )


def _is_a(kind: str, device: DeviceConfig) -> bool:
    return registry.kind_of(device.options) == kind


def _device(name: str, driver: str, table: Mapping[str, object], links: Path) -> DeviceConfig:
    where = f"device.{name}"
    match = registry.match_for(driver, table, where)
    if match is not None:
        table = {key: value for key, value in table.items() if key not in registry.MATCH_KEYS}
        table = {**table, "path": str(links / name)}
    return DeviceConfig(name=name, driver=driver, options=registry.options_for(driver, table, where), match=match)


def _adopt(table: Table) -> AdoptConfig:
    known = AdoptConfig().drivers
    drivers = table.texts("adopt") if table.has("adopt") else known
    for driver in drivers:
        if driver not in known:
            table.fault("adopt", f"adopt {driver!r} must be one of {', '.join(known)}")
    adopt = AdoptConfig(drivers=drivers, keyboards=table.truth("adopt_keyboards", False))
    table.end()
    return adopt
