"""Where the demonstration keeps what: one folder with the terminal, headquarters, the far ends of cables, paper, logs."""

import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

TERMINAL = "till-3"

_CONFIG = """\
# The demonstration's terminal. Paths count from this file's own folder.
[terminal]
id = "{terminal}"

[shop]
name = "Corner Shop"
address = ["12 Harbour Street"]
currency = "EUR"

[[shop.tax]]
code = "A"
rate = "19.00"

[[shop.tax]]
code = "B"
rate = "7.00"

[scan]
double_read_ms = {double_read_ms}

[[scan.variable]]
prefix = "21"
item_digits = 5
value_digits = 5
value = "price"

[[cards.range]]
kind = "gift"
prefix = "600649"
digits = 16

[gift_cards]
amount_minor_max = 20000

[headquarters]
broker = "mqtt://127.0.0.1:{broker_port}"
ack_key = "{ack_key}"

[device.scanner]
driver = "scanner-serial"
path = "../bench/scanner"

[device.nfc]
driver = "nfc-pn532"
path = "../bench/nfc"

[device.card]
driver = "payment-nexo"
host = "127.0.0.1"
port = {payment_port}
poi_id = "POI-1"

[device.printer]
driver = "printer-escpos"
path = "../bench/printer"
# The program that plays the printer also draws the screen: on a busy machine its answer takes longer than a printer's.
status_timeout_s = 2.0

[device.drawer]
driver = "drawer-gpio"
kick_pin = 17
sensor_pin = 27

[device.scale]
driver = "scale-serial"
path = "../bench/scale"
protocol = "toledo-8217"
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders below one root."""

    root: Path

    @property
    def terminal(self) -> Path:
        return self.root / "terminal"

    @property
    def config(self) -> Path:
        return self.terminal / "terminal.toml"

    @property
    def control_socket(self) -> Path:
        return self.terminal / "control.sock"

    @property
    def headquarters(self) -> Path:
        return self.root / "headquarters"

    @property
    def database(self) -> Path:
        return self.headquarters / "headquarters.db"

    @property
    def broker(self) -> Path:
        return self.root / "broker"

    @property
    def bench(self) -> Path:
        return self.root / "bench"

    @property
    def paper(self) -> Path:
        return self.root / "paper"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def make(self) -> None:
        """Makes the folders. A root that holds an earlier run's terminal is refused: its journal is not to be mixed."""
        if self.terminal.exists():
            raise FileExistsError(f"{self.root} holds an earlier run already: name another folder, or remove it")
        for folder in (self.terminal, self.headquarters, self.broker, self.bench, self.paper, self.logs):
            folder.mkdir(parents=True)

    def write_config(self, *, broker_port: int, payment_port: int, ack_key: str, double_read_ms: int) -> None:
        """Writes the terminal's configuration."""
        self.config.write_text(
            _CONFIG.format(
                terminal=TERMINAL,
                broker_port=broker_port,
                payment_port=payment_port,
                ack_key=ack_key,
                double_read_ms=double_read_ms,
            )
        )

    def remove(self) -> None:
        """Removes everything."""
        shutil.rmtree(self.root, ignore_errors=True)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses at this moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
