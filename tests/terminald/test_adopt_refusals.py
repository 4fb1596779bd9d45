"""What ``terminald adopt`` takes over, what it refuses, and that nothing is lost where it is refused or cut off."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.entries import EpochOpened, decode, draft
from core.ledger import open_record
from core.recovery import public_of, request_text
from store.adoption import Note, begin_note
from store.journal import SqlJournal
from store.keys import KeyFile, TerminalSigner
from store.keys_recovery import load_recovery, make_recovery
from store.mirror import FOLDER, left_by
from store.verify import iter_records, verify_journal
from terminald import paths
from terminald.cli import main
from terminald.clock import SystemClock
from terminald.config import load
from tests.media import medium as mounted
from tests.sticks import HEADQUARTERS, SEED, Dead, leave_stick
from tests.tills import make_key, sale

CONFIG = """\
# the spare one
[terminal]
id = "spare"   # its own name
[shop]
name = "Corner Shop"
address = ["12 Harbour Street"]
[keys]
recovery_key = "{recovery}"
"""
HEADQUARTERS_TABLE = """\
[headquarters]
broker = "mqtt://127.0.0.1:9"
ack_key = "{ack_key}"
"""


def recovery_of(root: Path) -> bytes:
    """The public half of the test's recovery key, which is made at first."""
    path = root / "recovery.key"
    return public_of(load_recovery(path, bytes)) if path.exists() else make_recovery(path)


class Spare:
    """A terminal that is to take over."""

    def __init__(self, root: Path, name: str = "spare", more: str = "") -> None:
        self.folder = root / name
        self.folder.mkdir()
        self.root = root
        self.config.write_text(CONFIG.format(recovery=recovery_of(root).hex()) + more)
        recovery_of(root)
        self.recovery_key = root / "recovery.key"

    @property
    def config(self) -> Path:
        return self.folder / "terminal.toml"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.db"

    def adopt(self, stick: Path, *more: str, key: bool = True) -> int:
        given = ["adopt", "--json", "--stick", str(stick), "--config", str(self.config), *more]
        return main([*given, "--recovery-key", str(self.recovery_key)] if key else given)

    def verified(self) -> int:
        """Verifies the journal; gives how many records it has."""
        found = verify_journal(self.journal, KeyFile(self.folder / "journal.key").load().journal)
        assert found.whole, found.finding
        return found.records

    def opened(self) -> EpochOpened:
        """The entry that opened the current epoch."""
        records = list(iter_records(self.journal, KeyFile(self.folder / "journal.key").load().journal))
        (found,) = [
            entry for record in records
            if isinstance(entry := decode(open_record(record.exact).body), EpochOpened) and entry.reason == "adopted"
        ]  # fmt: skip
        return found


@pytest.fixture
def dead(tmp_path: Path) -> Dead:
    return asyncio.run(leave_stick(tmp_path, recovery_public=recovery_of(tmp_path)))


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_the_spare_becomes_the_dead_one(tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]) -> None:
    spare = Spare(tmp_path)
    assert spare.adopt(dead.stick) == 0
    told = said(capsys)
    assert (told["terminal"], told["sales"], told["amount_minor"]) == ("till-3", 3, 103 + 104 + 105)
    assert (told["previous_epoch"], told["previous_seq"]) == (dead.head.epoch, dead.head.seq)
    assert (told["last_number"], told["numbers_skipped"], told["marked"]) == (5, 1000, True)
    assert spare.verified() == len(dead.records) - dead.acknowledged + 1
    opened = spare.opened()
    assert (opened.terminal, opened.previous_head, opened.number) == ("till-3", dead.head.hash.hex(), 1005)
    text = spare.config.read_text()
    assert 'id = "till-3"   # its own name' in text
    assert text.startswith("# the spare one")
    keys = KeyFile(spare.folder / "journal.key").load()
    assert TerminalSigner.open(spare.folder / "signing.key", keys, ()).public_key == make_key(SEED).public_key
    assert not (spare.folder / "adoption.json").exists()


