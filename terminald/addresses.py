"""What a configuration says of brokers. Apart from its use, so that reading one loads no network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

BROKERS_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The files of TLS, all in PEM, read at each connection.

    `ca` holds the authorities that are trusted (the system's where there is none), `certificate` proves who we are (TLS is
    not mutual without), `key` belongs to it (else it stands in the certificate's file).
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


NO_TLS_FILES = Tls()
"""The system's authorities, and nothing to prove who we are."""


class Addresses(Protocol):
    """A configuration that says where brokers are, in the order in which they are tried, and the files of TLS."""

    @property
    def brokers(self) -> tuple[str, ...]:
        """Their addresses."""

    @property
    def tls(self) -> Tls:
        """The files, for those that are ``mqtts://``."""


def asked_of(certificate: Path) -> Path:
    """Beside a certificate that the terminal comes by itself: the key for which it asks."""
    return certificate.with_name(f"{certificate.name}.asked")
