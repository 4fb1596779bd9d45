"""TLS to a broker: its files, the handshake, and what a failure of either means in words.

The files are read at each connection, so that renewed certificates take effect without a restart. What is wrong is told by
who can mend it: our own files (`CertificateUnusable`), the broker's certificate (`BrokerUntrusted`), or ours in the broker's
eyes (`CertificateRefused`). An expired certificate of ours is shown to the broker all the same, because the terminal's
clock may be the one that is wrong.
"""

import asyncio
import socket
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

from terminald.addresses import Tls
from terminald.broker import (
    Broker,
    BrokerUnreachable,
    BrokerUntrusted,
    CertificateRefused,
    CertificateUnusable,
    MqttError,
)

_VERIFY_WORDS = {
    9: "is not valid yet: is the clock here right?",
    10: "has expired: renew it, or set the clock here right",
    18: "is signed by itself, and by no authority that is trusted here",
    19: "comes from an authority that is not trusted here",
    20: "comes from an authority that is not trusted here",
    21: "comes from an authority that is not trusted here",
    62: "is for another name",
    64: "is for another address",
}
"""What OpenSSL's verification finds in the broker's certificate (openssl-verification-options(1)), by its number."""
_ALERTS = {
    "CERTIFICATE_EXPIRED": "it has expired",
    "CERTIFICATE_REVOKED": "it was revoked",
    "UNKNOWN_CA": "it comes from an authority that the broker does not trust",
    "CERTIFICATE_REQUIRED": "it wants one",
    "BAD_CERTIFICATE": "it is not one that the broker takes",
    "CERTIFICATE_UNKNOWN": "it is not one that the broker takes",
    "UNSUPPORTED_CERTIFICATE": "it is of another kind than the broker takes",
    "ACCESS_DENIED": "it is not let in",
    "HANDSHAKE_FAILURE": "it wants one, or other ciphers",
}
"""TLS alerts (RFC 8446, 6.2) by which a broker refuses a client's certificate, as OpenSSL names them."""


class TlsSocket(ssl.SSLSocket):
    """Remembers why reading failed: under TLS 1.3 a broker refuses our certificate only after the handshake, and paho
    passes the words on to nobody."""

    fault: ssl.SSLError | None = None

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """As socket.recv. Raises OSError."""
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.fault = error
            raise


def context_of(tls: Tls) -> ssl.SSLContext:
    """A client's context from the files as they are now: TLS 1.2 or 1.3, the broker's name verified.

    Raises CertificateUnusable.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except OSError as error:
        raise CertificateUnusable(_unreadable(tls.ca, error, "no certificate of an authority")) from error
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    context.sslsocket_class = TlsSocket
    if tls.certificate is not None:
        _load_own(context, tls.certificate, tls.key or tls.certificate)
    return context


async def secure(broker: Broker, tls: Tls, sock: socket.socket) -> ssl.SSLSocket:
    """TLS on a connected socket, without blocking the loop. Raises MqttError or OSError; then the socket is closed."""
    try:
        context = context_of(tls)
        wrapped = context.wrap_socket(sock, server_hostname=broker.host, do_handshake_on_connect=False)
    except BaseException:
        sock.close()
        raise
    try:
        await _shake_hands(wrapped)
    except ssl.SSLError as error:
        wrapped.close()
        raise fault_of(broker, tls, error) from error
    except BaseException:
        wrapped.close()
        raise
    return wrapped


def fault_of(broker: Broker, tls: Tls, error: ssl.SSLError) -> MqttError:
    """What a failure of TLS means."""
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = _VERIFY_WORDS.get(error.verify_code, f"cannot be trusted: {error.verify_message}")
        return BrokerUntrusted(f"the certificate of {broker} {words}")
    if reason == "WRONG_VERSION_NUMBER":
        return BrokerUnreachable(f"{broker} does not speak TLS: mqtt:// may be meant, or another port")
    if "PROTOCOL_VERSION" in reason or reason == "UNSUPPORTED_PROTOCOL":
        return BrokerUnreachable(f"{broker} speaks no TLS of version 1.2 or 1.3")
    alert = next((words for name, words in _ALERTS.items() if reason.endswith(f"ALERT_{name}")), None)
    if alert is None:
        return BrokerUnreachable(f"{broker}: TLS fails: {reason or error.strerror or error}")
    if tls.certificate is None:
        return CertificateRefused(f"{broker} lets nobody in without a certificate, and none is configured")
    own = _own_dates(tls.certificate)
    return CertificateRefused(f"{broker} refuses the certificate {tls.certificate.name}: {own or alert}")


# --- our own files -----------------------------------------------------------------------------------------------


def _load_own(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Raises CertificateUnusable."""
    for path in (certificate, key):
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise CertificateUnusable(_unreadable(path, error, "")) from error
    if key.stat().st_mode & 0o007:
        raise CertificateUnusable(f"everybody can read the key {key}: chmod 0600 {key}")
    try:
        # Without a password's source OpenSSL would ask for it on the terminal, and wait.
        context.load_cert_chain(certificate, key, password=b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateUnusable(f"the key {key} does not belong to the certificate {certificate}") from error
        raise CertificateUnusable(
            f"{certificate} with {key} is no certificate with its key, in PEM and without a password"
        ) from error


def _unreadable(path: Path | None, error: OSError, instead: str) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{path} holds {instead}, in PEM"
    return f"{path} cannot be read: {error.strerror}"


def _own_dates(certificate: Path) -> str | None:
    """What is wrong with our own certificate's dates by our own clock."""
    from cryptography import x509  # only where a broker refused us: it costs memory

    try:
        own = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except (OSError, ValueError):
        return None
    now = datetime.fromtimestamp(time.time(), UTC)
    if now > own.not_valid_after_utc:
        return f"it expired on {own.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if now < own.not_valid_before_utc:
        return (
            f"it is valid only from {own.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on, and the clock here is before that"
        )
    return None


def ends_ms(certificate: Path) -> int | None:
    """When a certificate of ours ends, in Unix milliseconds; None where it cannot be read."""
    from cryptography import x509  # costs memory: only where there is one

    try:
        own = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except (OSError, ValueError):
        return None
    return int(own.not_valid_after_utc.timestamp() * 1000)


async def _shake_hands(wrapped: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        ready = asyncio.Event()
        try:
            wrapped.do_handshake()
            return
        except ssl.SSLWantReadError:
            loop.add_reader(wrapped, ready.set)
        except ssl.SSLWantWriteError:
            loop.add_writer(wrapped, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(wrapped)
            loop.remove_writer(wrapped)