def test_numbers_go_on_where_nothing_can_be_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dead = asyncio.run(leave_stick(tmp_path, recovery_public=recovery_of(tmp_path), goodbye=True))
    spare = Spare(tmp_path)
    assert spare.adopt(dead.stick) == 0
    assert said(capsys)["numbers_skipped"] == 0
    assert spare.opened().number == 5


def test_numbers_go_on_from_the_last_paper(tmp_path: Path, dead: Dead) -> None:
    spare = Spare(tmp_path)
    assert spare.adopt(dead.stick, "--last-receipt", "7") == 0
    assert spare.opened().number == 7


def test_a_stick_on_which_everything_was_acknowledged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dead = asyncio.run(leave_stick(tmp_path, recovery_public=recovery_of(tmp_path), sales=2, acknowledged=2))
    spare = Spare(tmp_path)
    assert spare.adopt(dead.stick) == 0
    assert said(capsys)["sales"] == 0
    assert spare.verified() == 1


def test_a_stick_of_which_nothing_was_acknowledged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dead = asyncio.run(leave_stick(tmp_path, recovery_public=recovery_of(tmp_path), acknowledged=0))
    spare = Spare(tmp_path)
    assert spare.adopt(dead.stick) == 0
    assert said(capsys)["sales"] == 5
    assert spare.verified() == len(dead.records) + 1


def test_a_code_opens_the_stick_where_nobody_has_the_key(
    tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]
) -> None:
    spare = Spare(tmp_path)
    assert spare.adopt(dead.stick, key=False) == 1
    request = str(said(capsys)["request"])
    assert request == request_text(bytes.fromhex(left_by(dead.stick, "till-3")[0].header.fresh))
    assert not spare.journal.exists()
    assert main(["keys", "recovery-code", "--json", "--recovery-key", str(spare.recovery_key), request]) == 0
    code = str(said(capsys)["code"])
    assert spare.adopt(dead.stick, "--recovery-code", code[:-1], key=False) == 1
    assert "28 signs" in capsys.readouterr().err
    assert spare.adopt(dead.stick, "--recovery-code", code.lower().replace("-", " "), key=False) == 0
    assert spare.verified() > 1


def test_a_misread_request_is_said_where_the_key_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spare = Spare(tmp_path)
    text = request_text(bytes(range(32)))
    wrong = ("1" if text[0] != "1" else "2") + text[1:]
    assert main(["keys", "recovery-code", "--recovery-key", str(spare.recovery_key), wrong]) == 1
    assert "misread" in capsys.readouterr().err


def refused(capsys: pytest.CaptureFixture[str], spare: Spare, code: str, words: str) -> None:
    """The last command was refused with this code and these words, and left the spare as it was."""
    captured = capsys.readouterr()
    assert code in captured.err, captured.err
    assert words in captured.err, captured.err
    assert not spare.journal.exists()
    assert 'id = "spare"' in spare.config.read_text()


def test_a_code_of_another_stick(tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]) -> None:
    spare = Spare(tmp_path)
    main(["keys", "recovery-code", "--json", "--recovery-key", str(spare.recovery_key), request_text(bytes([9]) * 32)])
    assert spare.adopt(dead.stick, "--recovery-code", str(said(capsys)["code"]), key=False) == 1
    refused(capsys, spare, "mirror-wrong-key", "the code is not of this medium")


def test_another_recovery_key(tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]) -> None:
    spare = Spare(tmp_path)
    other = tmp_path / "other.key"
    assert main(["keys", "make-recovery", str(other)]) == 0
    spare.recovery_key = other
    assert spare.adopt(dead.stick) == 1
    refused(capsys, spare, "mirror-wrong-key", recovery_of(tmp_path).hex()[:16])


