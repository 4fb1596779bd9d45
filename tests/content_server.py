"""An HTTPS server for tests: files under names, some of them told wrongly, and what was sent to it."""

import contextlib
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.certificates import Authority


class ContentServer:
    """Serves `files` by their names; of those in `cut` only so many bytes go out. Keeps what is PUT in `sent`."""

    def __init__(self, port: int) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: dict[str, int] = {}
        self.sent: dict[str, bytes] = {}
        self._port = port

    def url(self, name: str) -> str:
        """Where a file is."""
        return f"https://127.0.0.1:{self._port}/{name}"


@contextlib.contextmanager
def content_server(folder: Path) -> Iterator[tuple[ContentServer, Path]]:
    """A server while the block runs, and the file of the authority that vouches for it."""
    authority = Authority(folder)
    files = authority.certify("content", host="127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert files.certificate is not None
    context.load_cert_chain(files.certificate, files.key)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name
            name = self.path.lstrip("/")
            content = made.files.get(name)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: made.cut.get(name, len(content))])
            self.close_connection = True

        def do_PUT(self) -> None:
            made.sent[self.path.lstrip("/")] = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made = ContentServer(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        assert files.ca is not None
        yield made, files.ca
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
