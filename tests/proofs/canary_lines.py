"""What the canary's doors are reached by: the control socket, the broker, and a payment device that tells too much."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from drivers.simulated.cable import Receive, TcpCable
from tests.proofs.card_canary import Card

Look = Callable[[str, bytes], None]
"""Is given a place and what was seen there."""

CONNECT_S = 20.0
ANSWER_S = 5.0
PAUSE_S = 0.01


class Blabbing(TcpCable):
    """A payment device's cable, on which its answers are given a card's data in one field after the other."""

    def __init__(self, receive: Receive, cards: list[Card]) -> None:
        super().__init__(receive)
        self._of = cards
        self._said = 0

    def send(self, data: bytes) -> None:
        envelope = json.loads(data[4:])
        card = self._of[self._said % len(self._of)]
        self._blab(envelope["SaleToPOIResponse"], card)
        self._said += 1
        payload = json.dumps(envelope).encode()
        super().send(len(payload).to_bytes(4, "big") + payload)

    def _blab(self, message: dict[str, Any], card: Card) -> None:
        everything = {
            "PAN": card.pan, "CardSeqNumb": "01", "ExpiryDate": card.expiry, "CVV2": card.cvv, "PINBlock": card.pin_block,
            "TrackData": [{"TrackNumb": 1, "TrackValue": card.track_1}, {"TrackNumb": 2, "TrackValue": card.track_2}],
        }  # fmt: skip
        message["SensitiveCardData"] = everything
        if login := message.get("LoginResponse"):
            login["POISystemData"]["POITerminalData"]["POISerialNumber"] = card.pan
            login["POISystemData"]["POISoftware"]["ApplicationName"] = card.track_2
        repeated = message.get("TransactionStatusResponse", {}).get("RepeatedMessageResponse", {})
        body = repeated.get("RepeatedResponseMessageBody", message)
        payment = body.get("PaymentResponse") or {}
        result = payment.get("PaymentResult")
        if not result:
            for response in message.values():
                if isinstance(response, dict) and "Response" in response:
                    response["Response"]["AdditionalResponse"] = f"{card.pan} {card.track_1}"
            return
        instrument = result["PaymentInstrumentData"]
        instrument.setdefault("CardData", {})["SensitiveCardData"] = everything
        instrument["StoredValueAccountID"] = {"StoredValueID": card.gift, "OwnerName": card.name}
        payment["PaymentReceipt"] = [{"OutputContent": {"OutputText": [{"Text": f"{card.pan} CVV2: {card.cvv}"}]}}]
        match self._said % 5:
            case 0:
                result["PaymentInstrumentData"]["CardData"]["MaskedPAN"] = card.pan
            case 1:
                result["PaymentInstrumentData"]["CardData"]["MaskedPAN"] = card.track_2
                result["PaymentInstrumentData"]["CardData"]["PaymentBrand"] = card.track_1
            case 2:
                result["PaymentAcquirerData"]["ApprovalCode"] = card.pan
                result["PaymentInstrumentData"]["CardData"]["PaymentBrand"] = card.pan
            case 3:
                payment["POIData"]["POITransactionID"]["TransactionID"] = card.pan
            case _:
                payment["Response"] = {
                    "Result": "Failure",
                    "ErrorCondition": card.pan,
                    "AdditionalResponse": card.track_1,
                }


class Line:
    """A connection to the control socket that says what it is given, and looks at every byte of the answers."""

    def __init__(self, path: Path, look: Look) -> None:
        self._path = path
        self._look = look
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, **params: object) -> Any:
        """The result; None for a refusal, and where the daemon died meanwhile."""
        line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        answer = await self.say(line)
        return json.loads(answer).get("result") if answer else None

    async def say(self, line: bytes) -> bytes:
        """The answer to a line; nothing where the daemon died before it."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await self._open()
                writer.write(line + b"\n")
                await writer.drain()
                if answer := await reader.readline():
                    self._look("an answer of the control socket", answer)
                    return answer
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
        return b""

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._streams is None:
            try:
                self._streams = await asyncio.open_unix_connection(self._path, limit=1 << 20)
            except OSError:
                await asyncio.sleep(PAUSE_S)
        return self._streams


async def views(path: Path) -> AsyncIterator[bytes]:
    reader, writer = await asyncio.open_unix_connection(path, limit=1 << 20)
    try:
        writer.write(b'{"jsonrpc":"2.0","id":1,"method":"view.subscribe"}\n')
        while line := await reader.readline():
            yield line
    finally:
        writer.close()


class Subscriber:
    """Hears all that is published but what it says itself."""

    def __init__(self, port: int) -> None:
        self._own: set[tuple[str, bytes]] = set()
        self._heard: list[tuple[str, bytes]] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="canary")
        self._client.on_connect = lambda client, *_: client.subscribe("#")
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._subscribed.wait(CONNECT_S)

    def publish(self, topic: str, payload: bytes) -> None:
        """To whoever has subscribed."""
        self._own.add((topic, payload))
        self._client.publish(topic, payload, qos=1)

    def heard(self) -> list[tuple[str, bytes]]:
        """What was heard since the last time."""
        heard, self._heard = self._heard, []
        return heard

    def close(self) -> None:
        """Ends its thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _: object, __: object, message: paho.MQTTMessage) -> None:
        if (said := (message.topic, bytes(message.payload))) not in self._own:
            self._heard.append(said)
