"""A configuration: what it becomes, and every fault of it named at once, each with its line."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.tax import TaxRate
from drivers.nodes import Match
from drivers.options import SerialScannerOptions
from terminald.addresses import Tls
from terminald.config import AdoptConfig, Config, ConfigError, load
from terminald.toml_table import Fault

GIFT_RANGE = '[[cards.range]]\nkind = "gift"\nprefix = "600649"\ndigits = 16\n'
SHOP = '[terminal]\nid = "till-3"\n[shop]\nname = "Corner Shop"\n'
HEADQUARTERS = f'[headquarters]\nack_key = "{"ab" * 32}"\n'


def _load(folder: Path, text: str | bytes) -> Config:
    path = folder / "terminal.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(path)


def _faults(folder: Path, text: str | bytes) -> list[tuple[int, str]]:
    with pytest.raises(ConfigError) as caught:
        _load(folder, text)
    return [(fault.line, fault.message) for fault in caught.value.faults]


def test_the_least_that_is_needed(tmp_path: Path) -> None:
    config = _load(tmp_path, SHOP)
    assert config.terminal == "till-3"
    assert config.shop.currency.code == "EUR"
    assert (config.journal, config.socket) == (tmp_path / "journal.db", tmp_path / "control.sock")
    assert config.headquarters is None
    assert config.devices == ()


def test_all_of_it(tmp_path: Path) -> None:
    config = _load(
        tmp_path,
        SHOP
        + 'address = ["12 Harbour Street", "Whitby"]\ncurrency = "JPY"\n'
        + '[[shop.tax]]\ncode = "A"\nrate = "8.25"\nincluded = false\n'
        + '[journal]\npath = "/var/lib/till/journal.db"\nkey = "../keys/journal.key"\n'
        + '[scan]\ndouble_read_ms = 0\n[[scan.variable]]\nprefix = "29"\nvalue = "weight"\n'
        + '[control]\nsocket = "c.sock"\ngroup = "counter"\n'
        + f'[headquarters]\nbroker = "mqtts://hq.example:8884"\nack_key = "{"ab" * 32}"\n'
        + '[device.scanner]\ndriver = "scanner-serial"\npath = "/dev/ttyACM0"\nbaud = 115200\n',
    )
    assert config.shop.address == ("12 Harbour Street", "Whitby")
    assert config.shop.taxes == (TaxRate(code="A", rate_bp=825, included=False),)
    assert config.journal == Path("/var/lib/till/journal.db")
    assert config.journal_key == tmp_path / "../keys/journal.key"
    assert config.double_read_ms == 0
    assert config.shop.layouts[0].value == "weight"
    assert config.socket_group == "counter"
    assert config.headquarters is not None
    assert config.headquarters.ack_key == b"\xab" * 32
    assert config.devices[0].options == SerialScannerOptions(path=Path("/dev/ttyACM0"), baud=115_200)


def test_several_brokers_by_mutual_tls(tmp_path: Path) -> None:
    files = 'ca = "ca.pem"\ncertificate = "till-3.pem"\nkey = "/etc/till-3.key"\n'
    config = _load(tmp_path, SHOP + HEADQUARTERS + 'brokers = ["mqtts://a", "mqtt://b"]\n' + files).headquarters
    assert config is not None
    assert config.brokers == ("mqtts://a", "mqtt://b")
    assert config.tls == Tls(ca=tmp_path / "ca.pem", certificate=tmp_path / "till-3.pem", key=Path("/etc/till-3.key"))


def test_a_weight_is_typed_where_there_is_no_scale_or_where_it_is_said(tmp_path: Path) -> None:
    scale = '[device.scale]\ndriver = "scale-serial"\npath = "s"\nprotocol = "cas"\n'
    for text, keyed in (("", True), (scale, False), ("[weighing]\nkeyed = true\n" + scale, True)):
        assert _load(tmp_path, SHOP + text).shop.keyed_weight is keyed


def test_every_fault_at_once_with_its_line(tmp_path: Path) -> None:
    faults = _faults(
        tmp_path,
        '[terminal]\nid = "till 3"\nnmae = "x"\n'
        '[shop]\naddress = "x"\n[[shop.tax]]\ncode = "A"\nrate = "NaN"\n[[shop.tax]]\ncode = "A"\ncolour = "red"\n'
        '[jurnal]\npath = "x"\n'
        '[device.Scanner]\ndriver = "scanner-serial"\npath = "/dev/x"\nbauds = 9\n[device.printer]\ndriver = "magic"\n',
    )
    expected = [
        (2, "'till 3'"),
        (3, "unknown key 'nmae'"),
        (4, "name is missing"),
        (5, "address must be a list"),
        (6, "same code"),
        (8, "rate 'NaN'"),
        (11, "unknown key 'colour'"),
        (12, "unknown key 'jurnal'. Did you mean 'journal'?"),
        (14, "'Scanner' must be small letters"),
        (17, "unknown key 'bauds'. Did you mean 'baud'?"),
        (19, "unknown driver 'magic'"),
    ]
    assert [line for line, _ in faults] == [line for line, _ in expected]
    assert all(part in message for (_, message), (_, part) in zip(faults, expected, strict=True))


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("[terminal\n", 1, "not TOML"),
        (SHOP + "address = [\n\n", 6, "not TOML"),
        (SHOP + "address = " + "[" * 2_000, 1, "nested too deeply"),
        (SHOP + "[journal]\npath = 5\n", 6, "path must be a text in quotes"),
        (SHOP + '[journal]\npath = ""\n', 6, "path '' must name a file"),
        (SHOP + '[journal]\nkey = ".."\n', 6, "key '..' must name a file"),
        (SHOP + '[history]\npath = "/"\n', 6, "path '/' must name a file"),
        (SHOP + '[control]\nsocket = "a\\u0000"\n', 6, "must name a file"),
        (SHOP.encode() + b'address = ["Caf\xe9"]\n', 5, "UTF-8"),
        (SHOP + '[scan]\ndouble_read_ms = "150"\n', 6, "whole number"),
        (SHOP + "[scan]\ndouble_read_ms = true\n", 6, "whole number"),
        (SHOP + "[scan]\ndouble_read_ms = 5001\n", 6, "0 to 5000"),
        (SHOP + '[[scan.variable]]\nprefix = "2x"\n', 6, "EAN-13"),
        (SHOP + '[[cards.range]]\nkind = "loyalty"\nprefix = "4"\n', 7, "payment card"),
        (SHOP + '[[cards.range]]\nkind = "loyalty"\nprefix = "60"\n', 7, "give more digits"),
        (SHOP + '[[cards.range]]\nkind = "loyalty"\nprefix = "6006x"\n', 7, "first digits"),
        (SHOP + '[[cards.range]]\nkind = "credit"\nprefix = "6006"\n', 6, "must be one of loyalty, gift, staff"),
        (SHOP + '[[cards.range]]\nkind = "gift"\nprefix = "600649"\ndigits = 5\n', 8, "digits 5 is less"),
        (SHOP + "[gift_cards]\namount_minor_max = 5000\n", 6, "which numbers they have"),
        (SHOP + GIFT_RANGE + '[gift_cards]\namount_minor_max = 5000\namounts = ["60.00"]\n', 11, "amount_minor_max"),
        (SHOP + GIFT_RANGE + '[gift_cards]\namount_minor_max = 5000\namounts = ["ten"]\n', 11, "amounts"),
        (SHOP + '[[scan.variable]]\nprefix = "21"\nitem_digits = 9\n', 6, "EAN-13"),
        (SHOP + '[[shop.tax]]\ncode = "A"\nrate = "7.00001"\n', 7, "percentage"),
        (SHOP + '[[shop.tax]]\ncode = "A"\nrate = "100"\n', 7, "percentage"),
        (SHOP + '[[shop.tax]]\ncode = "A"\nrate = "-1"\n', 7, "percentage"),
        (SHOP + '[[shop.tax]]\ncode = "A"\nrate = "Infinity"\n', 7, "percentage"),
        (SHOP + f'[headquarters]\nbroker = "http://x"\nack_key = "{"ab" * 32}"\n', 6, "mqtt://host:port"),
        (SHOP + f'[headquarters]\nbroker = "mqtt://"\nack_key = "{"ab" * 32}"\n', 6, "mqtt://host:port"),
        (SHOP + f'[headquarters]\nbroker = "mqtt://x:99999"\nack_key = "{"ab" * 32}"\n', 6, "mqtt://host:port"),
        (SHOP + '[headquarters]\nbroker = "mqtt://x"\nack_key = "ab"\n', 7, "64 hexadecimal digits"),
        (SHOP + '[headquarters]\nbroker = "mqtt://x"\n', 5, "ack_key is missing"),
        (SHOP + HEADQUARTERS + 'broker = "mqtt://x"\nbrokers = ["mqtt://y"]\n', 7, "say the same thing"),
        (SHOP + HEADQUARTERS + "brokers = []\n", 7, "1 to 8"),
        (SHOP + HEADQUARTERS + 'brokers = ["mqtt://x", "y"]\n', 7, "brokers 'y' must be mqtt://host:port"),
        (SHOP + HEADQUARTERS + 'broker = "mqtts://x"\nkey = "own.key"\n', 8, "without the certificate"),
        (SHOP + HEADQUARTERS + 'broker = "mqtt://x"\nca = "ca.pem"\n', 8, "ca need a broker at mqtts://"),
        (SHOP + HEADQUARTERS + 'broker = "mqtts://x"\nca = ""\n', 8, "must name a file"),
        (SHOP + "[device.scanner]\n", 5, "driver is missing"),
        (SHOP + "device = 3\n", 5, "unknown key 'device'"),
        ('journal = "x"\n' + SHOP, 1, "journal must be a table"),
    ],
)
def test_one_fault(tmp_path: Path, text: str | bytes, line: int, part: str) -> None:
    ((found, message),) = _faults(tmp_path, text)
    assert (found, part in message) == (line, True), message


def test_an_empty_file_names_what_is_missing(tmp_path: Path) -> None:
    messages = [message for _, message in _faults(tmp_path, "")]
    assert messages == [
        "terminal is missing",
        "[terminal] id is missing",
        "shop is missing",
        "[shop] name is missing",
    ]


_VALUES = st.sampled_from(['"x"', "1", "true", "[]", '["a"]', "{}", "-1", "1.5", '""', "1979-05-27", '"NaN"', "[[1]]"])
_KEYS = st.sampled_from(
    [
        "id",
        "name",
        "address",
        "currency",
        "path",
        "key",
        "socket",
        "group",
        "broker",
        "ack_key",
        "driver",
        "double_read_ms",
        "code",
        "rate",
        "included",
        "prefix",
        "item_digits",
        "value_digits",
        "value",
        "host",
        "port",
        "kick_pin",
        "x",
    ]
)
_HEADERS = st.sampled_from(
    [
        "[terminal]",
        "[shop]",
        "[[shop.tax]]",
        "[journal]",
        "[catalogue]",
        "[control]",
        "[scan]",
        "[[scan.variable]]",
        "[headquarters]",
        "[device]",
        "[device.scanner]",
        "[device.printer]",
        "[x]",
    ]
)
_LINES = st.lists(st.builds("{} = {}".format, _KEYS, _VALUES) | _HEADERS, max_size=12).map("\n".join)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_LINES | st.text(max_size=60) | st.binary(max_size=60))
def test_whatever_stands_in_it_is_a_configuration_or_named_by_its_line(tmp_path: Path, text: str | bytes) -> None:
    if isinstance(text, str):
        text = text.encode(errors="surrogatepass")
    faults: tuple[Fault, ...] = ()
    try:
        _load(tmp_path, text)
    except ConfigError as error:
        faults = error.faults
    for fault in faults:
        assert 0 <= fault.line <= text.count(b"\n") + text.count(b"\r") + 1
        assert fault.message


def test_a_tamper_switch_needs_somebody_who_releases_it(tmp_path: Path) -> None:
    ((_, message),) = _faults(tmp_path, SHOP + '[device.case]\ndriver = "tamper-gpio"\npin = 22\n')
    assert message == "a tamper switch needs [headquarters] ack_key: only a signed order releases it"


def test_chinese_papers_need_a_printer_that_has_the_characters(tmp_path: Path) -> None:
    chinese = SHOP.replace("[shop]\n", '[shop]\nlanguage = "zh"\n')
    printer = '[device.printer]\ndriver = "printer-escpos"\npath = "/dev/usb/lp0"\n'
    assert _load(tmp_path, chinese + printer + 'codepage = "GB18030"\n').shop.language == "zh"
    ((_, message),) = _faults(tmp_path, chinese + printer)
    assert message == 'a receipt printer needs codepage = "GB18030" to print [shop] language "zh"'
    assert _load(tmp_path, SHOP + printer).shop.language == "en"
    ((_, message),) = _faults(tmp_path, SHOP.replace("[shop]\n", '[shop]\nlanguage = "cn"\n'))
    assert message == "[shop] language 'cn' must be one of en, zh"


def test_several_rates_on_a_class_and_how_they_are_rounded(tmp_path: Path) -> None:
    shop = _load(
        tmp_path,
        SHOP
        + 'currency = "CHF"\ncash_rounding_minor = 5\ncash_rounding = "half-even"\ntax_rounding = "line"\n'
        + '[[shop.tax]]\ncode = "GST"\nrate = "5"\nincluded = false\n'
        + '[[shop.tax]]\ncode = "QST"\nrate = "9.975"\nincluded = false\ncompound = true\n'
        + '[[shop.tax]]\ncode = "Q"\nrates = ["GST", "QST"]\n[[shop.tax]]\ncode = "Z"\nexempt = true\n',
    ).shop
    gst, qst, both, free = shop.taxes
    assert (qst.rate_bp, qst.more_ppm, qst.rate_ppm, qst.compound) == (997, 50, 99_750, True)
    assert both == TaxRate(code="Q", included=False, parts=(gst, qst))
    assert free.exempt
    assert (shop.cash_unit_minor, shop.cash_rounding, shop.tax_rounding) == (5, "half-even", "line")


def test_gift_cards_and_what_they_are_sold_with(tmp_path: Path) -> None:
    file = tmp_path / "terminal.toml"
    file.write_text(SHOP + GIFT_RANGE + '[gift_cards]\namount_minor_max = 5000\namounts = ["10.00", "50.00"]\n')
    shop = load(file).shop
    assert (shop.takes_gift_cards, shop.gift_card_minor_max) == (True, 5_000)
    assert shop.gift_card_amounts_minor == (1_000, 5_000)
    file.write_text(SHOP + GIFT_RANGE)
    shop = load(file).shop
    assert (shop.takes_gift_cards, shop.gift_card_minor_max) == (True, 0)


def test_promotions(tmp_path: Path) -> None:
    config = _load(
        tmp_path,
        SHOP
        + 'promotion_precedence = "priority"\n[catalogue]\nprice_list = "staff"\n'
        + '[[promotion]]\nid = "autumn"\nreason = "Autumn"\nkind = "percent"\nvalue = "12.5"\n'
        + 'items = ["4006381333931"]\nvalid_from = "2026-09-01"\nvalid_to = "2026-11-30"\ndays = ["sat"]\n'
        + '[[promotion]]\nid = "trio"\nreason = "Any 3 for 5.00"\nkind = "mix"\nvalue = "5.00"\nbuy = 3\n',
    )
    book = config.shop.promotions
    assert (book.precedence, book.price_list) == ("priority", "staff")
    autumn, trio = book.promotions
    assert (autumn.percent_bp, autumn.items, autumn.days) == (1250, ("04006381333931",), ("sat",))
    assert (autumn.valid_from, autumn.valid_to) == ("2026-09-01T00:00", "2026-12-01T00:00")
    assert (trio.kind, trio.buy, trio.amount_minor) == ("mix", 3, 500)


def test_faults_of_taxes_and_promotions_have_their_lines(tmp_path: Path) -> None:
    faults = _faults(
        tmp_path,
        SHOP
        + 'currency = "EUX"\ntax_rounding = "never"\n[[shop.tax]]\ncode = "A"\nrate = "1.00001"\n'
        + '[[shop.tax]]\ncode = "B"\nrates = ["A", "C"]\n[[shop.tax]]\ncode = "C"\nrates = ["A"]\n'
        + '[[promotion]]\nid = "p"\nreason = "r"\nkind = "free"\nvalue = "101"\n'
        + '[[promotion]]\nid = "p"\nreason = "r"\nkind = "percent"\nvalue = "101"\n'
        + '[[promotion]]\nid = "q"\nreason = "r"\nkind = "amount"\nvalue = "1.005"\nitems = ["4006381333932"]\n',
    )
    told = "\n".join(f"{line} {message}" for line, message in faults)
    for line, named in (
        (5, "currency 'EUX' is none of ISO 4217"), (6, "tax_rounding 'never' must be one of total, line"),
        (9, "rate '1.00001'"), (12, "rates names C"), (19, "kind 'free' must be one of percent"),
        (22, "two promotions have the id 'p'"), (25, "value must be above 0, and 100 at most"),
        (30, "value '1.005' has more than 2 decimal places"), (31, "should have 1"),
    ):  # fmt: skip
        assert any(at == line and named in message for at, message in faults), f"{line} {named}\n{told}"


def test_devices_that_are_found_by_what_they_are(tmp_path: Path) -> None:
    config = _load(
        tmp_path,
        SHOP
        + '[device.desk]\ndriver = "scanner-hid"\nvendor = "0C2E:0B61"\nserial = "S1"\n'
        + '[device.paper]\ndriver = "printer-escpos"\nvendor = "0x04b8"\nproduct = "0202"\n'
        + '[devices]\nadopt = ["scanner-hid"]\nadopt_keyboards = true\n',
    )
    desk, paper = config.devices
    assert desk.match == Match(vendor="0c2e", product="0b61", serial="S1")
    assert paper.match == Match(vendor="04b8", product="0202")
    assert desk.options.path == tmp_path / ".devices" / "desk"
    assert config.adopt == AdoptConfig(drivers=("scanner-hid",), keyboards=True)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('driver = "scanner-hid"\nvendor = "honeywell"', "vendor must be four hexadecimal digits"),
        ('driver = "scanner-hid"\nvendor = 3118', "vendor must be a text, not 3118"),
        ('driver = "scanner-hid"\nserial = ""', "serial must be a text"),
        ('driver = "scanner-hid"\nproduct = "0b61"', "product needs a vendor"),
        ('driver = "scanner-hid"\nvendor = "0c2e:0b61"\nproduct = "0b61"', "vendor holds a product already"),
        ('driver = "scanner-hid"\npath = "/dev/x"\nserial = "S"', "give either a path or serial"),
        ('driver = "drawer-gpio"\nkick_pin = 17\nserial = "S"', "drawer-gpio is not found by such keys"),
        ('driver = "scanner-hid"\nseriel = "S"\npath = "x"', "unknown key 'seriel'"),
        ('driver = "scanner-hid"', "path is missing"),
    ],
)
def test_what_is_looked_for_has_to_make_sense(tmp_path: Path, table: str, message: str) -> None:
    faults = _faults(tmp_path, SHOP + f"[device.desk]\n{table}\n")
    assert any(message in told for _, told in faults), faults


def test_two_tables_for_the_very_same_devices(tmp_path: Path) -> None:
    same = 'driver = "scanner-hid"\nvendor = "0c2e"\n'
    ((line, message),) = _faults(tmp_path, SHOP + f"[device.a]\n{same}[device.b]\n{same}")
    assert "matches the very devices of [device.a]" in message
    assert line == 8


def test_only_drivers_of_scanners_adopt(tmp_path: Path) -> None:
    ((_, message),) = _faults(tmp_path, SHOP + '[devices]\nadopt = ["drawer-gpio"]\n')
    assert "must be one of scanner-hid, scanner-serial" in message
