"""Files over HTTPS, in and out: one request each, bounded in size and time, verified certificates, no redirects.

Blocks: call it off the loop. `http.client` alone: what is asked for stands in a signed order, so that there is nothing to
negotiate.
"""

import hashlib
import http.client
import os
import ssl
import time
from pathlib import Path
from urllib.parse import urlsplit

STEP_TIMEOUT_S = 20.0
LIMIT_S = 1_800.0
CHUNK_BYTES = 64 << 10


class HttpsFailed(Exception):
    """A file did not come or go. `code` is stable."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def fetch(url: str, to: Path, *, sha256: str, size_bytes: int, ca: Path | None) -> None:
    """The file of a URL, on the medium, once it is whole: of exactly this size and hash. Raises HttpsFailed, OSError.

    What did not come whole is deleted. `ca` holds authorities that are trusted besides the system's.
    """
    try:
        digest, size, until_s = hashlib.sha256(), 0, time.monotonic() + LIMIT_S
        connection = _connect(url, ca)
        try:
            answer = _answer(connection, url, "GET", None)
            with to.open("wb") as file:
                while chunk := _read(answer):
                    size += len(chunk)
                    if size > size_bytes or time.monotonic() > until_s:
                        break
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
        finally:
            connection.close()
        if size != size_bytes:
            raise HttpsFailed("content-torn", f"{size} bytes came, the order says {size_bytes}")
        if digest.hexdigest() != sha256:
            raise HttpsFailed("content-altered", "its hash is not the one in the order")
    except BaseException:
        to.unlink(missing_ok=True)
        raise


def put(url: str, content: bytes, *, ca: Path | None) -> None:
    """Sends content to a URL. Raises HttpsFailed."""
    connection = _connect(url, ca)
    try:
        _answer(connection, url, "PUT", content)
    finally:
        connection.close()


def _connect(url: str, ca: Path | None) -> http.client.HTTPSConnection:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise HttpsFailed("content-unreachable", "the URL names no host and port") from error
    if parts.scheme != "https" or not host:
        raise HttpsFailed("content-unreachable", "the URL is not one of HTTPS")
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except OSError as error:
            raise HttpsFailed("certificate-unusable", f"{ca.name} holds no authorities that can be used") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return http.client.HTTPSConnection(host, port or 443, timeout=STEP_TIMEOUT_S, context=context)


def _answer(
    connection: http.client.HTTPSConnection, url: str, method: str, body: bytes | None
) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body)
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise HttpsFailed("content-unreachable", f"{parts.hostname}: {error}") from error
    if not 200 <= answer.status < 300:
        raise HttpsFailed("content-refused", f"{parts.hostname} answers {answer.status}")
    return answer


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(CHUNK_BYTES)
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException) as error:
        raise HttpsFailed("content-torn", f"it was cut off: {error}") from error
