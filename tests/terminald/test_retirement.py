"""A terminal's end destroys each key, and one that it may not touch is no reason to keep the others."""

from pathlib import Path

import pytest

from terminald import paths
from terminald.config import load
from terminald.retirement import is_decided, note_of, retire
from tests.order_desk import DESK_KEY

OWN = '[terminal]\nid = "till-3"\n[shop]\nname = "Own"\ncurrency = "EUR"\n[[shop.tax]]\ncode = "A"\nrate = "19.00"\n'


@pytest.mark.parametrize("is_touchable", [True, False])
def test_all_keys_go_and_it_may_be_done_again(tmp_path: Path, is_touchable: bool) -> None:
    file = tmp_path / "terminal.toml"
    file.write_text(
        f'{OWN}[headquarters]\nbroker = "mqtts://127.0.0.1"\nack_key = "{DESK_KEY.public_key.hex()}"\n'
        'ca = "ca.pem"\ncertificate = "till.pem"\nkey = "till.key"\n'
    )
    if is_touchable:
        (tmp_path / "till.key").write_text("a key")
    else:
        (tmp_path / "till.key").mkdir()  # nothing that is a file of the daemon's
    config = load(file)
    keys = paths.load_or_make_keys(config)
    paths.open_signer(config, keys)
    made = {"journal.key", "journal.keyring", "journal.keyring.copy", "signing.key"}
    assert made <= {each.name for each in tmp_path.iterdir()}
    for _ in range(2):
        retire(config)
        left = {each.name for each in tmp_path.iterdir()}
        assert not left & made
        assert ("till.key" in left) is not is_touchable
    assert note_of(config).exists()
    assert not is_decided(config)
