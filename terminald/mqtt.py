"""MQTT for both ends: paho on asyncio's readers and writers, one client object for each connection.

What paho leaves open is decided here. A refusal's reason code is an error. A message is acknowledged when its reader
says so, not when it came in. Nothing that one connection left unsent can come to life on the next, because each
connection has a client of its own. The socket has TCP_NODELAY, and TCP_QUICKACK armed again after each read: brokers
that leave Nagle's algorithm on would otherwise wait 40 ms for our delayed acknowledgements.

MQTT 5 is spoken first; a broker that refuses it is asked again in MQTT 3.1.1, where a refused publish looks like a
taken one. Nothing rests on that: only headquarters' signed acknowledgement counts as delivery.
"""

import array
import asyncio
import contextlib
import fcntl
import logging
import socket
import ssl
import termios
from collections.abc import AsyncIterator, Callable
from typing import Literal, TypeVar

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from core.lanes import Lane, lane_of
from terminald.broker import (
    Broker,
    BrokerRefused,
    BrokerUnfit,
    BrokerUnreachable,
    ConnectionLost,
    Dial,
    Message,
    MqttError,
    SubscriptionRefused,
    Will,
    dial,
)
from terminald.outbound import OUTSTANDING_MAX, Outbound, Outgoing
from terminald.tls import TlsSocket, fault_of, secure

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 3.0
"""How long a broker that took the connection may think about our first packet."""
SUBSCRIBE_TIMEOUT_S = 10.0
"""How long a broker may think about a subscription, once we have read what it said before."""
BEHIND_S_MAX = 120.0
"""How long an answer may lie behind what we have not read; a broker whose queue for us is full drops answers too."""
KEEPALIVE_S = 15
HOUSEKEEPING_S = 5.0
RECEIVE_MAX = 64
"""Messages of QoS 1 that a broker may send us before we acknowledge one."""
PACKET_BYTES_MAX = 16 << 20
PACKET_HEAD_BYTES_MAX = 256
"""What a publish has besides its payload: our longest topic, a few lengths and numbers."""
PUBLISH_TIMEOUT_S = 30.0
"""A broker that has not answered a publish for so long is left."""
CLOSE_TIMEOUT_S = 1.0

T = TypeVar("T")
_OTHER = {
    MQTTProtocolVersion.MQTTv5: MQTTProtocolVersion.MQTTv311,
    MQTTProtocolVersion.MQTTv311: MQTTProtocolVersion.MQTTv5,
}
_NEEDED = {"MaximumQoS": "messages of QoS 1", "RetainAvailable": "messages to be retained"}
"""What a broker may say in its welcome that it does not do (MQTT 5, 3.2.2.3), and what that is."""
_log = logging.getLogger(__name__)

Handler = Callable[[Message], None]
"""Takes a message on the loop's thread, never blocks; `Connection.acknowledge` is called for it now or later."""


@contextlib.asynccontextmanager
async def connect(
    broker: Broker,
    client_id: str,
    *,
    will: Will | None = None,
    session_expiry_s: int = 0,
    first: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
    dial: Dial = dial,
) -> AsyncIterator["Connection"]:
    """A connection that the broker accepted; says goodbye at the end. Raises MqttError.

    Tries the other version of MQTT where the broker refuses the `first` one, hangs up on it or says nothing: all three
    happen with brokers that know one version alone.
    """
    other = _OTHER[first]
    try:
        connection = await _opened(Connection(broker, client_id, first, will, session_expiry_s), dial)
    except _NotUnderstood as error:
        _log.info("%s does not answer %s: %s", broker, first.name, error)
        connection = await _opened(Connection(broker, client_id, other, will, session_expiry_s), dial)
    try:
        try:
            yield connection
        finally:
            await connection.goodbye()
    finally:
        connection.close()


async def _opened(connection: "Connection", dial: Dial) -> "Connection":
    try:
        await connection.open(dial)
    except BaseException:
        connection.close()
        raise
    return connection