def test_an_empty_stick_and_no_stick(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spare = Spare(tmp_path)
    (tmp_path / "stick").mkdir()
    assert spare.adopt(tmp_path / "stick") == 1
    refused(capsys, spare, "mirror-missing", "no mirror of any terminal")
    assert spare.adopt(tmp_path / "nowhere") == 1
    refused(capsys, spare, "mirror-missing", "nowhere")


def test_a_stick_with_two_terminals(tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]) -> None:
    spare = Spare(tmp_path)
    other = asyncio.run(leave_stick(tmp_path, recovery_public=recovery_of(tmp_path), name="till-4", stick="other"))
    shutil.copytree(other.stick / FOLDER / "till-4", dead.stick / FOLDER / "till-4")
    assert spare.adopt(dead.stick) == 1
    refused(capsys, spare, "adoption-refused", "till-3, till-4")
    assert spare.adopt(dead.stick, "--terminal", "till-4") == 0
    assert said(capsys)["terminal"] == "till-4"


def test_a_damaged_stick_is_named_and_salvaged(tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]) -> None:
    spare = Spare(tmp_path)
    (path,) = dead.stick.rglob("*.mirror")
    content = bytearray(path.read_bytes())
    at = content.index(b"TMf1", content.index(b"TMf1", content.index(b"TMf1") + 1) + 1)
    content[at + 60] ^= 1
    path.write_bytes(content)
    assert spare.adopt(dead.stick) == 1
    refused(capsys, spare, "mirror-altered", f"after record {dead.acknowledged + 4} is damaged")
    assert spare.adopt(dead.stick, "--salvage") == 0
    assert said(capsys)["previous_seq"] == dead.acknowledged + 4
    spare.verified()


def test_a_stick_that_was_pulled_in_mid_write(tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]) -> None:
    spare = Spare(tmp_path)
    (path,) = dead.stick.rglob("*.mirror")
    path.write_bytes(path.read_bytes()[:-10])
    assert spare.adopt(dead.stick) == 0
    told = said(capsys)
    assert told["torn"] is True
    assert dead.acknowledged < int(str(told["previous_seq"])) < dead.head.seq


def test_a_stick_that_is_cut_off_at_its_beginning(
    tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]
) -> None:
    spare = Spare(tmp_path)
    (path,) = dead.stick.rglob("*.mirror")
    path.write_bytes(path.read_bytes()[:100])
    assert spare.adopt(dead.stick) == 1
    refused(capsys, spare, "mirror-unreadable", "first line")


def test_the_second_adoption_is_refused(tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = Spare(tmp_path), Spare(tmp_path, "second")
    assert first.adopt(dead.stick) == 0
    epoch = said(capsys)["epoch"]
    assert second.adopt(dead.stick) == 1
    refused(capsys, second, "adoption-refused", f"goes on as {epoch}")
    assert second.adopt(dead.stick, "--force") == 0


def test_a_spare_with_sales_of_its_own_is_refused(
    tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]
) -> None:
    spare = Spare(tmp_path)
    asyncio.run(sell_one(spare, acknowledged=False))
    before = spare.journal.read_bytes()
    assert spare.adopt(dead.stick) == 1
    assert "2 records of sales of its own" in capsys.readouterr().err
    assert spare.journal.read_bytes() == before
    assert 'id = "spare"' in spare.config.read_text()


def test_a_spare_whose_sales_are_delivered_keeps_its_journal_aside(
    tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]
) -> None:
    spare = Spare(tmp_path)
    asyncio.run(sell_one(spare, acknowledged=True))
    assert spare.adopt(dead.stick) == 0
    spare.verified()
    (aside,) = spare.folder.glob("journal.db.before-adoption-*")
    found = verify_journal(aside, KeyFile(spare.folder / "journal.key").load().journal)
    assert (found.whole, found.records) == (True, 5)


@contextlib.asynccontextmanager
async def journal_of(spare: Spare) -> AsyncIterator[SqlJournal]:
    """The spare's own journal, as its daemon has it open."""
    config = load(spare.config)
    keys = paths.load_or_make_keys(config)
    signer = paths.open_signer(config, keys)
    async with await SqlJournal.open(
        config.journal, keys.journal, terminal="spare", signing_key=signer.public_key, stamp=SystemClock().stamp()
    ) as journal:
        yield journal


