"""The MQTT connection against real brokers, and against servers that are none."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest

from core.lanes import Lane
from terminald.broker import (
    Broker,
    BrokerRefused,
    BrokerUnfit,
    BrokerUnreachable,
    Congested,
    ConnectionLost,
    Message,
    PublishRefused,
    SubscriptionRefused,
    Will,
    dial,
    parse_url,
)
from terminald.clock import SystemClock
from terminald.mqtt import SUBSCRIBE_TIMEOUT_S, Connection, connect
from terminald.outbound import OUTSTANDING_MAX
from terminald.uplink import Uplink
from tests.brokers import Mosquitto, amqtt, free_port, mosquitto_in
from tests.hostile import narrow
from tests.tills import eventually

CONNACK_5 = bytes.fromhex("2003000000")


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto_in(tmp_path) as broker:
        yield broker


@contextlib.asynccontextmanager
async def server(*answers: bytes, hang_up: bool = False) -> AsyncIterator[Broker]:
    """Answers the nth thing that it hears on each connection with the nth answer."""

    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        try:
            for answer in answers:
                if await reader.read(4096):
                    writer.write(answer)
            while not hang_up and await reader.read(4096):
                pass
        except OSError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with listening:
        yield parse_url(f"mqtt://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
        await asyncio.wait_for(asyncio.gather(*handlers), 5)


async def echo(broker: Broker, count: int = 20) -> tuple[str, float]:
    """Sends and receives one message after the other; the protocol's version and seconds a message."""
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    async with connect(broker, "a") as sender, connect(broker, "b") as receiver:
        await receiver.subscribe("x/+", inbox.put_nowait)
        began_s = time.perf_counter()
        for number in range(count):
            assert await sender.publish("x/1", b"%d" % number) == 0
            message = await asyncio.wait_for(inbox.get(), 5)
            assert (message.topic, message.payload) == ("x/1", b"%d" % number)
            receiver.acknowledge(message)
        return sender.version, (time.perf_counter() - began_s) / count


async def test_mosquitto_speaks_5(mosquitto: Mosquitto) -> None:
    version, _ = await echo(parse_url(mosquitto.url))
    assert version == "5"


async def test_a_stock_broker_does_not_stall_one_message_after_the_other(mosquitto: Mosquitto) -> None:
    """Nagle's algorithm at the broker against delayed acknowledgements at ours would cost 40 ms a message."""
    _, message_s = await echo(parse_url(mosquitto.url), 50)
    assert message_s < 0.02


async def test_a_broker_of_3_1_1_alone_is_spoken_to_in_that() -> None:
    async with amqtt() as url:
        version, _ = await echo(parse_url(url), 3)
        assert version == "3.1.1"


async def test_a_publish_that_nobody_hears_says_so(mosquitto: Mosquitto) -> None:
    async with connect(parse_url(mosquitto.url), "a") as connection:
        assert await connection.publish("x", b"") == 16


async def test_nobody_listens_at_the_address() -> None:
    with pytest.raises(BrokerUnreachable, match="Connect"):
        async with connect(parse_url(f"mqtt://127.0.0.1:{free_port()}"), "a"):
            pass


async def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(BrokerUnreachable):
        async with connect(parse_url("mqtt://no-such-host.invalid"), "a"):
            pass


async def test_a_server_that_says_nothing_is_left() -> None:
    async with server(b"", b"") as broker:
        with pytest.raises(BrokerUnreachable, match="said nothing"):
            async with connect(broker, "a"):
                pass


async def test_a_server_that_hangs_up_is_left() -> None:
    async with server(b"", hang_up=True) as broker:
        with pytest.raises(BrokerUnreachable, match="hung up"):
            async with connect(broker, "a"):
                pass


@pytest.mark.parametrize(
    "noise", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x01\x00", b"\x20\xff\xff\xff\xff\xff", b"\x30\x02\x00\x09"]
)
async def test_a_server_that_speaks_something_else_is_left(noise: bytes) -> None:
    async with server(noise, hang_up=True) as broker:
        with pytest.raises((BrokerUnreachable, ConnectionLost)):
            async with connect(broker, "a"):
                pass


