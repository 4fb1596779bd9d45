"""What may guard the terminal's root key, from the lowest tier to the highest, and what each is worth. Imports nothing."""

from typing import Final, Literal

Tier = Literal["file", "credential", "tpm"]

PROTECTS: Final[dict[Tier, tuple[str, ...]]] = {
    "file": ("a copy of the databases alone, or a backup of them", "another user of this machine"),
    "credential": (
        "a copy of the terminal's folder alone, or a backup of it",
        "another user of this machine",
        "a stolen card, if the credential was encrypted with the TPM's key (systemd-creds encrypt --with-key=tpm2)",
    ),
    "tpm": (
        "a copy of the terminal's folder, or a backup of it",
        "another user of this machine",
        "a stolen card: without this board's TPM it cannot be read",
    ),
}
"""Against what a tier protects, in words for people."""

EXPOSES: Final[dict[Tier, tuple[str, ...]]] = {
    "file": (
        "a stolen card: the key file is on the same card as the data and gives no protection against who holds the card",
        "whoever becomes root on this machine",
    ),
    "credential": (
        "a stolen card, if the credential was encrypted with the host's key, which is on the same card",
        "whoever becomes root on this machine",
    ),
    "tpm": (
        "whoever steals the whole board, if the key is bound to no PCRs and the machine starts any software",
        "whoever becomes root on this machine while it runs",
    ),
}
"""Against what it does not."""
