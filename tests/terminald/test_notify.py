"""Words to the service manager: ready when the till sells, and a watchdog that only a living loop feeds."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminald.clock import SystemClock
from terminald.notify import feed_watchdog, notify
from tests.countertop import Countertop, countertop, until

WATCHDOG_S = 0.4


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind(str(tmp_path / "notify"))
        yield sock


def _said(manager: socket.socket) -> list[str]:
    words = []
    while True:
        try:
            words.append(manager.recv(256).decode())
        except BlockingIOError:
            return words


async def test_a_daemons_words(tmp_path: Path, manager: socket.socket) -> None:
    """READY once it sells; WATCHDOG while its loop runs, and not while it is stopped; STOPPING at the end."""
    async with countertop(tmp_path / "shop", ("scanner",), start=False) as counter:
        counter.environment = {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1_000_000)),
        }
        await counter.start()
        words: list[str] = []
        while words.count("WATCHDOG=1") < 3:
            await asyncio.sleep(0.05)
            words += _said(manager)
        assert words.count("READY=1") == 1
        await _stopped_loop_is_not_fed(counter, manager)
        assert await counter.daemon.stop() == 0
        assert "STOPPING=1" in _said(manager)


async def _stopped_loop_is_not_fed(counter: Countertop, manager: socket.socket) -> None:
    pid = counter.daemon.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(0.05)
        _said(manager)
        await asyncio.sleep(2 * WATCHDOG_S)
        assert _said(manager) == []
    finally:
        os.kill(pid, signal.SIGCONT)
    await until(lambda: "WATCHDOG=1" in _said(manager), "the feed")


async def test_a_blocked_loop_does_not_feed(
    tmp_path: Path, manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the loop that feeds, no thread beside it: a loop that hangs is a daemon that hangs."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    feeding = asyncio.create_task(feed_watchdog(SystemClock()), name="watchdog")
    await asyncio.sleep(0.12)
    assert "WATCHDOG=1" in _said(manager)
    time.sleep(0.3)  # noqa: ASYNC251  # this is the fault
    assert _said(manager) == []
    feeding.cancel()
    await asyncio.wait([feeding])


async def test_without_a_watchdog_nothing_is_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    await asyncio.wait_for(feed_watchdog(SystemClock()), 1.0)
    monkeypatch.setenv("WATCHDOG_USEC", "1000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    await asyncio.wait_for(feed_watchdog(SystemClock()), 1.0)


def test_abstract_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"terminald-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        manager.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        notify("READY=1")
        assert _said(manager) == ["READY=1"]


def test_a_manager_that_does_not_listen_stops_no_sale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")
    assert "takes no READY=1" in caplog.text
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")
