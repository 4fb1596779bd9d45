"""Files for terminals over HTTPS: looked at before an order names them, and served by a small server for those who have none.

An order names a file by its URL, its size and its SHA-256; a broker is no file server (`docs/decisions/0046`). Who serves
it need not be trusted: a terminal believes the order's hash alone.
"""

import contextlib
import hashlib
import http.server
import io
import os
import re
import shutil
import socket
import ssl
import stat
import tempfile
import threading
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from core.orders import CONTENT_BYTES_MAX
from fleet.refusal import Refused
from terminald.https import HttpsFailed, fetch

CONNECTIONS_MAX = 64
"""Clients that are served at once; others wait in the system's queue."""
STEP_TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class ContentUnfit(Refused):
    """The file cannot be read, or is not what stands at its URL, or cannot be served."""

    code: ClassVar[str] = "content-unfit"
    remedy: ClassVar[str] = "Put the file where its URL leads, whole, and give the command again; nobody was told."


def digest(file: Path) -> tuple[str, int]:
    """The SHA-256 (hex) and the size of a file. Raises ContentUnfit."""
    whole, size = hashlib.sha256(), 0
    try:
        with file.open("rb") as opened:
            while chunk := opened.read(CHUNK_BYTES):
                whole.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise ContentUnfit(f"{file} cannot be read: {error.strerror}") from error
    if not 0 < size <= CONTENT_BYTES_MAX:
        raise ContentUnfit(f"{file} has {size} bytes: 1 to {CONTENT_BYTES_MAX} are allowed")
    return whole.hexdigest(), size


def look(url: str, sha256: str, size_bytes: int, ca: Path | None) -> None:
    """Fetches a file as a terminal would. Raises ContentUnfit where it is another, or does not come."""
    with tempfile.TemporaryDirectory(prefix="terminald-") as folder:
        try:
            fetch(url, Path(folder) / "content", sha256=sha256, size_bytes=size_bytes, ca=ca)
        except (HttpsFailed, OSError) as error:
            raise ContentUnfit(f"{url}: {getattr(error, 'code', 'content-unreachable')}: {error}") from error


class Server(http.server.ThreadingHTTPServer):
    """Serves the regular files right in a folder, to be read, by TLS 1.2 and 1.3."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], folder: Path, certificate: Path, key: Path | None) -> None:
        """Listens. Raises ContentUnfit."""
        if not folder.is_dir():
            raise ContentUnfit(f"{folder} is no folder")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(certificate, key)
            super().__init__(address, _Handler)
        except OSError as error:
            raise ContentUnfit(f"it cannot be served: {error}") from error
        self.folder = folder
        self._context = context
        self._room = threading.BoundedSemaphore(CONNECTIONS_MAX)

    def get_request(self) -> tuple[socket.socket, Any]:
        """A connection whose handshake is made by its own thread: one that is slow holds up nobody."""
        self._room.acquire()
        try:
            accepted, address = super().get_request()
            accepted.settimeout(STEP_TIMEOUT_S)
            return self._context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False), address
        except BaseException:
            self._room.release()
            raise

    def shutdown_request(self, request: Any) -> None:
        """Whoever waits comes next."""
        try:
            super().shutdown_request(request)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go as they come: a handshake or a download that breaks off is no fault of ours."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    server_version = "terminald-fleet"
    sys_version = ""
    timeout = STEP_TIMEOUT_S

    def setup(self) -> None:
        self.request.do_handshake()
        super().setup()

    def do_HEAD(self) -> None:
        """What there is, without it."""
        with contextlib.suppress(_NotThere), self._opened():
            pass

    def do_GET(self) -> None:
        """A file, or 404."""
        with contextlib.suppress(_NotThere), self._opened() as file:
            shutil.copyfileobj(file, self.wfile, CHUNK_BYTES)

    @contextlib.contextmanager
    def _opened(self) -> Any:
        name = unquote(urlsplit(self.path).path).removeprefix("/")
        file = _file(self.server.folder / name) if _NAME.fullmatch(name) else None
        if file is None:
            self.send_error(404)
            raise _NotThere
        with file:
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.end_headers()
            yield file

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # its name there
        """Says nothing: each fetch is in the order's result."""


def _file(path: Path) -> io.BufferedReader | None:
    """A regular file, opened. No link leads out of the folder, and nothing that is no file holds us up."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(number).st_mode):
        return os.fdopen(number, "rb")
    os.close(number)
    return None


class _NotThere(Exception):  # no error
    """It was answered already."""
