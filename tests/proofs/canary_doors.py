"""The doors of a terminal and of its headquarters, and what a card looks like when it comes through one of them.

Scanners, keys, the control socket, tags, the payment device, configurations, lists of goods, and the broker. What is said
in answer is looked at at once; what is kept, later (`tests.proofs.canary_places`).
"""

import asyncio
import contextlib
import html
import io
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textual import events

from core import topics
from demo.bench import Bench
from demo.layout import TERMINAL, Layout
from drivers.codecs import ndef
from drivers.simulated.scanner import SimulatedScanner
from terminald.cli import main
from tests.proofs.canary_lines import Line, Look, Subscriber, views
from tests.proofs.card_canary import Card
from ui.merchant.app import CounterApp

PATIENCE_S = 20.0
READ_S = 5.0
PAUSE_S = 0.01
RESERVED_LOOKS = 200
"""So often it is looked whether the payment device holds a gift card."""
SALE_CARDS = 4
"""A sale for so many cards."""
STRIPE = "stripe"
"""A reader of magnetic stripes on a serial port."""
TAG_CARDS = 10
TORN_CARDS = 10
TORN_S = 0.15
"""A pause that ends a code without a terminator (`drivers.codecs.scan`)."""
CONFIG_CARDS = 10
SCREEN_CARDS = 30
CSV_CARDS = 50
SCREEN_SIZE = (110, 36)
NUTELLA = "03017620422003"
"""It is in the catalogue."""
_FNC1 = "\x1d"
_TAG = re.compile(r"<[^>]*>")


