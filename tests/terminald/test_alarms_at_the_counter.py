"""Alarms that are really caused, in a running daemon, as a stranger's reader has them from the broker and the guide alone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from core.alarms import KINDS
from fleet.cli import main as fleet
from terminald.cli import main
from tests.brokers import Mosquitto, mosquitto_in
from tests.countertop import Countertop, countertop
from tests.fleet_people import signing_as
from tests.guide_reader import Reader
from tests.media import medium
from tests.proofs.guarded_till import CASE_PIN, GuardedTill
from tests.secured import secured, terminal_pair

DEVICES = ("scanner", "card", "printer", "drawer")
PATIENCE_S = 45.0
_RECOVERY_KEY = X25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw().hex()
_MORE = f"""
[keys]
recovery_key = "{_RECOVERY_KEY}"
[headquarters]
broker = "mqtt://127.0.0.1:{{port}}"
ack_key = "{{key}}"
[operators]
[device.power]
driver = "power-rpi"
path = "{{power}}"
recover_s = 0.1
"""


@contextlib.asynccontextmanager
async def counter_with_reader(
    root: Path, broker: Mosquitto, power: Path, more: str = ""
) -> AsyncIterator[tuple[Countertop, Reader]]:
    power.touch()  # noqa: ASYNC240
    firmware_says(power, "0")
    more = _MORE.format(port=broker.port, key="ab" * 32, power=power) + more
    reader = Reader(broker.port, "till-3", {*DEVICES, "power"})
    try:
        async with countertop(root, DEVICES, more=more) as counter:
            yield counter, reader
        await until(lambda: reader.last("status").get("state") == "offline", reader, "the goodbye")
    finally:
        reader.close()
    assert reader.faults == []


def firmware_says(file: Path, bits: str) -> None:
    """As the kernel has it: other bytes at once, and never a part of them."""
    with file.open("r+b", buffering=0) as written:
        written.write(f"{bits:<8}\n".encode())


async def until(condition: Callable[[], bool], reader: Reader, what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"waited for {what} in vain; raised are {reader.alarms()}; {reader.faults}") from None


async def raised(reader: Reader, *types: str) -> None:
    """Waits until exactly these alarms are raised."""
    await until(lambda: reader.alarms() == set(types), reader, f"{types}")
    for type_ in types:
        alarm = reader.last(f"alarm/{type_}")
        assert alarm["severity"] == KINDS[type_].severity
        assert alarm["text"] == KINDS[type_].text.format(**alarm["v"])


@pytest.mark.timeout(240)
async def test_what_goes_wrong_at_a_counter(tmp_path: Path) -> None:
    with mosquitto_in(tmp_path) as broker, medium(tmp_path / "stick") as stick:
        power = tmp_path / "get_throttled"
        mirror = f'[mirror]\npath = "{stick.folder}"\n'
        async with counter_with_reader(tmp_path / "shop", broker, power, mirror) as (counter, reader):
            bench = counter.bench
            await until(
                lambda: reader.last("tele/copies").get("v", {}).get("second_medium") == "ready", reader, "medium"
            )
            assert reader.last("status")["state"] == "online"
            assert reader.last("info")["device_printer"].startswith("POSPrinter printer-escpos")
            await raised(reader)

            bench.printer.set_paper_out(True)
            await raised(reader, "paper-out")
            assert reader.last("alarm/paper-out")["v"] == {"devices": "printer"}
            assert reader.last("tele/devices")["v"]["device_printer_paper"] == "out"
            bench.printer.set_paper_out(False)
            await raised(reader)

            bench.drawer.pry()
            await raised(reader, "drawer-forced")
            since = reader.last("alarm/drawer-forced")["since"]
            await counter.restart()  # SIGKILL while it stands open
            await until(lambda: reader.last("status")["boot_id"] == counter.view.boot, reader, "the restart")
            await asyncio.sleep(12)  # longer than a start has to settle
            await raised(reader, "drawer-forced")
            assert reader.last("alarm/drawer-forced")["since"] == since
            bench.drawer.shut()
            await raised(reader)

            firmware_says(power, "1")  # under-voltage, now
            await raised(reader, "power-low")
            firmware_says(power, "10000")  # it has been, and is over
            await raised(reader)

            bench.scanner.unplug()
            await raised(reader, "device-missing")
            assert reader.last("alarm/device-missing")["v"] == {"devices": "scanner"}
            for _ in range(5):
                await counter.refusal("operator.sign_on", operator="nobody", pin="2580")
            await raised(reader, "device-missing", "sign-ons-failed")
            stick.pull()
            await raised(reader, "device-missing", "sign-ons-failed", "second-medium-missing")
            assert reader.last("tele/alarms")["v"]["worst"] == "major"
            bench.scanner.plug()
            await raised(reader, "sign-ons-failed", "second-medium-missing")


@pytest.mark.timeout(180)
async def test_a_disk_that_fills(tmp_path: Path) -> None:
    with mosquitto_in(tmp_path) as broker, medium(tmp_path / "shop", size="96m") as disk:
        more = "[disk]\nreserve_mib = 4\nfull_below_mib = 4\nlow_below_mib = 24\n"
        async with counter_with_reader(disk.folder, broker, tmp_path / "power", more) as (_, reader):
            await until(lambda: reader.last("tele/system").get("v", {}).get("room") == "enough", reader, "room")
            await raised(reader)
            ballast = disk.folder / "ballast"
            _fill(disk.folder, ballast, leave_mib=14)
            await raised(reader, "disk-low")
            _fill(disk.folder, ballast, leave_mib=0)
            await raised(reader, "disk-full")
            ballast.unlink()
            await raised(reader)


@pytest.mark.timeout(120)
async def test_an_opened_case_is_told_by_the_latched_terminal_until_it_is_released(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = str(tmp_path / "hq.db")
    assert fleet(["key", "--database", database]) == 0
    key = capsys.readouterr().out.strip()
    with mosquitto_in(tmp_path) as broker:
        case = f'[device.case]\ndriver = "tamper-gpio"\npin = {CASE_PIN}\n'
        till = GuardedTill(tmp_path / "till", f'[headquarters]\nbroker = "{broker.url}"\nack_key = "{key}"\n{case}')
        reader = Reader(broker.port, "till-3", {"case"})
        try:
            await till.board.start()
            till.board.set(CASE_PIN, 1)
            await till.daemon.start()
            await till.ended()
            await till.start()
            await raised(reader, "case-opened")
            assert reader.last("status")["state"] == "online"
            assert "info" not in {topic for topic, _, _ in reader.messages}
            incident = reader.last("alarm/case-opened")["v"]["incident"]
            till.board.set(CASE_PIN, 0)
            capsys.readouterr()
            who = signing_as("sam", "security", Path(database), monkeypatch)
            assert fleet(["order", "release-tamper", "till-3", incident, *who]) == 0
            order = tmp_path / "order"
            order.write_text(capsys.readouterr().out)
            assert main(["tamper", "release", str(order), "--config", str(till.config)]) == 0
            await raised(reader)
            await until(lambda: bool(reader.last("info")), reader, "the terminal")
        finally:
            await till.close()
            reader.close()
        assert reader.faults == []


@pytest.mark.timeout(120)
async def test_a_certificate_that_ends_soon_through_the_shipped_broker(tmp_path: Path) -> None:
    with secured(tmp_path) as fleet_:
        certificate = fleet_.saved("till-3", terminal_pair(fleet_.ca, "till-3", days=5))
        certificate.chmod(0o600)
        till = GuardedTill(
            tmp_path / "till",
            f'[headquarters]\nbroker = "mqtts://127.0.0.1:{fleet_.terminals_port}"\nack_key = "{"ab" * 32}"\n'
            f'ca = "{fleet_.folder / "ca/headquarters.crt"}"\ncertificate = "{certificate}"\n',
        )
        reader = Reader(fleet_.broker.port, "till-3", set())
        try:
            await till.start()
            await raised(reader, "certificate-expiring")
            assert reader.last("alarm/certificate-expiring")["v"] == {"days": 4}
            await until(lambda: bool(reader.last("info") and reader.last("tele/link")), reader, "what it is made of")
            ends_ms = reader.last("info")["certificate_expires_ms"]
            assert 4.9 < (ends_ms - reader.last("info")["ts"]) / 86_400_000 <= 5
            pair = terminal_pair(fleet_.ca, "till-3", days=180)  # as the renewal puts it into its place
            certificate.write_bytes(pair.certificate + pair.key)
            await raised(reader)
            await until(lambda: reader.last("info")["certificate_expires_ms"] > ends_ms, reader, "the new certificate")
            assert reader.last("tele/link")["v"]["refusals"] == 0
        finally:
            await till.close()
            reader.close()
        assert reader.faults == []


def _fill(folder: Path, ballast: Path, *, leave_mib: int) -> None:
    """Writes until so much is left."""
    import shutil

    with ballast.open("ab") as file, contextlib.suppress(OSError):
        while shutil.disk_usage(folder).free > leave_mib << 20:
            file.write(bytes(1 << 19))
            file.flush()
