"""`terminald enrol` against a real service: what people and the daemon get to hear, and what it leaves behind."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store.keys import KeyFile
from terminald.cli import main
from terminald.config import ConfigError, load
from terminald.retirement import retire
from tests.fleet.doors import KEY, Door, door_of
from tests.secured import now_ms

SHOP = """\
[terminal]
id = "{name}"
[shop]
name = "Corner Shop"
[[shop.tax]]
code = "A"
rate = "19.00"
[headquarters]
broker = "mqtts://mqtt.example.com"
ack_key = "{ack_key}"
{more}
"""
FILES = 'ca = "identity/ca.pem"\ncertificate = "identity/terminal.pem"\n'


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with door_of(tmp_path) as made:
        yield made


def configuration(folder: Path, port: int, name: str = "till-1", *, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "terminal.toml"
    more = f'enrol = "https://127.0.0.1:{port}"\n{FILES}{more}'
    path.write_text(SHOP.format(name=name, ack_key=KEY.public_key.hex(), more=more))
    return path


async def enrol(path: Path, *flags: str) -> int:
    return await asyncio.to_thread(main, ["enrol", "--config", str(path), *flags])


async def test_by_words_and_by_json(door: Door, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = configuration(tmp_path / "shop", door.port)
    assert await enrol(path, "--code") == 0
    code = capsys.readouterr().out.strip()
    assert door.desk.listed()[0] == []
    assert await enrol(path, "--once") == 1
    assert code in capsys.readouterr().out
    assert await enrol(path, "--once", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["state"], answer["code"], answer["terminal"]) == ("waiting", code, "till-1")
    waits = asyncio.create_task(enrol(path))  # without --once it stays until somebody has decided
    await asyncio.to_thread(door.desk.approve, code, now_ms(), who="sam", workstation="North")
    assert await waits == 0
    said = capsys.readouterr().out
    assert "till-1" in said
    assert "until " in said
    assert await enrol(path, "--once", "--json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "good"
    assert await enrol(path, "--once", "--renew") == 0
    assert "new certificate" in capsys.readouterr().out
    assert (tmp_path / "shop/identity").stat().st_mode & 0o077 == 0


async def test_the_journal_that_is_pinned_is_the_one_that_the_daemon_will_sign(door: Door, tmp_path: Path) -> None:
    """Enrolled before its first start: the key is made then, and stays."""
    path = configuration(tmp_path / "shop", door.port)
    assert await enrol(path, "--once") == 1
    (waiting,) = door.desk.listed()[0]
    await door.approve(waiting.code)
    config = load(path)
    assert config.journal_key.exists()
    assert not config.journal.exists()
    from terminald.paths import load_keys, open_signer

    KeyFile(config.journal_key).load()
    signer = await asyncio.to_thread(lambda: open_signer(config, load_keys(config)))
    with door.store.transaction() as statements:
        row = statements.execute("SELECT signing_key FROM terminal WHERE id = 'till-1'").fetchone()
    assert bytes(row[0]) == signer.public_key


async def test_a_terminal_without_a_journal_takes_the_name_that_headquarters_gives(door: Door, tmp_path: Path) -> None:
    path = configuration(tmp_path / "shop", door.port, "new")
    assert await enrol(path, "--once") == 1
    (waiting,) = door.desk.listed()[0]
    await door.approve(waiting.code, terminal="till-7")
    assert await enrol(path, "--once") == 0
    assert load(path).terminal == "till-7"
    assert await enrol(path, "--once") == 0


async def test_a_terminal_with_a_journal_keeps_its_name(
    door: Door, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configuration(tmp_path / "shop", door.port, "till-1")
    assert await enrol(path, "--once") == 1
    (waiting,) = door.desk.listed()[0]
    await door.approve(waiting.code, terminal="till-7")
    load(path).journal.touch()
    assert await enrol(path, "--once", "--json") == 2
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["fault"] == "enrol-renamed"
    assert load(path).terminal == "till-1"
    assert not (tmp_path / "shop/identity/terminal.pem").exists()


async def test_a_retired_terminal_has_no_key_to_the_broker(door: Door, tmp_path: Path) -> None:
    path = configuration(tmp_path / "shop", door.port)
    await enrol(path, "--once")
    (waiting,) = door.desk.listed()[0]
    await door.approve(waiting.code)
    assert await enrol(path, "--once") == 0
    place = tmp_path / "shop/identity"
    (place / "terminal.pem.asked").write_text("the next one's")
    await asyncio.to_thread(retire, load(path))
    assert sorted(each.name for each in place.iterdir()) == ["ca.pem", "terminal.pem.lock"]


async def test_nobody_at_home_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = configuration(tmp_path / "shop", 1)
    assert await enrol(path, "--once", "--json") == 2
    assert json.loads(capsys.readouterr().out)["fault"] == "enrol-unreachable"
    assert await enrol(path, "--once") == 2
    assert "[headquarters] enrol" in capsys.readouterr().err


async def test_a_terminal_that_is_not_to_enrol_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "terminal.toml"
    path.write_text(SHOP.format(name="till-1", ack_key=KEY.public_key.hex(), more=""))
    assert await enrol(path) == 2
    assert "[headquarters] enrol" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ('enrol = "https://hq.example.com"\n', "enrol needs ca and certificate"),
        (f'enrol = "https://hq.example.com"\n{FILES}key = "key.pem"\n', "and no key"),
        (f'enrol = "http://hq.example.com"\n{FILES}', "https://host:port"),
        (f'enrol = "https://hq.example.com/more"\n{FILES}', "https://host:port"),
    ],
)
def test_a_configuration_that_cannot_be_enrolled_by(tmp_path: Path, more: str, fault: str) -> None:
    path = tmp_path / "terminal.toml"
    path.write_text(SHOP.format(name="till-1", ack_key=KEY.public_key.hex(), more=more))
    with pytest.raises(ConfigError, match=fault):
        load(path)
