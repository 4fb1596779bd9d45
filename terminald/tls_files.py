"""Which files TLS to a broker takes. Apart from their use, so that reading a configuration loads no network."""

from dataclasses import dataclass
from pathlib import Path


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
