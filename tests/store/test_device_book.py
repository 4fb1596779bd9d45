"""What is remembered of devices: small, whole or begun anew, and never in the way."""

from pathlib import Path

import pytest

from store.device_book import DEVICES_MAX, DeviceBook


def test_it_is_bounded_and_forgets_the_longest_unseen(tmp_path: Path) -> None:
    book = DeviceBook(tmp_path / "devices.json")
    for number in range(DEVICES_MAX + 3):
        book.add(f"device {number}", "scanner", ready_s=1.0, fault=None, now_ms=number)
    assert book.past("device 2").name == ""
    assert book.past("device 3").name == "scanner"
    assert book.holder_of("scanner") == f"device {DEVICES_MAX + 2}"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": {"faults": "x"}}', bytes(100), b"\xff"])
def test_a_damaged_one_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "devices.json"
    path.write_bytes(content)
    book = DeviceBook(path)
    book.add("a", "scanner", ready_s=2.0, fault="device-gone", now_ms=1)
    book.save()
    assert DeviceBook(path).past("a").between_faults_s == 2


def test_a_folder_that_takes_nothing_is_no_fault(tmp_path: Path) -> None:
    book = DeviceBook(tmp_path / "gone" / "devices.json")
    book.add("a", "scanner", ready_s=2.0, fault=None, now_ms=1)
    book.save()
    (tmp_path / "gone").mkdir()
    book.save()
    assert DeviceBook(tmp_path / "gone" / "devices.json").past("a").ready_s == 2.0


def test_nothing_new_is_not_written(tmp_path: Path) -> None:
    DeviceBook(tmp_path / "devices.json").save()
    assert not (tmp_path / "devices.json").exists()
