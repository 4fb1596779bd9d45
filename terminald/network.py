"""What a technician asks first when a terminal is offline: addresses, time, name lookup, and a round trip to the broker.

`look` gives one flat object, the same whether the daemon runs or not; what could not be found out has an ``…_error``:

``host``              the machine's name
``addresses``         ``eth0 192.168.1.20, eth0 fe80::1``; empty: no cable, or no address was given
``gateway``           ``192.168.1.1 eth0``; empty: no way out of the local network
``resolvers``         name servers, separated by commas
``time``              local time, ISO 8601 with its offset
``clock``             ``ntp``, ``rtc``, ``restored`` or ``unsynced`` (core.ledger.ClockQuality)
``clock_error_ms``    the kernel's bound on the clock's error (adjtimex(2)); left out where it does not tell
``broker``            the broker's address without credentials; empty: none is configured. Of several the first that
                      lets us in, else the last
``lookup``            what its name stands for; ``lookup_ms``; or ``lookup_error``
``broker_tcp_ms``     how long a TCP connection takes
``broker_mqtt_ms``    from then to the broker's welcome (TLS and CONNECT to CONNACK), ``broker_mqtt_version``
``broker_tls_ms``     instead, where the terminal has a certificate: from TCP to a handshake after which the broker did not
                      refuse it, ``broker_tls_version``. A CONNECT in its name would end the daemon's own connection
``broker_error``      why there is no round trip, ``broker_remedy`` what to do about it
"""

import asyncio
import contextlib
import ctypes
import fcntl
import ipaddress
import os
import queue
import socket
import ssl
import struct
import threading
import time
from pathlib import Path

from terminald import broker, mqtt, tls
from terminald.clock import SystemClock, local_time
from terminald.config import Config

LOOKUP_S_MAX = 5.0
INTERFACES_MAX = 32
REFUSAL_S = 0.5
"""How long a broker may take to refuse our certificate after the handshake."""

_SIOCGIFADDR = 0x8915  # linux/sockios.h
_TIMEX = struct.Struct("@IllllI")  # struct timex: modes, offset, freq, maxerror (us), esterror, status
_TIMEX_BYTES = 512
_TIME_ERROR = 5


def look(config: Config) -> dict[str, object]:
    """All of it; takes some seconds when names or the broker do not answer. Never raises for what it looks at."""
    said: dict[str, object] = {
        "host": socket.gethostname(),
        "addresses": ", ".join(_addresses()),
        "gateway": _gateway(Path("/proc/net/route")),
        "resolvers": ", ".join(_resolvers(Path("/etc/resolv.conf"))),
        **_time(),
    }
    headquarters = config.headquarters
    if headquarters is None:
        return said | {
            "broker": "",
            "broker_error": "no headquarters is configured",
            "broker_remedy": "Name its broker under [headquarters], or leave the terminal to itself.",
        }
    try:
        brokers = broker.brokers_of(headquarters)
    except ValueError as error:
        return said | {"broker": "", "broker_error": str(error), "broker_remedy": "Correct [headquarters] broker."}
    found: dict[str, object] = {}
    for where in brokers:
        found = {"broker": str(where)} | _reach(where, config.terminal)
        if "broker_error" not in found:
            break
    return said | found


def _reach(where: broker.Broker, terminal: str) -> dict[str, object]:
    """Lookup, then the round trip; without an address there is nothing to connect to."""
    began_s = time.monotonic()
    try:
        addresses = _look_up(where.host)
    except OSError as error:
        return {
            "lookup_error": f"{where.host}: {error.strerror or error}",
            "broker_error": "its name has no address",
            "broker_remedy": "Check the resolvers and the name under [headquarters]; sales go on and are kept.",
        }
    found: dict[str, object] = {"lookup": ", ".join(addresses), "lookup_ms": _since_ms(began_s)}
    return found | asyncio.run(_round_trip(where, terminal))


