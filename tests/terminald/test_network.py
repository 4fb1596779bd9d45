"""What a technician is told of the network, with real sockets at the other end."""

import asyncio
import socket
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from terminald import network
from terminald.addresses import NO_TLS_FILES, Tls
from terminald.broker import parse_url
from terminald.config import Config, load
from terminald.mqtt import connect
from tests.brokers import Mosquitto, find_mosquitto, free_port, mosquitto_in
from tests.certificates import Authority, listening, secure_url


def config(broker: str | None, tls: Tls = NO_TLS_FILES, others: Sequence[str] = ()) -> Config:
    """A terminal's configuration that differs in its brokers alone."""
    lines = ["[terminal]", 'id = "till-3"', "[shop]", 'name = "Corner Shop"']
    if broker is not None:
        lines += ["[headquarters]", f"brokers = {[broker, *others]}", f'ack_key = "{"00" * 32}"']
        lines += [f'{name} = "{path}"' for name, path in asdict(tls).items() if path is not None]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "terminal.toml"
        path.write_text("\n".join(lines))
        return load(path)


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
def test_a_round_trip_to_a_real_broker(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        said = network.look(config(broker.url))
    finally:
        broker.stop()
    assert "broker_error" not in said
    assert said["lookup"] == "127.0.0.1"
    assert said["broker"] == broker.url
    assert isinstance(said["broker_tcp_ms"], float)
    assert isinstance(said["broker_mqtt_ms"], float)
    assert said["host"] == socket.gethostname()
    assert said["clock"] in ("ntp", "rtc", "restored", "unsynced")


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
def test_by_a_certificate_the_daemons_connection_is_left_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.certify("till-3")
    options = listening(
        authority, authority.certify("broker", host="127.0.0.1"), more="use_username_as_clientid true\n"
    )

    async def look_beside(url: str) -> dict[str, object]:
        async with connect(parse_url(url, own), "till-3") as daemons:
            said = await asyncio.to_thread(network.look, config(url, own))
            assert await daemons.publish("x", b"") == 16
        return said

    with mosquitto_in(tmp_path, options) as broker:
        url = secure_url(broker)
        said = asyncio.run(look_beside(url))
        stranger = replace(Authority(tmp_path, "stranger").certify("till-3"), ca=authority.path)
        refused = network.look(config(url, stranger))
    assert "broker_error" not in said
    assert said["broker_tls_version"] == "TLSv1.3"
    assert isinstance(said["broker_tls_ms"], float)
    assert "does not trust" in str(refused["broker_error"])
    assert "enrol" in str(refused["broker_remedy"])


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
def test_of_several_brokers_the_first_that_answers(tmp_path: Path) -> None:
    with mosquitto_in(tmp_path) as broker:
        said = network.look(config(f"mqtt://127.0.0.1:{free_port()}", others=[broker.url]))
        assert "broker_error" not in said
        assert said["broker"] == broker.url


def test_nobody_listens() -> None:
    said = network.look(config(f"mqtt://127.0.0.1:{free_port()}"))
    assert "127.0.0.1" in str(said["broker_error"])
    assert "cable" in str(said["broker_remedy"])
    assert "broker_tcp_ms" not in said


def test_something_else_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            for _ in range(2):  # once for each version of MQTT
                peer, _ = server.accept()
                peer.recv(1000)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                peer.close()

        thread = threading.Thread(target=hang_up, name="impostor", daemon=True)
        thread.start()
        said = network.look(config(f"mqtt://127.0.0.1:{server.getsockname()[1]}"))
        thread.join(5)
    assert said["broker_error"]
    assert "broker_mqtt_ms" not in said
    assert "broker_tcp_ms" in said  # the way there is open: it is not the cable


def test_a_name_that_does_not_exist() -> None:
    said = network.look(config("mqtt://no-such-name.invalid:1883"))
    assert "no-such-name.invalid" in str(said["lookup_error"])
    assert "resolvers" in str(said["broker_remedy"])


def test_no_headquarters_is_configured() -> None:
    said = network.look(config(None))
    assert said["broker"] == ""
    assert said["broker_error"] == "no headquarters is configured"


def test_the_answer_never_shows_credentials() -> None:
    said = network.look(config(f"mqtt://till:sesame@127.0.0.1:{free_port()}"))
    assert "sesame" not in str(said)
    assert str(said["broker"]).startswith("mqtt://127.0.0.1:")


def test_the_kernels_tables_are_read(tmp_path: Path) -> None:
    route = tmp_path / "route"
    route.write_text(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
    )
    assert network._gateway(route) == "192.168.1.1 eth0"
    assert network._gateway(tmp_path / "nothing") == ""
    v6 = tmp_path / "if_inet6"
    v6.write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\nfe80000000000000021122fffe334455 02 40 20 80     eth0\n"
    )
    assert network._addresses_v6(v6) == ["eth0 fe80::211:22ff:fe33:4455"]
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("# comment\nsearch shop\nnameserver 192.168.1.1\nnameserver\nnameserver fe80::1\n")
    assert network._resolvers(resolv) == ["192.168.1.1", "fe80::1"]
