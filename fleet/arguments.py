"""Arguments that several commands of `terminald-fleet` have, and how each is read."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from fleet.store import Address
    from terminald.addresses import Addresses
    from terminald.broker import Broker

T = TypeVar("T")
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_database(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """`--database`: `fleet.store.Address`."""
    parser.add_argument(
        "--database",
        metavar="URL",
        required=required,
        type=database,
        help="a path, sqlite:////absolute/path, or postgresql://[user[:password]@]host/database",
    )


def add_key(parser: argparse.ArgumentParser) -> None:
    """`--key`: a path or None."""
    parser.add_argument(
        "--key",
        metavar="FILE",
        type=Path,
        help="signs acknowledgements and orders; made where there is none. It lies beside a database that is a file",
    )


def add_brokers(parser: argparse.ArgumentParser) -> None:
    """`--broker` and what TLS to it takes: see `brokers_of`."""
    parser.add_argument(
        "--broker",
        metavar="URL",
        type=broker,
        action="append",
        help="mqtt://[user:password@]host[:port], or mqtts://; several are tried in order",
    )
    parser.add_argument("--ca", metavar="FILE", type=Path, help="who may sign the broker's certificate, for mqtts://")
    parser.add_argument("--certificate", metavar="FILE", type=Path, help="proves to the broker who this is")
    parser.add_argument("--certificate-key", metavar="FILE", type=Path, help="belongs to the certificate")


def brokers_of(options: argparse.Namespace, configured: "Addresses") -> "tuple[Broker, ...]":
    """The brokers that options say, else those of the configuration; none where neither does."""
    from terminald.addresses import Tls
    from terminald.broker import parse_url

    tls = configured.tls
    own = (options.certificate, options.certificate_key) if options.certificate else (tls.certificate, tls.key)
    files = Tls(ca=options.ca or tls.ca, certificate=own[0], key=own[1])
    return tuple(parse_url(url, files) for url in options.broker or configured.brokers)


def add_sign_in(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """`--as` (`operator`), with the database and the key that signing in takes: `fleet.session.signed_in`."""
    parser.add_argument("--as", dest="operator", metavar="NAME", required=required, help="the operator who does it")
    add_database(parser)
    add_key(parser)


def broker(text: str) -> str:
    """A broker's address that was looked at."""
    from terminald.broker import parse_url

    checked(lambda: parse_url(text))
    return text


def database(text: str) -> "Address":
    """Where a database is."""
    from fleet.store import locate

    return checked(lambda: locate(text))


def terminal(text: str) -> str:
    """A terminal's id."""
    from core.topics import check_terminal

    return checked(lambda: check_terminal(text))


def public_key(text: str) -> bytes:
    """An Ed25519 public key of 64 hex digits."""
    return checked(lambda: _thirty_two_bytes(text))


def checked(parse: Callable[[], T]) -> T:
    """What `parse` gives; argparse keeps the words of its own error alone."""
    try:
        return parse()
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _thirty_two_bytes(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ValueError("a public key is 64 hex digits")
    return key