async def sell_one(spare: Spare, *, acknowledged: bool) -> None:
    async with journal_of(spare) as journal:
        await journal.append([draft(entry) for entry in sale(1, 100)], SystemClock().stamp())
        if acknowledged:
            await journal.acknowledge(journal.head.epoch, journal.head.seq, b"{}")


def test_a_running_daemon_is_in_the_way(tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]) -> None:
    spare = Spare(tmp_path)

    async def beside() -> int:
        async with journal_of(spare):
            return await asyncio.to_thread(spare.adopt, dead.stick)

    assert asyncio.run(beside()) == 1
    assert "journal-in-use" in capsys.readouterr().err


def test_another_headquarters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dead = asyncio.run(leave_stick(tmp_path, recovery_public=recovery_of(tmp_path), headquarters=8))
    spare = Spare(tmp_path, more=HEADQUARTERS_TABLE.format(ack_key=HEADQUARTERS.public_key.hex()))
    assert spare.adopt(dead.stick) == 1
    refused(capsys, spare, "adoption-refused", "another headquarters")


def test_the_account_at_the_broker_is_taken_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    account = 'mqtt://till-3:sea\\"cret@127.0.0.1:9'
    dead = asyncio.run(leave_stick(tmp_path, recovery_public=recovery_of(tmp_path), broker=account))
    spare = Spare(tmp_path, more=HEADQUARTERS_TABLE.format(ack_key=HEADQUARTERS.public_key.hex()))
    assert spare.adopt(dead.stick) == 0
    assert said(capsys)["headquarters"] == "not-reached"
    config = load(spare.config)
    assert config.headquarters is not None
    assert config.headquarters.brokers == (account,)
    assert b"cret" not in b"".join(path.read_bytes() for path in dead.stick.rglob("*.mirror"))


def test_a_configuration_that_cannot_be_written(tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]) -> None:
    with mounted(tmp_path / "etc") as etc:
        spare = Spare(tmp_path)
        text = (
            spare.config.read_text()
            + f'[journal]\npath = "{spare.folder}/journal.db"\nkey = "{spare.folder}/journal.key"\n'
        )
        (etc.folder / "terminal.toml").write_text(text)
        etc.make_read_only()
        given = ["adopt", "--stick", str(dead.stick), "--recovery-key", str(spare.recovery_key)]
        assert main([*given, "--config", str(etc.folder / "terminal.toml")]) == 1
        refused(capsys, spare, "adoption-refused", 'set [terminal] id = "till-3" there')


def test_a_stick_that_cannot_be_written_is_taken_all_the_same(
    tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]
) -> None:
    with mounted(tmp_path / "locked") as locked:
        shutil.copytree(dead.stick / FOLDER, locked.folder / FOLDER)
        locked.make_read_only()
        spare = Spare(tmp_path)
        assert spare.adopt(locked.folder) == 0
        assert said(capsys)["marked"] is False


def test_an_adoption_that_was_cut_off_is_finished_and_no_daemon_starts_meanwhile(
    tmp_path: Path, dead: Dead, capsys: pytest.CaptureFixture[str]
) -> None:
    spare = Spare(tmp_path)
    asyncio.run(sell_one(spare, acknowledged=True))
    begin_note(spare.journal, Note(terminal="till-3", epoch="f" * 32))
    assert main(["run", "--config", str(spare.config)]) == 2
    assert "adoption-unfinished" in capsys.readouterr().err
    assert spare.adopt(dead.stick) == 0
    epoch = said(capsys)["epoch"]
    assert spare.verified() == len(dead.records) - dead.acknowledged + 1
    # Cut off after the journal was put in place: the next run finishes the rest, and opens no other epoch.
    begin_note(spare.journal, Note(terminal="till-3", epoch=str(epoch)))
    spare.config.write_text(spare.config.read_text().replace('"till-3"', '"spare"'))
    (spare.folder / "signing.key").unlink()
    assert spare.adopt(dead.stick) == 0
    assert said(capsys)["epoch"] == epoch
    assert 'id = "till-3"' in spare.config.read_text()
    assert spare.verified() == len(dead.records) - dead.acknowledged + 1
