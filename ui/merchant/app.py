"""The merchant's screen as a program of its own: the counter on a lasting link to the till."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from textual.app import App, ComposeResult

from core.view import View
from terminald.client import Link
from ui.merchant import palette
from ui.merchant.counter import Counter


class CounterApp(App[None]):
    """Full screen. It may start before the daemon, after it, or twice."""

    CSS = f"Screen {{ background: {palette.GROUND}; }}"
    TITLE = "terminald"
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False

    def __init__(self, path: Path, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._link = Link(path, self._on_view, self._on_away)
        self.counter = Counter(self._order, monotonic_s=monotonic_s)

    def compose(self) -> ComposeResult:
        yield self.counter

    def on_mount(self) -> None:
        self.counter.focus()
        self.run_worker(self._link.run(), name="link")

    async def _order(self, method: str, params: Mapping[str, object]) -> object:
        return await self._link.order(method, params)

    @property
    def _shown(self) -> bool:
        """Whether there still is a screen: the link goes on while the widgets are taken down."""
        return self.is_running and self.counter.is_attached

    def _on_view(self, view: View) -> None:
        if self._shown:
            self.counter.update_view(view)

    def _on_away(self, reason: str) -> None:
        if self._shown:
            self.counter.away(reason)