async def _round_trip(where: broker.Broker, terminal: str) -> dict[str, object]:
    """Connects beside the daemon's own connection, under another name, so that neither ends the other.

    A certificate is the name: with one it is TLS alone.
    """
    facts: dict[str, object] = {}
    dialled_s = 0.0
    by_certificate = where.tls is not None and where.tls.certificate is not None

    async def timed(to: broker.Broker) -> socket.socket:
        nonlocal dialled_s
        dialled_s = time.monotonic()
        sock = await broker.dial(to)
        facts["broker_tcp_ms"] = _since_ms(dialled_s)
        dialled_s = time.monotonic()
        return sock

    try:
        if by_certificate:
            async with asyncio.timeout(mqtt.CONNECT_TIMEOUT_S):
                facts["broker_tls_version"] = await _handshake(where, timed)
            facts["broker_tls_ms"] = max(round(_since_ms(dialled_s) - REFUSAL_S * 1000, 1), 0.0)
            return facts
        async with mqtt.connect(where, f"{terminal}-look-{os.getpid()}", dial=timed) as connection:
            facts["broker_mqtt_ms"] = _since_ms(dialled_s)
            facts["broker_mqtt_version"] = connection.version
    except broker.MqttError as error:
        facts |= {"broker_error": str(error), "broker_remedy": error.remedy}
    except OSError as error:  # TimeoutError is one
        fault = broker.BrokerUnreachable(f"{where}: {error.strerror or str(error) or 'no answer in time'}")
        facts |= {"broker_error": str(fault), "broker_remedy": fault.remedy}
    return facts


async def _handshake(where: broker.Broker, dial: broker.Dial) -> str:
    """The version of TLS. Raises MqttError where the broker refuses our certificate, and OSError."""
    assert where.tls is not None
    sock = await tls.secure(where, where.tls, await dial(where))
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(sock, ready.set)
        until_s = loop.time() + REFUSAL_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                while True:  # under TLS 1.3 a refusal comes after the handshake, as what is read
                    await ready.wait()
                    ready.clear()
                    with contextlib.suppress(ssl.SSLWantReadError):
                        if not sock.recv(1):
                            raise broker.BrokerUnreachable(f"{where} hung up")
        return sock.version() or ""
    except ssl.SSLError as error:
        raise tls.fault_of(where, where.tls, error) from error
    finally:
        loop.remove_reader(sock)
        sock.close()


def _look_up(host: str) -> list[str]:
    """The addresses of a name. Raises OSError, also when the resolver takes too long.

    The system's resolver cannot be stopped: it is left behind in a thread that does not keep the process alive.
    """
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(address[4][0]) for address in found)))
        except OSError as error:
            answers.put(error)
        except UnicodeError:
            answers.put(OSError(f"{host!r} is no name"))

    threading.Thread(target=ask, name="lookup", daemon=True).start()
    try:
        answer = answers.get(timeout=LOOKUP_S_MAX)
    except queue.Empty:
        raise TimeoutError(f"no answer within {LOOKUP_S_MAX:g} s") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _addresses() -> list[str]:
    """``interface address`` of every interface but the loopback."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex()[:INTERFACES_MAX]:
            try:
                answer = fcntl.ioctl(sock, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue  # No IPv4 address on this one.
            address = ipaddress.ip_address(answer[20:24])
            if not address.is_loopback:
                found.append(f"{name} {address}")
    return found + _addresses_v6(Path("/proc/net/if_inet6"))


def _addresses_v6(table: Path) -> list[str]:
    found = []
    for line in _lines(table)[:INTERFACES_MAX]:
        fields = line.split()
        if len(fields) == 6:
            address = ipaddress.ip_address(bytes.fromhex(fields[0]))
            if not address.is_loopback:
                found.append(f"{fields[5]} {address}")
    return found


def _gateway(table: Path) -> str:
    """The default route's gateway and interface (proc(5), /proc/net/route: addresses in the machine's byte order)."""
    for line in _lines(table)[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == "00000000" and fields[7] == "00000000":
            return f"{ipaddress.ip_address(struct.pack('=I', int(fields[2], 16)))} {fields[0]}"
    return ""


def _resolvers(table: Path) -> list[str]:
    return [line.split()[1] for line in _lines(table) if line.startswith("nameserver") and len(line.split()) > 1]


def _time() -> dict[str, object]:
    stamp = SystemClock().stamp()
    facts: dict[str, object] = {"time": local_time(stamp).isoformat(timespec="seconds"), "clock": stamp.clock.value}
    error_ms = _clock_error_ms()
    return facts if error_ms is None else facts | {"clock_error_ms": error_ms}


def _clock_error_ms() -> int | None:
    """The kernel's bound on the clock's error; None where nobody disciplines it, or a sandbox forbids to ask."""
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    if state < 0 or state == _TIME_ERROR:
        return None
    error_us: int = _TIMEX.unpack_from(timex)[3]
    return error_us // 1000


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _since_ms(began_s: float) -> float:
    return round((time.monotonic() - began_s) * 1000, 1)