class Doors:
    """Pushes one card after the other. `pushed` counts by door."""

    def __init__(self, layout: Layout, bench: Bench, broker_port: int, given: Path, look: Look) -> None:
        self.pushed: Counter[str] = Counter()
        self._layout = layout
        self._bench = bench
        self._given = given
        self._stripe = SimulatedScanner(layout.bench / STRIPE)
        self._look = look
        self._cards: list[Card] = []
        self._line = Line(layout.control_socket, look)
        self._missed = 0
        self._methods: dict[str, dict[str, dict[str, Any]]] = {}
        self._broker = Subscriber(broker_port)

    async def ready(self) -> None:
        """Waits until every device is."""
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            devices = await self._line.call("device.list")
            if isinstance(devices, list) and all(device["phase"] == "ready" for device in devices):
                methods = await self._line.call("rpc.discover") or []
                self._methods = {method["name"]: method["params"] for method in methods}
                return
            await asyncio.sleep(5 * PAUSE_S)
        raise TimeoutError(f"the devices are not ready within {PATIENCE_S} s")

    async def push(self, card: Card, *, falling: bool) -> None:
        """One card, through every door that opens this time; the daemon is killed meanwhile where it is `falling`."""
        self._cards.append(card)
        count = len(self._cards)
        await self._scan(card, falling=falling)
        await self._type(card)
        await self._talk(card)
        self._swipe(card)
        self._publish(card)
        if count % SALE_CARDS == 0:
            await self._pay(card, by_card=count % (2 * SALE_CARDS) == 0 or count <= 2 * SALE_CARDS)
        if count % SALE_CARDS == 1:
            await self._give(card)
        if count % TAG_CARDS == 1:
            await self._present(card)
        if count % CONFIG_CARDS == 1:
            self._configure(card)
            await asyncio.to_thread(self._command_all, card)
        if count % SCREEN_CARDS == 1:
            await self._screen(card)
        if count % CSV_CARDS == 0:
            self._import(self._cards[-CSV_CARDS:])
        self._hear()

    async def finish(self, *, ask: bool) -> None:
        """The last list, the last sale, a backup, and whatever the commands tell where they are asked."""
        if rest := len(self._cards) % CSV_CARDS:
            self._import(self._cards[-rest:])
        await self._pay(self._cards[-1], by_card=True)
        await self._delivered()
        if ask:
            await asyncio.gather(*(self._command(*words) for words in self._commands()))
        self._hear()
        self._broker.close()
        self._stripe.close()

    def _commands(self) -> tuple[tuple[str, ...], ...]:
        card = self._cards[0]
        return (
            ("backup", "now"), ("journal", "show"), ("journal", "export"), ("journal", "find", "--json"),
            ("device", "list", "--json"), ("call", card.pan), ("call", "device.test", card.track_2),
        )  # fmt: skip

    async def _command(self, *words: str) -> None:
        """What it says is kept with the logs."""
        where = ["--socket", self._layout.control_socket] if words[0] == "call" else ["--config", self._layout.config]
        with (self._layout.logs / f"command-{words[0]}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "terminald", *words, *map(str, where)), stdout=log, stderr=log
            )
            await process.wait()

    def missed(self) -> int:
        """How many codes the scanner's driver was not seen to read, but for those that a kill came into."""
        return self._missed

    # --- what is scanned and typed ---

    async def _scan(self, card: Card, *, falling: bool) -> None:
        """At times half of a track too, without what ends it."""
        before = await self._reads()
        codes = list(_codes(card))
        for code in codes:
            self._bench.scanner.scan(code.encode("latin-1"))
        self.pushed["scanned"] += len(codes)
        if falling:
            return  # it counts anew
        end_s = time.monotonic() + READ_S
        read = 0
        while time.monotonic() < end_s and (read := await self._reads() - before) < len(codes):
            await asyncio.sleep(PAUSE_S)
        self._missed += len(codes) - min(read, len(codes))
        if len(self._cards) % TORN_CARDS == 0:
            self._bench.scanner.send(card.track_2[:24].encode())
            await asyncio.sleep(TORN_S)

    def _swipe(self, card: Card) -> None:
        """Through a reader of magnetic stripes, as most of them come; one in three has a wrong end."""
        tracks = f"{card.track_1}{card.track_2}"
        self._stripe.scan((tracks, tracks[:-1], card.track_2)[len(self._cards) % 3].encode())
        self.pushed["swiped"] += 1

    async def _reads(self) -> int:
        devices = await self._line.call("device.list")
        found = [device["detail"].get("reads", 0) for device in devices or [] if device["name"] == "scanner"]
        return int(found[0]) if found else 0

    async def _type(self, card: Card) -> None:
        for code in _codes(card):
            await self._line.call("sale.scan", data=code)
            self.pushed["typed"] += 1
        await self._line.call("sale.scan", data=f"(01){NUTELLA}(10){card.pan}")

    async def _talk(self, card: Card) -> None:
        """Cards where something else belongs: in names, in numbers, in keys, in what is no JSON."""
        pan, number = card.pan, int(card.pan)
        calls: tuple[tuple[str, dict[str, Any]], ...] = (
            (pan, {}),
            (card.track_1, {"cvv": card.cvv}),
            ("sale.scan", {"data": "1", "key": pan}),
            ("sale.scan", {"data": "1", "key": card.track_2}),
            ("sale.scan", {"data": "1", pan: card.track_1}),
            ("sale.scan", {"data": number}),
            (
                "sale.card",
                {"amount_minor": card.track_2, "cvv": card.cvv, "pin": card.pin, "pin_block": card.pin_block},
            ),
            ("device.test", {"name": f"x {card.track_1} {card.pin_block}"}),
            *self._one_each(card),
        )
        for method, params in calls:
            await self._line.call(method, **params)
        await self._line.say(f'{{"jsonrpc":"{pan}","id":1,"method":"view.get"}}'.encode())
        await self._line.say(f'{{"jsonrpc":"2.0","id":1,"method":{card.track_2}}}'.encode())
        await self._line.say(f'{{"jsonrpc":"2.0","id":1,"method":"view.get","params":[{pan}]}}'.encode())
        self.pushed["called"] += len(calls) + 3

    def _one_each(self, card: Card) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every method that there is, with the card in one of its parameters, and something usual in the others."""
        count = len(self._cards)
        texts = (card.pan, card.track_2, f"from {card.track_1}", " ".join(card.pan))
        for method, schemas in self._methods.items():
            if not schemas or method == "view.subscribe":
                continue
            usual: dict[str, Any] = {name: "1" if _takes(schema, "string") else 1 for name, schema in schemas.items()}
            usual.pop("key", None)
            place = list(schemas)[count % len(schemas)]
            is_text = _takes(schemas[place], "string")
            yield method, {**usual, place: texts[count // len(schemas) % len(texts)] if is_text else int(card.pan)}

    async def _pay(self, card: Card, *, by_card: bool) -> None:
        """An open sale with this card in a lot, paid by one that the device tells too much about, else in cash."""
        if await self._settled() == "loading":
            await self._line.call("sale.cancel")
        await self._line.call("sale.scan", data=f"01{NUTELLA}10{card.pan}")
        if by_card:
            await self._line.call("sale.card")
            await self._settled()
            self.pushed["told by the payment device"] += 1
        await self._line.call("sale.cash")
        if await self._settled() != "idle":
            await self._line.call("sale.cancel")
        self.pushed["sold"] += 1

    async def _give(self, card: Card) -> None:
        """A gift card by its number: sold, looked at, swiped, scanned to pay, and taken back by its receipt."""
        self._bench.payment.gift_cards.issue(card.gift)
        await self._free()
        await self._line.call("gift.sell", amount_minor=1_000)
        await self._line.call("sale.scan", data=card.gift)
        for _ in range(RESERVED_LOOKS):
            if await self._settled() != "loading":
                break
            await asyncio.sleep(PAUSE_S)
        await self._line.call("sale.cash")
        await self._free()
        await self._line.call("gift.balance", data=card.gift)
        self._stripe.scan(f";{card.gift}={card.expiry}101?".encode())
        await self._line.call("sale.scan", data=f"01{NUTELLA}")
        self._bench.scanner.scan(card.gift.encode())
        await asyncio.sleep(TORN_S)
        await self._settled()
        await self._free()
        await self._line.call("gift.return")
        await self._line.call("gift.sell", amount_minor=1_000)
        await self._line.call("sale.scan", data=f"{card.gift}0")
        await self._free()
        self.pushed["gift cards"] += 7

    async def _free(self) -> None:
        """No basket is open: what waits for a gift card is left, what is due is paid, else it is given up."""
        for method in ("sale.cancel", "sale.cash", "sale.cancel"):
            if await self._settled() == "idle":
                return
            await self._line.call(method)

    async def _settled(self) -> str:
        """What the till is at, once it waits for no payment."""
        end_s = time.monotonic() + PATIENCE_S
        mode = ""
        while time.monotonic() < end_s:
            view = await self._line.call("view.get")
            mode = view["sale"]["mode"] if view else ""
            if mode and mode not in ("authorizing", "enquiring", "reversing", "unloading"):
                break
            await asyncio.sleep(PAUSE_S)
        return mode

    # --- tags, configurations, goods, the screen ---

    async def _present(self, card: Card) -> None:
        texts = (card.pan, card.track_2, card.track_1)
        uid = bytes.fromhex(card.pan.rjust(14, "0")[:14])
        self._bench.nfc.present(uid, ndef.text_message(texts[len(self._cards) % 3][:120]))
        self.pushed["tags"] += 1
        await asyncio.sleep(0.15)
        self._bench.nfc.remove()

    def _configure(self, card: Card) -> None:
        """Configurations with a card where something else belongs."""
        good = self._layout.config.read_text()
        texts = (
            good.replace(f'id = "{TERMINAL}"', f'id = "{card.pan[:12]} {card.pan[12:]}"'),
            good.replace('currency = "EUR"', f'currency = "{card.track_2}"'),
            good.replace('rate = "19.00"', f'rate = "{card.pan}"'),
            good.replace("broker = ", f'cvv = "{card.cvv}"\n"{card.pan}" = "{card.track_1}"\nbroker = '),
            good.replace("[device.nfc]", f'[device."{card.pan}"]').replace("kick_pin = 17", f"kick_pin = {card.pan}"),
            good + f"\n{card.track_2}\n",
            good.replace('driver = "nfc-pn532"', f'driver = "{card.track_1}"'),
            good.replace('path = "../bench/printer"', f'path = "../bench/{card.pan}"\npin = "{card.pin}"'),
        )
        path = self._given / "terminal.toml"
        for text in texts:
            path.write_text(text)
            self._said("check a configuration", "check", "--config", str(path))
        self.pushed["configurations"] += len(texts)

    def _import(self, cards: list[Card]) -> None:
        """Lists of goods with a card in one column after the other, and one that has nothing else wrong."""
        header = "gtin,name,unit,price,tax"
        path = self._given / "goods.csv"
        for rows in (
            [f"{card.pan},Thing,each,1.00,A" for card in cards],
            [f"{NUTELLA},{card.name} {card.pan},each,1.00,A" for card in cards],
            [f"{NUTELLA},{card.track_1},each,1.00,A" for card in cards],
            [f"{NUTELLA},Thing,{card.track_2},1.00,A" for card in cards],
            [f"{NUTELLA},Thing,each,{card.pan},A" for card in cards],
            [f"{NUTELLA},Thing,each,1.00,{card.pan}" for card in cards],
            [f"{card.track_2}" for card in cards],
        ):
            path.write_text("\n".join([header, *rows]) + "\n")
            self._said("an import", "catalogue", "import", str(path), "--config", str(self._layout.config))
        path.write_text(f"{header},{cards[0].pan}\n{NUTELLA},Thing,each,1.00,A,{cards[0].track_2}\n")
        self._said("an import", "catalogue", "import", str(path), "--config", str(self._layout.config))
        self.pushed["goods"] += 7 * len(cards)

    def _command_all(self, card: Card) -> None:
        """Commands beside the daemon, with a card for a code, a lot, a reason, a name, a day or a PIN."""
        pan, at = card.pan, ("--config", str(self._layout.config))
        lines = "\n".join(_codes(card)) + "\n"
        commands: tuple[tuple[tuple[str, ...], str], ...] = (
            (("recall", "add", NUTELLA, "--lot", pan, "--reason", card.track_2, "--id", f"r-{pan}"), ""),
            (("recall", "add", NUTELLA, "--lot", "L1", "--reason", card.track_1, "--id", f"r{len(self._cards)}"), ""),
            (("recall", "add", pan, "--reason", "glass", "--id", "r1"), ""),
            (("recall", "lift", pan), ""),
            (("recall", "list"), ""),
            (("devices", "test", pan), ""),
            (("journal", "find", "--operator", card.track_2), ""),
            (("journal", "find", "--item", pan), ""),
            (("catalogue", "search", f"{pan} {card.name}"), ""),
            (("catalogue", "show", pan), ""),
            (("classify",), lines),
            (("pin", "set", "--role", "technician"), f"{pan}\n"),
            (("pin", "check", "--role", "technician"), f"{card.track_2}\n"),
        )
        for words, typed in commands:
            self._said(f"{words[0]} {words[1] if len(words) > 1 else ''}".strip(), *words, *at, typed=typed)
        self.pushed["commanded"] += len(commands)

    def _said(self, place: str, *words: str, typed: str = "") -> None:
        """What a command of ours says, in this process."""
        said, before = io.BytesIO(), sys.stdin
        out = io.TextIOWrapper(said, write_through=True)
        sys.stdin = io.TextIOWrapper(io.BytesIO(typed.encode()))
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), contextlib.suppress(SystemExit):
                main(words)
        finally:
            sys.stdin = before
        self._look(f"the words of {place}", said.getvalue())

    async def _screen(self, card: Card) -> None:
        """A merchant's screen, into which a card is typed, and beside which one is scanned."""
        app = CounterApp(self._layout.control_socket)
        async with app.run_test(size=SCREEN_SIZE) as pilot:
            for key in (*card.pan, "enter"):
                app.post_message(events.Key(key, key if len(key) == 1 else None))
            self._bench.scanner.scan(card.pan.encode())
            for _ in range(4):
                await pilot.pause(0.05)
                painted = html.unescape(_TAG.sub("", app.export_screenshot()))
                self._look("a screen", painted.replace("\xa0", " ").encode())
        self.pushed["typed on a screen"] += 1

    # --- the broker ---

    def _publish(self, card: Card) -> None:
        """Cards to the terminal, to headquarters, and under names of terminals."""
        pan = card.pan
        telling = json.dumps(
            {"ts": 1, "clk": "ntp", "seq": 1, "v": {"epoch": pan, "hwm": 1, "generation": 1, "x": pan}}
        )
        status = json.dumps({"state": pan, "boot_id": card.track_2, "connection": 1, "ts": int(pan)})
        for topic, text in (
            (topics.ack(TERMINAL), json.dumps({"epoch": pan, "hwm": int(pan)})),
            (topics.replay(TERMINAL), card.track_1),
            (topics.batch(TERMINAL), card.track_2),
            (topics.recall(TERMINAL), json.dumps({"epoch": pan})),
            (f"{topics.PREFIX}/till-9/tele/till", telling),
            (f"{topics.PREFIX}/till-9/status", status),
            (f"{topics.PREFIX}/till-9/money/batch", json.dumps({"epoch": pan, "terminal": card.track_1})),
            (f"{topics.PREFIX}/{pan}/status", status),
            (f"{topics.PREFIX}/{pan}/tele/till", telling),
            (f"{topics.PREFIX}/{pan}/money/batch", pan),
            (f"{topics.PREFIX}/{pan}", card.track_2),
        ):
            self._broker.publish(topic, text.encode())
            self.pushed["published"] += 1

    def _hear(self) -> None:
        for topic, payload in self._broker.heard():
            self._look(f"the topic {re.sub('[0-9]{9,}', 'N', topic)}", topic.encode() + b" " + payload)

    async def _delivered(self) -> None:
        """Waits until headquarters has all that there is, or a while."""
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            status = await self._line.call("journal.status") or {}
            if status.get("acknowledged_seq", 0) >= status.get("synced_seq", 1):
                return
            await asyncio.sleep(5 * PAUSE_S)

    async def follow(self) -> None:
        """Looks at every view, until cancelled."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                async for line in views(self._layout.control_socket):
                    self._look("a view", line)
            await asyncio.sleep(PAUSE_S)


def _takes(schema: dict[str, Any], kind: str) -> bool:
    """Whether a JSON Schema takes a string, or another kind of value."""
    return any(each.get("type") == kind for each in (schema, *schema.get("anyOf", ())))


def _codes(card: Card) -> Iterator[str]:
    """A card as a scanner sends it, or somebody types it."""
    pan = card.pan
    yield pan
    yield " ".join(pan[start : start + 4] for start in range(0, len(pan), 4))
    yield card.track_1
    yield card.track_2
    yield card.track_1 + card.track_2
    yield card.pin
    yield f"CVV2={card.cvv}"
    yield card.pin_block
    yield f"]C110{pan}"
    yield f"]d201{NUTELLA}10{pan}{_FNC1}21{pan}"
    yield f"]C101{NUTELLA}17{card.expiry}00{_FNC1}21{pan}{_FNC1}10{pan}"
    if len(pan) <= 14:
        yield f"]d201{pan.zfill(14)}21{pan}"
        yield f"01{pan.zfill(14)}"
    yield f"(21){pan}(10){pan}"
    yield pan.zfill(14)
    yield f"https://example.com/01/{NUTELLA}/21/{pan}?10={pan}"