async def test_an_answer_that_comes_while_we_give_up_is_no_fault_of_the_broker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(CONNACK_5)
        loop.call_soon(connecting.cancel)  # runs before the answer is read, in the same turn of the loop
        await reader.read()
        writer.close()

    async def give_up() -> None:
        async with connect(broker, "a"):
            raise AssertionError("it was cancelled before")

    loop = asyncio.get_running_loop()
    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with listening:
        broker = parse_url(f"mqtt://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
        connecting = asyncio.create_task(give_up())
        with pytest.raises(asyncio.CancelledError):
            await connecting
    assert not caplog.records


async def test_a_broker_that_begins_to_talk_nonsense_is_left() -> None:
    async with server(CONNACK_5, b"\x90\x01\x00\xf0") as broker, connect(broker, "a") as connection:
        with pytest.raises(ConnectionLost):
            await connection.subscribe("x", lambda message: None)


async def test_wrong_credentials_are_refused(tmp_path: Path) -> None:
    with mosquitto_in(tmp_path, "allow_anonymous false") as mosquitto:
        with pytest.raises(BrokerRefused, match="Not authorized"):
            async with connect(parse_url(mosquitto.url), "a"):
                pass


@pytest.mark.parametrize(
    ("option", "words"), [("retain_available false", "to be retained"), ("max_qos 0", "messages of QoS 1")]
)
async def test_a_broker_that_does_not_do_what_is_needed_is_named(tmp_path: Path, option: str, words: str) -> None:
    with mosquitto_in(tmp_path, f"allow_anonymous true\n{option}") as mosquitto:
        with pytest.raises(BrokerUnfit, match=words):
            async with connect(parse_url(mosquitto.url), "a"):
                pass


async def test_a_publish_that_the_access_rules_forbid_is_refused(tmp_path: Path) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite mine/#\n")
    with mosquitto_in(tmp_path, f"allow_anonymous true\nacl_file {rules}") as mosquitto:
        async with connect(parse_url(mosquitto.url), "a") as connection:
            with pytest.raises(PublishRefused, match="Not authorized"):
                await connection.publish("yours/x", b"")
            assert await connection.publish("mine/x", b"") == 16


async def test_a_subscription_that_is_refused_is_named() -> None:
    async with server(CONNACK_5, bytes.fromhex("900400010087")) as broker, connect(broker, "a") as connection:
        with pytest.raises(SubscriptionRefused, match="let us read x"):
            await connection.subscribe("x", lambda message: None)


async def test_a_subscription_is_answered_after_all_that_the_broker_retains(mosquitto: Mosquitto) -> None:
    """Reading it takes us longer than a broker may think about a subscription."""
    slow_s = 0.02
    count = round(1.2 * SUBSCRIBE_TIMEOUT_S / slow_s)
    async with connect(parse_url(mosquitto.url), "many") as many:
        await asyncio.gather(*(many.publish(f"kept/{number}", b"x" * 2000, retain=True) for number in range(count)))
    heard: list[str] = []

    def read(message: Message) -> None:
        time.sleep(slow_s)
        heard.append(message.topic)

    began_s = time.monotonic()
    async with connect(parse_url(mosquitto.url), "reader") as reader:
        await reader.subscribe("kept/#", read, qos=0)
        await reader.subscribe("other", read)
        assert time.monotonic() - began_s > SUBSCRIBE_TIMEOUT_S
        assert len(set(heard)) == count


async def test_a_message_that_was_not_acknowledged_comes_again(mosquitto: Mosquitto) -> None:
    broker = parse_url(mosquitto.url)
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    async with connect(broker, "sender") as sender:
        async with connect(broker, "r", session_expiry_s=60) as receiver:
            await receiver.subscribe("x", inbox.put_nowait)
            await sender.publish("x", b"1")
            await asyncio.wait_for(inbox.get(), 5)
        async with connect(broker, "r", session_expiry_s=60) as receiver:
            await receiver.subscribe("x", inbox.put_nowait)
            message = await asyncio.wait_for(inbox.get(), 5)
            assert message.payload == b"1"
            receiver.acknowledge(message)
            await receiver.publish("y", b"")  # the acknowledgement has been read before this is answered
        async with connect(broker, "r", session_expiry_s=60) as receiver:
            await receiver.subscribe("x", inbox.put_nowait)
            await receiver.publish("y", b"")
            assert inbox.empty()


async def test_more_publishes_than_the_broker_takes_at_once_wait(tmp_path: Path) -> None:
    with mosquitto_in(tmp_path, "allow_anonymous true\nmax_inflight_messages 2") as mosquitto:
        async with connect(parse_url(mosquitto.url), "a") as connection:
            answers = await asyncio.gather(*(connection.publish("x", b"%d" % number) for number in range(100)))
            assert answers == [16] * 100


async def test_who_gives_up_waiting_holds_up_nobody(tmp_path: Path) -> None:
    with mosquitto_in(tmp_path, "allow_anonymous true\nmax_inflight_messages 1") as mosquitto:
        async with connect(parse_url(mosquitto.url), "a") as connection:
            answers = [connection.publish("x", b"%d" % number) for number in range(10)]
            for answer in answers[:9:2]:
                answer.cancel()
            assert await asyncio.wait_for(asyncio.gather(*answers[1::2]), 5) == [16] * 5


async def test_a_sale_and_an_alarm_overtake_what_waits_for_a_slow_line(mosquitto: Mosquitto) -> None:
    heard: list[str] = []
    async with (
        connect(parse_url(mosquitto.url), "headquarters") as headquarters,
        narrow(mosquitto.port, 100_000) as url,
    ):
        await headquarters.subscribe("#", lambda message: heard.append(message.topic), qos=0)
        async with connect(parse_url(url), "till") as till:
            for number in range(40):
                till.publish(f"old/{number}", bytes(10_000), lane=Lane.BACKFILL)
            till.publish("alarm", b"", lane=Lane.ALARMS)
            await till.publish("sale", b"", lane=Lane.MONEY)
            await eventually(lambda: len(heard) == 42)
    assert heard.index("sale") < heard.index("alarm") < 20
    assert [topic for topic in heard if topic.startswith("old/")] == [f"old/{number}" for number in range(40)]


async def test_publishes_that_a_broker_never_answers_are_bounded() -> None:
    async with server(CONNACK_5) as broker, connect(broker, "a") as connection:
        measurements = [connection.publish("x", b"", qos=1) for _ in range(OUTSTANDING_MAX)]
        sales = [connection.publish("x", b"", lane=Lane.MONEY) for _ in range(OUTSTANDING_MAX + 1)]
        with pytest.raises(Congested, match="had to give way"):
            await measurements[-1]
        with pytest.raises(Congested, match="has not answered"):
            await sales[-1]
        assert not sales[0].done()
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 5


async def test_a_lost_connection_fails_what_waits_on_it(mosquitto: Mosquitto) -> None:
    async with connect(parse_url(mosquitto.url), "a") as connection:
        mosquitto.stop(9)
        with pytest.raises(ConnectionLost):
            await connection.lost()
        with pytest.raises(ConnectionLost):
            await connection.publish("x", b"")
        with pytest.raises(ConnectionLost):
            await connection.subscribe("x", lambda message: None)


async def test_a_paused_connection_reads_nothing_until_it_is_resumed(mosquitto: Mosquitto) -> None:
    broker, inbox = parse_url(mosquitto.url), list[Message]()
    async with connect(broker, "a") as sender, connect(broker, "b") as receiver:
        await receiver.subscribe("x", inbox.append, qos=0)
        receiver.pause()
        for number in range(50):
            await sender.publish("x", b"%d" % number)
        await asyncio.sleep(0.1)
        assert inbox == []
        receiver.resume()
        await eventually(lambda: len(inbox) == 50)


async def test_a_mistake_in_a_handler_is_not_taken_for_a_broken_line(mosquitto: Mosquitto) -> None:
    def fail(message: Message) -> None:
        raise ZeroDivisionError

    async with connect(parse_url(mosquitto.url), "a") as connection:
        await connection.subscribe("x", fail)
        connection.publish("x", b"")
        with pytest.raises(ZeroDivisionError):
            await connection.lost()


async def test_a_message_of_an_ended_subscription_does_not_fill_the_brokers_window(tmp_path: Path) -> None:
    with mosquitto_in(tmp_path, "allow_anonymous true\nmax_inflight_messages 1") as mosquitto:
        async with connect(parse_url(mosquitto.url), "a") as connection:
            inbox: asyncio.Queue[Message] = asyncio.Queue()
            await connection.subscribe("old", inbox.put_nowait)
            await connection.subscribe("new", inbox.put_nowait)
            for _ in range(5):
                connection.publish("old", b"")
            connection.unsubscribe("old")
            await connection.publish("new", b"new")
            while True:
                message = await asyncio.wait_for(inbox.get(), 5)
                connection.acknowledge(message)
                if message.payload == b"new":
                    break


async def test_the_will_is_told_of_a_cut_line_and_not_of_a_goodbye(mosquitto: Mosquitto) -> None:
    broker, inbox = parse_url(mosquitto.url), list[bytes]()
    async with connect(broker, "watcher") as watcher:
        await watcher.subscribe("status", lambda message: inbox.append(message.payload))
        async with connect(broker, "till", will=Will(topic="status", payload=b"goodbye")):
            pass
        sockets: list[socket.socket] = []

        async def dial_and_keep(where: Broker) -> socket.socket:
            sockets.append(await dial(where))
            return sockets[-1]

        with contextlib.suppress(ConnectionLost):
            async with connect(broker, "till", will=Will(topic="status", payload=b"cut"), dial=dial_and_keep) as till:
                sockets[0].shutdown(socket.SHUT_RDWR)
                await till.lost()
        await eventually(lambda: inbox == [b"cut"])


async def test_a_will_with_a_delay_is_not_told_of_who_is_soon_back(mosquitto: Mosquitto) -> None:
    broker, inbox = parse_url(mosquitto.url), list[bytes]()

    async def break_off(number: int) -> None:
        sockets: list[socket.socket] = []

        async def dial_and_keep(where: Broker) -> socket.socket:
            sockets.append(await dial(where))
            return sockets[-1]

        will = Will(topic="status", payload=b"gone %d" % number, delay_s=2)
        with contextlib.suppress(ConnectionLost):
            async with connect(broker, "till", will=will, dial=dial_and_keep) as till:
                sockets[0].shutdown(socket.SHUT_RDWR)
                await till.lost()

    async with connect(broker, "watcher") as watcher:
        await watcher.subscribe("status", lambda message: inbox.append(message.payload))
        for number in range(3):
            await break_off(number)
        await eventually(lambda: bool(inbox))
        assert inbox == [b"gone 2"]


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [("mqtt://h", "h", 1883), ("mqtts://h", "h", 8883), ("mqtt://h:99/", "h", 99), ("mqtt://[::1]:7", "::1", 7)],
)
def test_addresses(url: str, host: str, port: int) -> None:
    broker = parse_url(url)
    assert (broker.host, broker.port, broker.tls is not None) == (host, port, url.startswith("mqtts"))


def test_credentials_stay_out_of_what_is_shown() -> None:
    broker = parse_url("mqtt://till:s%40cret@h")
    assert (broker.username, broker.password) == ("till", "s@cret")
    assert "s@cret" not in f"{broker} {broker!r}"


@pytest.mark.parametrize(
    "url", ["", "h:1883", "http://h", "mqtt://", "mqtt://h:x", "mqtt://h:70000", "mqtt://h/path", "mqtt://h?x=1"]
)
def test_what_is_no_brokers_address_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        parse_url(url)


class Talker:
    """A user that says which connection it is on."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    async def serve(self, connection: Connection, number: int) -> None:
        self.numbers.append(number)
        await asyncio.Event().wait()


async def test_a_broker_where_nobody_listens_is_left_for_the_next(tmp_path: Path) -> None:
    class Speaker:
        async def serve(self, connection: Connection, number: int) -> None:
            while True:
                connection.publish("sale", b"")
                await asyncio.sleep(0.05)

    with mosquitto_in(tmp_path) as first, mosquitto_in(tmp_path) as second:
        uplink = Uplink(
            brokers=[parse_url(first.url), parse_url(second.url)], client_id="till", users=[Speaker()],
            clock=SystemClock(), random=Random(1), earlier_after_s=1_000, unheard_after_s=0.3,
        )  # fmt: skip
        running = asyncio.create_task(uplink.run(), name="uplink")
        try:
            for broker in (second, first):
                heard = list[Message]()
                async with connect(parse_url(broker.url), "headquarters") as headquarters:
                    await headquarters.subscribe("sale", heard.append, qos=0)
                    await eventually(lambda heard=heard: len(heard) > 20)  # type: ignore[misc] # mypy cannot see it
        finally:
            running.cancel()
            await asyncio.wait((running,))


async def test_an_uplink_connects_again_for_ever(mosquitto: Mosquitto) -> None:
    talker, states = Talker(), list[tuple[bool, str | None]]()
    uplink = Uplink(
        brokers=[parse_url(mosquitto.url)], client_id="till", users=[talker], clock=SystemClock(), random=Random(1),
        on_change=lambda: states.append((uplink.connected, uplink.fault)),
    )  # fmt: skip
    running = asyncio.create_task(uplink.run(), name="uplink")
    try:
        await eventually(lambda: talker.numbers == [1])
        mosquitto.stop()
        await eventually(lambda: (uplink.fault or "").startswith("broker-unreachable"))
        mosquitto.start()
        await eventually(lambda: uplink.connected)
        assert talker.numbers == [1, max(talker.numbers)]
        assert states[0] == (True, None)
        assert states[-1] == (True, None)
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_users_own_mistake_ends_the_uplink(mosquitto: Mosquitto) -> None:
    class Broken:
        async def serve(self, connection: Connection, number: int) -> None:
            raise ZeroDivisionError

    uplink = Uplink(
        brokers=[parse_url(mosquitto.url)], client_id="till", users=[Broken()], clock=SystemClock(), random=Random(1)
    )
    with pytest.raises(ExceptionGroup) as caught:
        await uplink.run()
    assert caught.group_contains(ZeroDivisionError)


async def test_an_uplink_that_is_cancelled_while_it_loses_its_connection_ends(mosquitto: Mosquitto) -> None:
    class Slow:
        """A user that takes a moment to end, as one does that commits."""

        ending = asyncio.Event()

        async def serve(self, connection: Connection, number: int) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                self.ending.set()
                await asyncio.sleep(0.1)

    user = Slow()
    uplink = Uplink(
        brokers=[parse_url(mosquitto.url)], client_id="till", users=[user], clock=SystemClock(), random=Random(1)
    )
    running = asyncio.create_task(uplink.run(), name="uplink")
    await eventually(lambda: uplink.connected)
    mosquitto.stop()
    await asyncio.wait_for(user.ending.wait(), 5)
    running.cancel()
    done, _ = await asyncio.wait((running,), timeout=5)
    assert done == {running}
    assert running.cancelled()


async def test_brokers_are_tried_in_order_with_a_way_back(tmp_path: Path) -> None:
    class Where:
        """A user that says through which broker it can be heard."""

        connection: Connection | None = None

        async def serve(self, connection: Connection, number: int) -> None:
            self.connection = connection
            await asyncio.Event().wait()

    with mosquitto_in(tmp_path) as first, mosquitto_in(tmp_path) as second:
        first.stop()
        user = Where()
        uplink = Uplink(
            brokers=[parse_url(first.url), parse_url(second.url)], client_id="till", users=[user],
            clock=SystemClock(), random=Random(1), earlier_after_s=0.2,
        )  # fmt: skip

        async def heard_at(url: str) -> None:
            """Until what the user sends comes out at this broker."""
            inbox = list[Message]()
            async with connect(parse_url(url), "ear") as ear:
                await ear.subscribe("x", inbox.append, qos=0)

                def speak() -> bool:
                    if user.connection is not None:
                        user.connection.publish("x", b"", qos=0)
                    return bool(inbox)

                await eventually(speak)

        running = asyncio.create_task(uplink.run(), name="uplink")
        try:
            await heard_at(second.url)
            first.start()
            await heard_at(first.url)
            first.stop()
            await heard_at(second.url)
        finally:
            running.cancel()
            await asyncio.wait((running,))
