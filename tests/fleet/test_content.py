"""Files for terminals: looked at before an order names them, served over TLS, nothing else out of the folder."""

import contextlib
import hashlib
import http.client
import io
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet import answers
from fleet.cli import main
from fleet.content import CONNECTIONS_MAX, ContentUnfit, Server, digest, look
from fleet.database import Database
from fleet.operators import Role, add, make_first, sign_in
from fleet.registry import put
from terminald.addresses import Tls
from tests.certificates import Authority
from tests.fleet.test_dispatch import KEY, publish

GOODS = b"gtin,name,price\n" + b"4006381333931,Pen,1.99\n" * 5_000


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def own(authority: Authority) -> Tls:
    return authority.certify("server", host="127.0.0.1")


@pytest.fixture
def serving(tmp_path: Path, own: Tls) -> Iterator[Server]:
    """A server at work; its folder is ``served``."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "goods.csv").write_bytes(GOODS)
    (tmp_path / "secret").write_text("no")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "below").mkdir()
    os.mkfifo(folder / "pipe")
    assert own.certificate is not None
    with Server(("127.0.0.1", 0), folder, own.certificate, own.key) as server:
        thread = threading.Thread(target=server.serve_forever, name="content")
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: Server, authority: Authority, path: str, method: str = "GET") -> tuple[int, bytes]:
    context = ssl.create_default_context(cafile=str(authority.path))
    connection = http.client.HTTPSConnection("127.0.0.1", server.server_port, timeout=10, context=context)
    with contextlib.closing(connection):
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()


def url(server: Server, name: str = "goods.csv") -> str:
    return f"https://127.0.0.1:{server.server_port}/{name}"


def test_a_file_is_looked_at_as_a_terminal_would(serving: Server, authority: Authority) -> None:
    sha256, size = digest(serving.folder / "goods.csv")
    assert (sha256, size) == (hashlib.sha256(GOODS).hexdigest(), len(GOODS))
    look(url(serving), sha256, size, authority.path)
    for where, hash_, bytes_, ca, says in (
        (url(serving, "none.csv"), sha256, size, authority.path, "content-refused"),
        (url(serving), "0" * 64, size, authority.path, "content-altered"),
        (url(serving), sha256, size - 1, authority.path, "content-torn"),
        (url(serving), sha256, size + 1, authority.path, "content-torn"),
        (url(serving), sha256, size, None, "content-unreachable"),
        ("https://127.0.0.1:1/x", sha256, size, authority.path, "content-unreachable"),
        ("http://127.0.0.1/x", sha256, size, authority.path, "not one of HTTPS"),
    ):
        with pytest.raises(ContentUnfit, match=says):
            look(where, hash_, bytes_, ca)


@pytest.mark.parametrize(
    "path", ["/../secret", "/%2e%2e/secret", "//etc/passwd", "/link", "/below", "/pipe", "/", "/.x", "/a/b"]
)
def test_nothing_else_leaves_the_folder(serving: Server, authority: Authority, path: str) -> None:
    assert ask(serving, authority, path)[0] == 404


def test_what_there_is(serving: Server, authority: Authority) -> None:
    assert ask(serving, authority, "/goods.csv?v=2") == (200, GOODS)
    assert ask(serving, authority, "/goods.csv", "HEAD") == (200, b"")
    assert ask(serving, authority, "/goods.csv", "PUT")[0] == 501


def test_clients_that_say_nothing_hold_up_nobody(serving: Server, authority: Authority) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS_MAX - 1):
            stack.enter_context(socket.create_connection(("127.0.0.1", serving.server_port)))
        assert ask(serving, authority, "/goods.csv")[0] == 200


def test_files_that_are_none(tmp_path: Path, own: Tls) -> None:
    (tmp_path / "empty").touch()
    for name in ("empty", "none"):
        with pytest.raises(ContentUnfit):
            digest(tmp_path / name)
    assert own.certificate is not None
    with pytest.raises(ContentUnfit, match="no folder"):
        Server(("127.0.0.1", 0), tmp_path / "none", own.certificate, own.key)
    with pytest.raises(ContentUnfit, match="cannot be served"):
        Server(("127.0.0.1", 0), tmp_path, tmp_path / "empty", None)


def test_push_tells_nobody_of_what_is_not_there(
    tmp_path: Path, serving: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "hq.db"
    with contextlib.closing(Database.open(path, now_ms=1)) as store:
        with store.transaction() as statements:
            put(statements, "till-1", 1)
        make_first(store, KEY, "ada", "correct horse battery", 1)
        add(
            store,
            KEY,
            sign_in(store, KEY, "ada", "correct horse battery", 1),
            "max",
            [Role.MANAGER],
            "correct horse battery",
            1,
        )
        (tmp_path / "key").write_text(bytes([5] * 32).hex())
        (tmp_path / "key").chmod(0o400)

        def push(file: Path, *more: str) -> int:
            monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
            words = ["catalogue", "push", str(file), "--url", url(serving, ""), "--ca", str(authority.path), "--all"]
            return main(
                [*words, "--as", "max", "--wait", "0", "--database", str(path), "--key", str(tmp_path / "key"), *more]
            )

        other = tmp_path / "goods.csv"
        other.write_bytes(GOODS[:-1])
        assert push(other) == 1
        assert "content-unfit: https://127.0.0.1" in capsys.readouterr().err
        assert answers.claim(store, 1 << 52) == []
        assert push(serving.folder / "goods.csv", "--json") == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["order"], said["params"]["size_bytes"]) == ("catalogue", len(GOODS))
        (order,) = publish(store, said["made_ms"])
        assert (order.params["url"], order.params["sha256"]) == (url(serving), hashlib.sha256(GOODS).hexdigest())
        assert push(serving.folder / "goods.csv", "--rollout", "--waves", "50%,100%") == 0
        assert "wave 0 of 2: running" in capsys.readouterr().out


def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path, own: Tls, authority: Authority) -> None:
    folder = tmp_path / "goods"
    folder.mkdir()
    (folder / "a").write_text("b")
    words = ["content", "serve", str(folder), "--certificate", str(own.certificate), "--certificate-key", str(own.key)]
    with subprocess.Popen(
        [sys.executable, "-m", "fleet", *words, "--address", "127.0.0.1", "--port", "0"],
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            port = process.stdout.readline().split()[-1]
            look(f"https://127.0.0.1:{port}/a", hashlib.sha256(b"b").hexdigest(), 1, authority.path)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