class Connection:
    """One paho client on one socket. Made by `connect`."""

    def __init__(
        self, broker: Broker, client_id: str, protocol: MQTTProtocolVersion, will: Will | None, session_expiry_s: int
    ) -> None:
        self.protocol = protocol
        self._broker = broker
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._lost: asyncio.Future[Exception] = self._loop.create_future()
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._packet_bytes_max = PACKET_BYTES_MAX
        self._outbound = Outbound(str(broker), self._send)
        self._subscribed: dict[int, asyncio.Future[int]] = {}
        self._behind_s = float("-inf")
        """When there last was more to read than we had read: an answer may be in it."""
        self._paused = False
        self._is_reading = False
        self._housekeeping: asyncio.TimerHandle | None = None
        self._lasting = session_expiry_s > 0
        # A will waits no longer than its session lives.
        self._session_expiry_s = max(session_expiry_s, will.delay_s if will is not None else 0)
        self._client = self._build(client_id, will)

    @property
    def unheard_s(self) -> float:
        """For how long the broker has answered that nobody listens to what we send; 0 where somebody does (MQTT 5)."""
        return self._outbound.unheard_s

    @property
    def refusals(self) -> int:
        """Publishes that the broker refused."""
        return self._outbound.refusals

    @property
    def refusal(self) -> str | None:
        """The reason of the last of them, in MQTT's words."""
        return self._outbound.refusal

    @property
    def payload_bytes_max(self) -> int:
        """The largest payload that the broker takes."""
        return self._packet_bytes_max - PACKET_HEAD_BYTES_MAX

    @property
    def version(self) -> str:
        """The protocol's version that is spoken."""
        return "5" if self.protocol == MQTTProtocolVersion.MQTTv5 else "3.1.1"

    @property
    def broker(self) -> str:
        """Where it leads, without credentials."""
        return str(self._broker)

    async def open(self, dial: Dial) -> None:
        """Dials and waits until the broker lets us in. Raises MqttError."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                sock = await dial(self._broker)
                if self._broker.tls is not None:
                    sock = await secure(self._broker, self._broker.tls, sock)
        except TimeoutError as error:
            raise BrokerUnreachable(f"{self._broker} did not answer within {CONNECT_TIMEOUT_S:g} s") from error
        except MqttError:
            raise
        except OSError as error:
            raise BrokerUnreachable(f"{self._broker}: {error.strerror or error}") from error
        self._socket = self._client.given = sock
        self._introduce()
        self._read(True)
        self._housekeeping = self._loop.call_later(HOUSEKEEPING_S, self._housekeep)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._accepted
        except TimeoutError as error:
            raise _NotUnderstood(f"{self._broker} said nothing within {ANSWER_TIMEOUT_S:g} s") from error

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        lane: Lane | None = None,
        expiry_s: int | None = None,
    ) -> asyncio.Future[int]:
        """Sends, when its lane's turn comes (`core.lanes`; the topic's lane unless one is said).

        The future gives the broker's reason code (16: nobody listens; 0 for QoS 0), or raises MqttError: PublishRefused,
        ConnectionLost, or Congested when too much waits, or when this had to give way to what is worth more.
        After `expiry_s` the broker forgets a message that it keeps (MQTT 5; before, it never does by itself).
        """
        future: asyncio.Future[int] = self._loop.create_future()
        if self._lost.done():
            future.set_exception(self._lost.result())
            return _quiet(future)
        outgoing = Outgoing(topic, payload, qos, retain, expiry_s, future)
        self._outbound.put(lane_of(topic) if lane is None else lane, outgoing)
        return _quiet(future)

    async def subscribe(self, topic_filter: str, handler: Handler, *, qos: int = 1) -> None:
        """Hands each message of a topic filter to `handler`. Raises SubscriptionRefused or ConnectionLost.

        ``$share/GROUP/FILTER`` shares the filter's messages with the other members of a group.
        """
        plain = topic_filter.split("/", 2)[2] if topic_filter.startswith("$share/") else topic_filter
        self._client.message_callback_add(plain, lambda _c, _u, message: self._deliver(handler, message))
        future: asyncio.Future[int] = self._loop.create_future()
        _, mid = self._client.subscribe(topic_filter, qos)
        if mid is None:
            raise ConnectionLost(f"the connection to {self._broker} is gone")
        self._subscribed[mid] = _quiet(future)
        began_s = self._loop.time()
        # A broker puts all that it retains before its answer: with a large fleet that takes long to read.
        while not future.done():
            read_s = self._loop.time() if self._paused else self._behind_s
            left_s = min(max(began_s, read_s), began_s + BEHIND_S_MAX) + SUBSCRIBE_TIMEOUT_S - self._loop.time()
            if left_s <= 0:
                raise ConnectionLost(f"{self._broker} did not answer a subscription")
            await asyncio.wait((future,), timeout=left_s)
        try:
            future.result()
        except SubscriptionRefused as error:
            raise SubscriptionRefused(f"{self._broker} refuses to let us read {topic_filter}: {error}") from None

    def unsubscribe(self, topic_filter: str) -> None:
        """Ends a subscription; messages already on their way find nobody."""
        if not self._lost.done():
            self._client.unsubscribe(topic_filter)
            self._client.message_callback_remove(topic_filter)

    def acknowledge(self, message: Message) -> None:
        """Tells the broker that it may forget a message; without effect for QoS 0 and on a lost connection."""
        if not self._lost.done():
            self._client.ack(message.packet, message.qos)

    def pause(self) -> None:
        """Stops reading, so that a flood waits at the broker and not in our memory."""
        self._paused = True
        self._read(False)

    def resume(self) -> None:
        """Reads on."""
        self._paused = False
        self._read(True)

    async def lost(self) -> None:
        """Waits until the connection is gone, and raises why."""
        raise await asyncio.shield(self._lost)

    async def goodbye(self) -> None:
        """Sends what is queued and a DISCONNECT, so that the will stays unpublished; waits a moment at most."""
        if self._lost.done():
            return
        with contextlib.suppress(TimeoutError, MqttError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await asyncio.gather(*self._outbound.futures, return_exceptions=True)
                self._client.disconnect()
                await self.lost()

    def close(self) -> None:
        """Lets go of the socket; whoever waits gets ConnectionLost."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        self._end(ConnectionLost(f"the connection to {self._broker} was closed"))
        if self._socket is not None:
            self._read(False)
            self._loop.remove_writer(self._socket)
            self._socket.close()
            self._socket = None

    # --- paho's side ---

    def _introduce(self) -> None:
        properties = None
        clean: bool | Literal[3] = paho.MQTT_CLEAN_START_FIRST_ONLY
        if self.protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho leaves it untyped
            properties.ReceiveMaximum = RECEIVE_MAX
            properties.MaximumPacketSize = PACKET_BYTES_MAX
            properties.SessionExpiryInterval = self._session_expiry_s
            clean = not self._session_expiry_s
        self._client.connect(
            self._broker.host, self._broker.port, KEEPALIVE_S, clean_start=clean, properties=properties
        )

    def _build(self, client_id: str, will: Will | None) -> "_Client":
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=self.protocol,
            clean_session=None if self.protocol == MQTTProtocolVersion.MQTTv5 else not self._lasting,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        if self._broker.username is not None:
            client.username_pw_set(self._broker.username, self._broker.password)
        if will is not None:
            waits = None
            if self.protocol == MQTTProtocolVersion.MQTTv5 and will.delay_s:
                waits = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call] # as below
                waits.WillDelayInterval = will.delay_s
            client.will_set(will.topic, will.payload, qos=1, retain=True, properties=waits)
        client.max_inflight_messages_set(OUTSTANDING_MAX)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_stray
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = lambda _c, _u, sock: self._loop.add_writer(sock, self._on_writable)
        client.on_socket_unregister_write = self._on_unregister_write
        return client

    def _read(self, wanted: bool) -> None:
        if self._socket is None or wanted == self._is_reading or (wanted and self._paused):
            return
        if wanted:
            self._loop.add_reader(self._socket, self._on_readable)
        else:
            self._loop.remove_reader(self._socket)
        self._is_reading = wanted

    def _on_readable(self) -> None:
        sock = self._socket
        while self._is_reading and sock is not None:
            try:
                self._client.loop_read()
            except Exception as error:  # paho raises whatever its parsing of a malformed packet ran into
                _log.exception("%s sent something that is not MQTT", self._broker)
                self._end(ConnectionLost(f"{self._broker} sent something that is not MQTT: {error}"))
            if not isinstance(sock, ssl.SSLSocket) or self._lost.done() or not sock.pending():
                break
        if sock is not None and not self._lost.done():
            if _unread_bytes(sock):
                self._behind_s = self._loop.time()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _on_unregister_write(self, _client: paho.Client, _userdata: object, sock: "paho.SocketLike") -> None:
        self._loop.remove_writer(sock)

    def _on_writable(self) -> None:
        self._client.loop_write()
        if not self._client.want_write() and not self._lost.done():
            self._outbound.is_empty_again()

    def _housekeep(self) -> None:
        """Sends pings and notices missing answers; not while paused, when answers wait unread."""
        if not self._paused:
            self._client.loop_misc()
            is_behind = self._loop.time() - self._behind_s < PUBLISH_TIMEOUT_S
            if self._outbound.unanswered_s > (BEHIND_S_MAX if is_behind else PUBLISH_TIMEOUT_S):
                self._end(ConnectionLost(f"{self._broker} answers pings and no messages"))
        if not self._lost.done():
            self._housekeeping = self._loop.call_later(HOUSEKEEPING_S, self._housekeep)

    def _on_connect(self, *arguments: object) -> None:
        reason, properties = arguments[3], arguments[4]
        assert isinstance(reason, ReasonCode)
        lacks = [words for name, words in _NEEDED.items() if getattr(properties, name, 1) == 0]
        if not reason.is_failure and lacks:
            self._end(BrokerUnfit(f"{self._broker} does not take {' nor '.join(lacks)}"))
        elif not reason.is_failure:
            self._outbound.receive_max = getattr(properties, "ReceiveMaximum", OUTSTANDING_MAX)
            self._packet_bytes_max = getattr(properties, "MaximumPacketSize", PACKET_BYTES_MAX)
            if not self._accepted.done():  # else whoever waited has just given up
                self._accepted.set_result(None)
        elif reason.getName() == "Unsupported protocol version":
            self._end(_NotUnderstood(f"{self._broker} refuses the connection: {reason}"))
        else:
            self._end(BrokerRefused(f"{self._broker} refuses the connection: {reason}"))

    def _on_disconnect(self, *arguments: object) -> None:
        if (refused := self._refused_by_tls()) is not None:
            self._end(refused)
        elif self._accepted.done():
            self._end(ConnectionLost(f"the connection to {self._broker} ended: {arguments[3]}"))
        else:
            hint = "" if self._broker.tls is not None else "; if it wants TLS, mqtts:// is meant"
            self._end(_NotUnderstood(f"{self._broker} hung up{hint}"))

    def _refused_by_tls(self) -> MqttError | None:
        """Under TLS 1.3 a broker looks at our certificate after the handshake, and refuses it instead of an answer."""
        sock, tls = self._client.given, self._broker.tls
        if tls is None or not isinstance(sock, TlsSocket) or sock.fault is None:
            return None
        return fault_of(self._broker, tls, sock.fault)

    def _deliver(self, handler: Handler, message: paho.MQTTMessage) -> None:
        try:
            handler(_message(message))
        except Exception as error:  # a mistake in our own code: `lost` raises it
            self._end(error)

    def _on_stray(self, client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        """Of a subscription that has ended: unacknowledged it would take up the broker's window."""
        client.ack(message.mid, message.qos)

    def _send(self, outgoing: Outgoing) -> int:
        expiring = self._expiring(outgoing.expiry_s)
        return self._client.publish(outgoing.topic, outgoing.payload, outgoing.qos, outgoing.retain, expiring).mid

    def _expiring(self, expiry_s: int | None) -> Properties | None:
        if expiry_s is None or self.protocol != MQTTProtocolVersion.MQTTv5:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho leaves it untyped
        properties.MessageExpiryInterval = expiry_s
        return properties

    def _on_publish(self, *arguments: object) -> None:
        mid, reason = arguments[2], arguments[3]
        assert isinstance(mid, int)
        assert isinstance(reason, ReasonCode)
        self._outbound.answered(mid, reason.value, str(reason), refused=reason.is_failure)

    def _on_subscribe(self, *arguments: object) -> None:
        mid, reasons = arguments[2], arguments[3]
        assert isinstance(mid, int)
        assert isinstance(reasons, list)
        future = self._subscribed.pop(mid, None)
        if future is None or future.done():
            return
        if any(reason.is_failure for reason in reasons):
            future.set_exception(SubscriptionRefused(str(reasons[0])))
        else:
            future.set_result(reasons[0].value)

    def _on_socket_close(self, *_: object) -> None:
        """Before paho closes it: the loop must not watch a number that another file may get."""
        if self._socket is not None:
            self._read(False)
            self._loop.remove_writer(self._socket)
            self._socket = None

    def _end(self, error: Exception) -> None:
        if self._lost.done():
            return
        self._lost.set_result(error)
        if not self._accepted.done():
            _quiet(self._accepted).set_exception(error)
        self._outbound.fail(error)
        for future in self._subscribed.values():
            if not future.done():
                future.set_exception(error)
        self._subscribed.clear()


class _NotUnderstood(BrokerUnreachable):
    """Somebody is there and does not answer in this version of MQTT."""


class _Client(paho.Client):
    """A paho client on a socket that was connected elsewhere: its own way of connecting would block the loop."""

    given: socket.socket

    def _create_socket(self) -> socket.socket:
        return self.given


def _message(message: paho.MQTTMessage) -> Message:
    return Message(
        topic=message.topic, payload=bytes(message.payload), qos=message.qos, retain=message.retain, packet=message.mid
    )


def _unread_bytes(sock: socket.socket) -> int:
    """What has come and lies in the kernel."""
    found = array.array("i", [0])
    fcntl.ioctl(sock, termios.FIONREAD, found)
    return found[0]


def _quiet(future: asyncio.Future[T]) -> asyncio.Future[T]:
    """Marks a future's error as seen: who does not wait for an answer learns of a lost connection elsewhere."""
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future
