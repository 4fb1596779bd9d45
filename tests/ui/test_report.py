"""Answers as rows of 80 columns."""

from ui.technician import report
from ui.technician.line import WIDTH


def test_a_record_that_is_longer_than_a_row_goes_on_below_itself() -> None:
    record = {
        "seq": 32, "time_ms": 1_795_357_837_000, "clock": "unsynced", "type": "device_reported", "device": "nfc",
        "phase": "stalled", "fault": "device-stalled",
    }  # fmt: skip
    short = {"seq": 33, "time_ms": 1_795_357_838_000, "clock": "ntp", "type": "daemon_started"}
    rows = report.log({"records": [record, short]}).splitlines()
    assert len(rows) == 3
    assert all(len(row) <= WIDTH for row in rows)
    assert rows[0].startswith("      32 ")
    assert rows[0].endswith("device=nfc phase=stalled")
    assert rows[1] == " " * 30 + "fault=device-stalled"
    assert rows[2].endswith("  daemon_started")


def test_a_scanner_that_goes_bad_comes_with_advice() -> None:
    scanner = {"name": "front", "kind": "Scanner", "phase": "ready", "detail": {"reads": 900, "quality": "going-bad"}}
    rows = report.devices({"running": True, "devices": [scanner]}).splitlines()
    assert "Clean its window" in " ".join(rows)
    well = report.devices({"running": True, "devices": [scanner | {"detail": {"quality": "good"}}]})
    assert len(well.splitlines()) == 2
