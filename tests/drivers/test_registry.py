"""A device's table becomes options, with every fault of it named."""

import dataclasses
from pathlib import Path

import pytest

from drivers import options as o
from drivers.registry import DRIVERS, OptionsRejected, build, kind_of, options_for, paths_of
from tests.drivers.support import Events, HostClock

WHERE = "device.scanner"


def messages(driver: str, table: dict[str, object]) -> list[str]:
    with pytest.raises(OptionsRejected) as caught:
        options_for(driver, table, WHERE)
    assert all(fault.where == WHERE for fault in caught.value.faults)
    return [fault.message for fault in caught.value.faults]


def test_a_table_becomes_options() -> None:
    table = {"driver": "scanner-serial", "path": "../bench/scanner", "baud": 115_200, "gap_s": 1}
    assert options_for("scanner-serial", table, WHERE) == o.SerialScannerOptions(
        path=Path("../bench/scanner"), baud=115_200, gap_s=1.0
    )


def test_an_unknown_driver_is_told_with_the_known_ones() -> None:
    (message,) = messages("scanner-serail", {})
    assert "Did you mean 'scanner-serial'?" in message
    assert all(name in message for name in DRIVERS)


def test_an_unknown_key_is_told_with_the_nearest_and_the_known_ones() -> None:
    (message,) = messages("scanner-serial", {"path": "x", "boud": 9600})
    assert "unknown key 'boud'" in message
    assert "Did you mean 'baud'?" in message
    assert "terminator" in message


def test_a_wrong_type_is_told() -> None:
    assert messages("scanner-serial", {"path": "x", "baud": "fast"}) == ["baud must be a whole number, not 'fast'"]
    assert messages("scanner-serial", {"path": "x", "baud": True}) == ["baud must be a whole number, not True"]
    assert messages("scanner-serial", {"path": 7}) == ["path must be a path in quotes, not 7"]
    assert messages("scanner-serial", {"path": "x", "terminator": "CR"}) == [
        "terminator must be one of auto, cr, lf, crlf, tab, none, not 'CR'"
    ]


def test_a_list_is_a_tuple_of_what_is_known() -> None:
    table = {"host": "x", "port": 9000, "poi_id": "POI-1"}
    options = options_for("payment-nexo", {**table, "wallets": ["alipay", "wechat"]}, WHERE)
    assert isinstance(options, o.NexoOptions)
    assert options.wallets == ("alipay", "wechat")
    assert messages("payment-nexo", {**table, "wallets": "alipay"}) == ["wallets must be a list, not 'alipay'"]
    assert messages("payment-nexo", {**table, "wallets": ["paypal"]}) == [
        "wallets must be one of wechat, alipay, unionpay, emvco, not 'paypal'"
    ]


def test_a_missing_key_is_told() -> None:
    assert messages("scanner-serial", {}) == ["path is missing: scanner-serial needs it"]


def test_a_value_out_of_range_is_told() -> None:
    assert messages("scanner-serial", {"path": "x", "gap_s": 99}) == ["gap_s: 99.0 is not within 0.005 to 10.0"]
    assert messages("printer-escpos", {}) == ["path: give either a path or a host"]


def test_all_faults_are_told_together() -> None:
    assert len(messages("scanner-serial", {"boud": 1, "parity": "x"})) == 3


def test_paths_count_from_the_configuration_s_folder() -> None:
    options = options_for("scanner-serial", {"path": "../bench/scanner"}, WHERE)
    assert paths_of(options, Path("/var/lib/till")) == (Path("/var/lib/till/../bench/scanner"),)
    absolute = options_for("scanner-serial", {"path": "/dev/ttyACM0"}, WHERE)
    assert paths_of(absolute, Path("/var/lib/till")) == (Path("/dev/ttyACM0"),)


def test_a_device_is_built_with_its_name_and_kind(tmp_path: Path) -> None:
    options = options_for("scanner-serial", {"path": "scanner"}, WHERE)
    device = build("scanner", options, Events().append, tmp_path, HostClock())
    assert device.identity == str(tmp_path / "scanner")
    assert device.facts()["reads"] == 0
    assert kind_of(options) == "Scanner"


@pytest.mark.parametrize("name", DRIVERS)
def test_every_driver_s_options_are_its_own_and_convertible(name: str) -> None:
    """A field of a type that no table can give would only fail in a shop."""
    entry = DRIVERS[name]
    assert [other for other in DRIVERS.values() if other.options is entry.options] == [entry]
    for field in dataclasses.fields(entry.options):
        if field.default is not dataclasses.MISSING and isinstance(field.default, str | int | float | bool):
            with pytest.raises(OptionsRejected, match=field.name):
                options_for(name, {field.name: []}, WHERE)


def test_a_layout_that_there_is_not() -> None:
    (said,) = messages("scanner-hid", {"path": "x", "layout": "us xx"})
    assert said.startswith("layout: 'xx' is no layout; give auto, or some of us, uk, fr,")
    assert messages("scanner-hid", {"path": "x", "layout": " "})[0].startswith("layout: is empty")
    assert messages("scanner-hid", {"path": "x", "fnc1_key": "f13"}) == ["fnc1_key: 'f13' is not none, or f1 to f12"]
    options = options_for("scanner-hid", {"path": "x", "layout": "us fr"}, "device.scanner")
    assert options.layouts == ("us", "fr")


def test_parity_in_software_needs_eight_bits() -> None:
    (said,) = messages("scanner-serial", {"path": "x", "software_parity": "even", "data_bits": 7})
    assert said.startswith("software_parity: needs data_bits = 8")
