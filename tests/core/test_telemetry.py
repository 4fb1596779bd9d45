"""What is news, what is an alarm, and that each name is declared once."""

import pytest

from core import topics
from core.alarms import KINDS, SEVERITIES, judge, worst
from core.telemetry import DEVICES, GROUPS, INFO, SYSTEM, Value, Values, declared, moved
from core.telemetry_table import rows


def test_a_value_belongs_to_one_group() -> None:
    names = [field.name for group in GROUPS for field in group.fields]
    assert len(names) == len(set(names))
    for group in GROUPS:
        assert topics.tele("till-1", group.name)
        assert 0 < group.floor_s < group.heartbeat_s


def test_a_row_for_each_key() -> None:
    keys = [(row.topic, row.key) for row in rows()]
    assert len(keys) == len(set(keys))
    assert len(keys) > sum(len(group.fields) for group in GROUPS) + len(INFO)


@pytest.mark.parametrize(
    ("name", "is_declared"),
    [
        ("device_printer", "device_NAME"),
        ("device_bar-scanner_bad_pct", "device_NAME_bad_pct"),
        ("device_till_printer_paper", "device_NAME_paper"),
        ("disk_free_pct", None),
    ],
)
def test_a_devices_values_are_declared_for_all(name: str, is_declared: str | None) -> None:
    found = declared(DEVICES.fields, name)
    assert (found.name if found else None) == is_declared


@pytest.mark.parametrize(
    ("change", "is_news"),
    [
        ({"disk_free_pct": 60.4}, False),
        ({"disk_free_pct": 59.0}, True),
        ({"up_s": 9_999}, False),
        ({"room": "low"}, True),
        ({"power_weak": True}, True),
        ({"temperature_c": None}, True),
        ({"temperature_c": 44.9}, False),
        ({"temperature_c": 45.0}, True),
    ],
)
def test_what_is_news(change: dict[str, str | float | None], is_news: bool) -> None:
    before: Values = {"disk_free_pct": 60.0, "up_s": 7, "room": "enough", "power_weak": False, "temperature_c": 40.0}
    assert moved(SYSTEM.fields, before, {**before, **change}) is is_news
    assert not moved(SYSTEM.fields, before, dict(before))


def test_a_count_that_leaves_nought_is_news() -> None:
    fields = GROUPS[0].fields
    assert moved(fields, {"oldest_unacked_s": 0}, {"oldest_unacked_s": 1})
    assert not moved(fields, {"oldest_unacked_s": 1}, {"oldest_unacked_s": 50})
    assert moved(fields, {"oldest_unacked_s": 50}, {"oldest_unacked_s": 0})


WELL: dict[str, Value] = {
    "room": "enough", "clock_doubtful": False, "power_weak": False, "temperature_c": None, "second_medium": "none",
    "second_medium_fault": None, "backup_overdue": False, "drawers_forced": "", "drawers_left_open": "",
    "taken_over": 1, "epoch_opened": "restored", "delivery_fault": None, "verified_whole": None, "quarantined": 0,
    "oldest_unacked_s": 899, "recall_pending": False, "sign_ons_refused": 4, "anchored": True, "closing_forgotten": None,
    "certificate_days": None, "device_printer": "ready", "device_printer_faults": 0, "device_printer_paper": "ok",
    "device_printer_state": "ok", "device_scanner": "ready", "device_scanner_faults": 2, "device_scanner_quality": "good",
}  # fmt: skip


def test_a_terminal_that_is_well_raises_nothing() -> None:
    assert judge(WELL) == {}
    assert judge({}) == {}
    assert worst({}) is None


@pytest.mark.parametrize(
    ("change", "type_", "params"),
    [
        ({"room": "low"}, "disk-low", {}),
        ({"room": "full"}, "disk-full", {}),
        ({"clock_doubtful": True}, "clock-off", {}),
        ({"power_weak": True}, "power-low", {}),
        ({"temperature_c": 80.5}, "overheated", {"celsius": 80}),
        ({"second_medium": "absent"}, "second-medium-missing", {}),
        ({"second_medium_fault": "mirror-lied"}, "second-medium-failed", {"fault": "mirror-lied"}),
        ({"backup_overdue": True}, "backup-overdue", {}),
        ({"drawers_forced": "drawer"}, "drawer-forced", {"devices": "drawer"}),
        ({"drawers_left_open": "drawer"}, "drawer-left-open", {"devices": "drawer"}),
        ({"taken_over": 2}, "identity-clash", {"times": 2}),
        ({"epoch_opened": "headquarters-fork"}, "fork", {"reason": "headquarters-fork"}),
        ({"delivery_fault": "journal-behind: so and so"}, "fork", {"reason": "journal-behind"}),
        ({"delivery_fault": "journal-damaged: so"}, "journal-damaged", {"kind": "unreadable"}),
        ({"verified_whole": False, "verified_kind": "edit"}, "journal-damaged", {"kind": "edit"}),
        ({"delivery_fault": "publish-refused: so"}, "broker-refuses", {"code": "publish-refused"}),
        ({"quarantined": 3}, "quarantined", {"records": 3}),
        ({"oldest_unacked_s": 900}, "headquarters-silent", {"seconds": 900}),
        ({"recall_pending": True}, "records-due", {}),
        ({"sign_ons_refused": 5}, "sign-ons-failed", {"times": 5}),
        ({"anchored": False}, "journal-unanchored", {}),
        ({"closing_forgotten": "2026-11-22"}, "closing-forgotten", {"business_day": "2026-11-22"}),
        ({"certificate_days": 13}, "certificate-expiring", {"days": 13}),
        ({"certificate_days": -1}, "certificate-expired", {}),
        ({"device_printer": "absent"}, "device-missing", {"devices": "printer"}),
        ({"device_printer": "stalled", "device_scanner": "opening"}, "device-missing", {"devices": "printer scanner"}),
        ({"device_printer_paper": "out"}, "paper-out", {"devices": "printer"}),
        ({"device_printer_paper": "near_end"}, "paper-low", {"devices": "printer"}),
        ({"device_printer_state": "cover-open"}, "printer-fault", {"devices": "printer"}),
        ({"device_scanner_quality": "check-baud"}, "scanner-bad", {"devices": "scanner"}),
        ({"case_opened": "i-7"}, "case-opened", {"incident": "i-7"}),
    ],
)  # fmt: skip
def test_each_alarm_has_its_rule(change: dict[str, str | int], type_: str, params: dict[str, str | int]) -> None:
    assert judge(WELL | change) == {type_: params}
    kind = KINDS[type_]
    assert set(kind.params) == params.keys()
    assert kind.text.format(**params)
    assert kind.severity in SEVERITIES
    assert topics.alarm("till-1", type_)


def test_the_gravest_severity() -> None:
    assert worst({"disk-low": 1, "paper-low": 1}) == "minor"
    assert worst({"paper-out": 1, "drawer-forced": 1}) == "critical"


def test_no_rule_is_left_untested() -> None:
    (mark,) = [mark for mark in test_each_alarm_has_its_rule.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    assert {type_ for _, type_, _ in mark.args[1]} == KINDS.keys()
