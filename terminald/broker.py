"""Where an MQTT broker is, how a socket to it is made, and what can go wrong with it. For both ends."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from terminald.addresses import Addresses, Tls

UNSENT_BYTES_MAX = 16 << 10
"""What the kernel takes from us beyond what it has sent (tcp(7)): a slow line's backlog waits here, where it has an order."""
_TCP_NOTSENT_LOWAT = 25
"""Linux' number of it; Python's socket has the name from 3.12 on."""

# --- errors ------------------------------------------------------------------------------------------------------


class MqttError(Exception):
    """The broker cannot be used now. `code` is stable, `remedy` tells the technician what to do."""

    code: ClassVar[str] = "mqtt"
    remedy: ClassVar[str] = "Sales go on and are kept; they are sent once the broker answers."


class BrokerUnreachable(MqttError, ConnectionError):
    """No connection: no such name, no route, nobody listens, or no answer in time."""

    code = "broker-unreachable"
    remedy = "Check the network cable and the address under [headquarters]; sales go on and are kept."


class BrokerRefused(MqttError, PermissionError):
    """The broker does not let us in."""

    code = "broker-refused"
    remedy = "Check the terminal's credentials at the broker; sales go on and are kept."


class BrokerUnfit(MqttError, OSError):
    """The broker says that it does not do what terminals need: QoS 1 and retained messages."""

    code = "broker-unfit"
    remedy = "Allow QoS 1 and retained messages at the broker; sales go on and are kept."


class BrokerUntrusted(MqttError, PermissionError):
    """The broker's certificate is not one that is trusted here."""

    code = "broker-untrusted"
    remedy = "Check [headquarters] ca, the broker's name and the clock; sales go on and are kept."


class CertificateUnusable(MqttError, OSError):
    """A file that TLS needs is missing, cannot be read, or does not fit the others."""

    code = "certificate-unusable"
    remedy = "Put the right files where [headquarters] ca, certificate and key say; sales go on and are kept."


class CertificateRefused(MqttError, PermissionError):
    """The broker does not take this terminal's certificate."""

    code = "certificate-refused"
    remedy = "Renew the certificate, or have headquarters enrol the terminal anew; sales go on and are kept."


class SubscriptionRefused(MqttError, PermissionError):
    """The broker's access rules forbid a subscription."""

    code = "subscription-refused"
    remedy = "Let this client read its topic in the broker's access rules."


class PublishRefused(MqttError, PermissionError):
    """The broker's access rules or limits forbid a publish."""

    code = "publish-refused"
    remedy = "Let this client write its topic in the broker's access rules."


class ConnectionLost(MqttError, ConnectionError):
    """The connection ended under us."""

    code = "connection-lost"


class Congested(MqttError, BlockingIOError):
    """The broker takes messages too slowly."""

    code = "broker-congested"


# --- values ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where a broker is and how to enter it; with `tls` by TLS, which is mutual where that has a certificate."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None

    def __str__(self) -> str:
        """The address without credentials, for logs and screens."""
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that came in. `packet` is the broker's number for it, which its acknowledgement repeats."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    packet: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker publishes when the connection ends without a goodbye; retained.

    Under MQTT 5 it waits for `delay_s`, and says nothing where the client is back by then.
    """

    topic: str
    payload: bytes
    delay_s: int = 0


Dial = Callable[[Broker], Awaitable[socket.socket]]
"""Gives a connected, non-blocking socket. Raises OSError."""


def brokers_of(addresses: Addresses) -> tuple[Broker, ...]:
    """The brokers of a configuration. Raises ValueError naming the fault."""
    return tuple(parse_url(url, addresses.tls) for url in addresses.brokers)


def parse_url(url: str, tls: Tls | None = None) -> Broker:
    """The broker of ``mqtt://[user[:password]@]host[:port]`` (or ``mqtts://``). Raises ValueError naming the fault."""
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts"):
        raise ValueError(f"{parts.scheme or url!r} is no broker's address: mqtt://host:port is")
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError(f"the port of a broker's address is a number up to 65535: {error}") from error
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("a broker's address is mqtt://host:port and nothing more")
    secure = parts.scheme == "mqtts"
    return Broker(
        host=parts.hostname,
        port=port or (8883 if secure else 1883),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=(tls or Tls()) if secure else None,
    )


async def dial(broker: Broker) -> socket.socket:
    """Connects over TCP without ever blocking the loop. Raises OSError."""
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{broker.host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(broker.host, broker.port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure
