"""`terminald-fleet enrol serve`: the enrolment's own door, HTTPS with as little of HTTP/1.1 as terminals need.

::

    GET  /enrol/v1/trust    who signs headquarters' certificates, signed by the key that terminals know
    POST /enrol/v1/ask      `core.enrolment.Ask`, answered by an `Answer`; again and again until a person has decided
    POST /enrol/v1/renew    `core.enrolment.Renew`, by the terminal's certificate

A connection is one request, bounded in bytes and in time, and connections are bounded in number: strangers can reach it.
"""

import asyncio
import contextlib
import logging
import signal
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from core.enrolment import MESSAGE_BYTES_MAX, Answer, EnrolmentError, encode
from core.ports import Clock
from fleet.ca import CA
from fleet.certificates import CertificateUnusable
from fleet.database import DatabaseError
from fleet.enrol import Desk, TooMany
from fleet.refusal import Refused

NAME = "enrol"
"""Of its certificate, which it issues for itself."""
HEAD_BYTES_MAX = 8_192
REQUEST_TIMEOUT_S = 15.0
CONNECTIONS_MAX = 256
CARE_EVERY_S = 6 * 3600.0
"""How often it is looked whether a certificate of headquarters is due."""

_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    503: "Unavailable",
}
T = TypeVar("T")
_log = logging.getLogger(__name__)


class BadRequest(Exception):
    """It is not HTTP, or not a request of ours."""


class EnrolServer:
    """Serves until cancelled. `hosts` are the names under which terminals find it; the first care makes its certificate."""

    def __init__(self, *, ca: CA, desk: Desk, hosts: Sequence[str], clock: Clock) -> None:
        self._ca = ca
        self._desk = desk
        self._hosts = hosts
        self._clock = clock
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.verify_mode = ssl.CERT_OPTIONAL
        self._open = 0
        # One thread: what the desk decides, it decides one after another.
        self._thread = ThreadPoolExecutor(1, "desk")

    async def run(self, address: str | None, port: int) -> None:
        """Raises Refused where the authorities cannot be used, OSError where the port is taken."""
        await self._care()
        self._context.load_verify_locations(cadata=self._ca.certificate("terminals").decode())
        server = await asyncio.start_server(
            self._serve,
            address,
            port,
            ssl=self._context,
            limit=HEAD_BYTES_MAX,
            ssl_handshake_timeout=REQUEST_TIMEOUT_S,
            ssl_shutdown_timeout=1.0,
        )
        _log.info("enrolling at %s", ", ".join(str(each.getsockname()[:2]) for each in server.sockets))
        async with server:
            while True:
                await self._clock.sleep(CARE_EVERY_S)
                try:
                    await self._care()
                except Refused as error:
                    _log.error("%s: %s: %s", error.code, error, error.remedy)

    async def _care(self) -> None:
        """Certificates of headquarters that are due are renewed; the service's own is taken into use at once."""
        await self._work(self._renew)
        self._context.load_cert_chain(self._ca.folder / f"{NAME}.crt", self._ca.folder / f"{NAME}.key")

    def _renew(self) -> None:
        now_ms = self._clock.stamp().time_ms
        with self._ca.book() as book:
            own = book.newest("headquarters", NAME)
        if own is None or own.hosts.split() != list(self._hosts) or own.ends_ms <= now_ms:
            self._ca.issue(NAME, hosts=self._hosts, folder=self._ca.folder, now_ms=now_ms)
        for name in self._ca.renew(now_ms):
            _log.info("the certificate of %s was renewed", name)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= CONNECTIONS_MAX:
            writer.close()
            return
        self._open += 1
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                method, path, body = await read_http(reader)
                status, answer = await self._answer(method, path, body, writer)
                writer.write(_response(status, answer))
                await writer.drain()
        except (BadRequest, TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            with contextlib.suppress(OSError):
                writer.write(_response(400, encode(Answer(state="refused", why=str(error)[:200]))))
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()

    async def _answer(self, method: str, path: str, body: bytes, writer: asyncio.StreamWriter) -> tuple[int, bytes]:
        address = str((writer.get_extra_info("peername") or ("?",))[0])
        now_ms = self._clock.stamp().time_ms
        try:
            if (method, path) == ("GET", "/enrol/v1/trust"):
                return 200, await self._work(self._ca.trust)
            if (method, path) == ("POST", "/enrol/v1/ask"):
                return 200, encode(await self._work(self._desk.ask, body, address, now_ms))
            if (method, path) == ("POST", "/enrol/v1/renew"):
                certificate = writer.get_extra_info("ssl_object").getpeercert(True)
                if certificate is None:
                    return 403, encode(Answer(state="refused", why="this takes the terminal's certificate"))
                return 200, encode(await self._work(self._desk.renew, body, certificate, address, now_ms))
        except TooMany as error:
            return 429, encode(Answer(state="refused", why=str(error)))
        except (EnrolmentError, CertificateUnusable) as error:
            return 400, encode(Answer(state="refused", why=str(error)[:200]))
        except (Refused, DatabaseError) as error:
            _log.error("%s: %s: %s", error.code, error, error.remedy)
            return 503, encode(Answer(state="refused", why="headquarters cannot look at it now"))
        return 404, encode(Answer(state="refused", why="there is nothing of that name"))

    async def _work(self, piece: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, piece, *arguments)

    def close(self) -> None:
        """Lets go of the thread. May be called twice."""
        self._thread.shutdown()


async def read_http(reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
    """Method, path and body. Raises BadRequest, IncompleteReadError, LimitOverrunError."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    words = head[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest("no HTTP/1.1")
    lengths = [
        value for name, colon, value in (line.partition(":") for line in head[1:]) if name.lower() == "content-length"
    ]
    length = lengths[0].strip() if len(lengths) == 1 else "0" if not lengths else ""
    if not (length.isascii() and length.isdigit() and len(length) <= 6) or int(length) > MESSAGE_BYTES_MAX:
        raise BadRequest(f"a request has {MESSAGE_BYTES_MAX} bytes at most, and says how many")
    return words[0], words[1], await reader.readexactly(int(length))


def _response(status: int, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


async def serve(server: EnrolServer, address: str | None, port: int) -> None:
    """Runs until SIGTERM or SIGINT. Raises Refused, OSError."""
    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(server.run(address, port))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        _log.info("stopped")
    finally:
        server.close()
