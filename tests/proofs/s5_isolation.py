"""S5: on a real mosquitto with the shipped configuration, one terminal's certificate opens nothing of another's.

Terminal A tries every topic of terminal B, of headquarters and of the broker itself: publish, retained, will, subscribe
with and without wildcards and shared groups, B's name in every field that a client may fill. A watcher without rules, at a
door of its own, sees what came through; a marker that A may publish says when all of it has been worked off. Who has no
good certificate tries both doors. That the rightful get everything through is looked at first. Brokers whose rules or
settings are wrong in one place go through the same, and must be caught.
"""

import contextlib
import functools
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core import topics
from fleet.ca import CA, Pair
from fleet.certificates import Authority, certificate_pem, key_pem, new_key
from fleet.keys import load_or_make, shared_group
from tests.brokers import find_mosquitto
from tests.proofs.registry import CannotRun, Proof, Result, Scale
from tests.raw_mqtt import Client, Refused
from tests.secured import Secured, context, now_ms, terminal_pair

A, B = "till-a", "till-b"
DAY_MS = 86_400_000
WRITES = (
    topics.status, lambda t: f"{topics.PREFIX}/{t}/info", lambda t: topics.tele(t, "till"),
    lambda t: f"{topics.PREFIX}/{t}/alarm/disk", topics.batch, topics.recall,
    lambda t: topics.result(t, "ping", "7"), topics.reported,
)  # fmt: skip
"""What a terminal may publish, as functions of its name."""
READS = (topics.ack, topics.replay, lambda t: topics.order(t, "ping", "7"), topics.desired)
"""What it may be told."""
FOREIGN = (
    "pos/v1", "pos/v1/", f"pos/v1/{A}", f"pos/v1/{A}/", f"pos/v1/{A}/money", f"pos/v1/{A}/config", f"pos/v1/{A}/cmd/ping",
    f"pos/v1//{A}/status", f"pos/v2/{A}/status", f"/pos/v1/{A}/status", f"pos/v1/{A}/status/more", f"POS/v1/{A}/status",
    f"pos/v1/{A.upper()}/status", f"pos/v1/{A}x/status", f"pos/v1/{A}/{B}/status", "pos/v1/%u/status", "pos/v1/%c/status",
    "homeassistant/sensor/x/config", "spBv1.0/group/NBIRTH/node", "anything", "$CONTROL/dynamic-security/v1",
    "$SYS/broker/uptime",
)  # fmt: skip
FILTERS = (
    "#", "+/#", "+/+/#", "pos/#", "pos/v1/#", "pos/v1/+/#", "pos/v1/+/status", "pos/v1/+/tele/+", "pos/v1/+/money/+",
    "pos/v1/+/cmd/#", "pos/v1/+/config/+", "pos/+/+/+/+", f"pos/v1/{B}/#", f"pos/v1/{B}/+/+", f"pos/v1/{B}/+", "$SYS/#",
    "$CONTROL/#", "/#",
)  # fmt: skip
MUTANTS: dict[str, dict[str, tuple[str, str]]] = {
    "lets a terminal write any batch": {"terminals.acl": ("write pos/v1/%u/money/batch", "write pos/v1/+/money/batch")},
    "lets a terminal read any order": {"terminals.acl": ("read pos/v1/%u/cmd/+/+", "read pos/v1/+/cmd/+/+")},
    "has no rule for an acknowledgement": {"terminals.acl": ("pattern read pos/v1/%u/money/ack\n", "")},
    "lets a terminal write its own order": {"terminals.acl": ("read pos/v1/%u/cmd/+/+", "readwrite pos/v1/%u/cmd/+/+")},
    "lets a terminal choose its client id": {"terminald.conf": ("use_username_as_clientid true\n", "")},
    "knows no revocations": {"terminald.conf": ("crlfile /etc/mosquitto/terminald/terminals.crl\n", "")},
    "asks nobody for a certificate": {
        "terminald.conf": ("require_certificate true\nuse_identity_as_username true\nuse_username_as_clientid", "allow_zero_length_clientid"),
    },
    "lets a monitor read money": {"headquarters.acl": ("user monitor\n", "user monitor\ntopic read pos/v1/+/money/+\n")},
    "takes terminals at headquarters' door": {
        "terminald.conf": (
            "headquarters.crt\ncrlfile /etc/mosquitto/terminald/headquarters.crl", "both.crt",
        ),
    },
}  # fmt: skip


@dataclass(slots=True)
class Seen:
    """What got through, and how much was tried."""

    faults: list[str] = field(default_factory=list)
    tries: int = 0

    def expect(self, what: str, *, refused: bool) -> None:
        """Counts a try."""
        self.tries += 1
        if not refused:
            self.faults.append(what)


def run(scale: Scale) -> Iterator[Result]:
    """The shipped files; then each mutant."""
    if find_mosquitto() is None:
        raise CannotRun("mosquitto is not installed")
    seen = _look(None)
    for fault in seen.faults:
        print(f"S5: {fault}", file=sys.stderr)
    mutants = list(MUTANTS)[:1] if scale is Scale.SMOKE else list(MUTANTS)
    caught = {name: bool(_look(MUTANTS[name]).faults) for name in mutants}
    told = ", ".join(f"one that {name} {'caught' if is_ else 'NOT caught'}" for name, is_ in caught.items())
    yield Result(
        figure=seen.tries - len(seen.faults),
        goal=seen.tries,
        holds=not seen.faults and all(caught.values()),
        what=(
            f"of {seen.tries} tries to get at another's topics or in without a good certificate, refused; of brokers set"
            f" up wrongly, {told}"
        ),
        reason="; ".join(seen.faults[:3])
        or "; ".join(f"a broker that {name} got through" for name, is_ in caught.items() if not is_),
    )


PROOFS = [Proof(id="S5", title="isolation at the broker", run=run)]


def _look(edits: Mapping[str, tuple[str, str]] | None) -> Seen:
    seen = Seen()
    with tempfile.TemporaryDirectory(prefix="terminald-s5-") as name:
        made = Secured(Path(name), edits)
        both = [(made.folder / f"ca/{each}.crt").read_bytes() for each in ("terminals", "headquarters")]
        (made.place / "both.crt").write_bytes(b"".join(both))
        strangers = _strangers(made)
        made.broker.start()
        try:
            _rightful(made, seen)
            _publishing(made, seen)
            _reading(made, seen)
            _programs(made, seen)
            _sharing(made, seen)
            _claiming(made, seen)
            for what, (door, entrance) in strangers.items():
                seen.expect(f"{what} came in at the door of {door}", refused=not _enters(made, door, entrance))
        except (OSError, EOFError, Refused) as error:
            seen.faults.append(f"the look was cut short: {error!r}")
        finally:
            made.broker.stop()
    return seen


def _rightful(made: Secured, seen: Seen) -> None:
    """What is forbidden proves nothing where nothing is allowed."""
    watcher = _watcher(made)
    with _closing(_terminal(made, A)) as terminal, _closing(_headquarters(made, "fleet")) as fleet:
        for write in WRITES:
            code = terminal.publish(write(A), b"own")
            if code >= 0x80:
                seen.faults.append(f"{A} may not publish {write(A)}: {code:#x}")
        for read in READS:
            terminal.subscribe(read(A))
        for read in READS:
            watcher.publish(read(A), b"for-a")
        terminal.flush()
        told = {topic for topic, payload in terminal.got if payload == b"for-a"}
        seen.faults += [f"{A} is not told {read(A)}" for read in READS if read(A) not in told]
        if fleet.publish(topics.order(A, "ping", "8"), b"order") >= 0x80:
            seen.faults.append("headquarters may not order")
    watcher.drop()


def _publishing(made: Secured, seen: Seen) -> None:
    forbidden = [*(each(B) for each in (*WRITES, *READS)), *(each(A) for each in READS), *FOREIGN]
    watcher = _watcher(made)
    with _closing(_terminal(made, A)) as terminal:
        for retain in (False, True):
            for topic in forbidden:
                before = len(watcher.got)
                with contextlib.suppress(EOFError):
                    terminal.publish(topic, b"forbidden", retain=retain)
                try:
                    terminal.publish(topics.status(A), b"marker")
                except EOFError:  # it was thrown out for that one
                    terminal.drop()
                    terminal.sock = _terminal(made, A).sock
                    terminal.publish(topics.status(A), b"marker")
                watcher.flush()
                through = any(payload == b"forbidden" for _, payload in watcher.got[before:])
                seen.expect(f"{A} published {topic}{' retained' if retain else ''}", refused=not through)
    for topic in forbidden:
        before = len(watcher.got)
        with contextlib.suppress(Refused):
            dying = _terminal(made, A, will=(topic, b"last words"))
            dying.drop()
        _until_gone(made)
        watcher.flush()
        through = any(payload == b"last words" for _, payload in watcher.got[before:])
        seen.expect(f"{A} left {topic} as its will", refused=not through)
    watcher.drop()


def _until_gone(made: Secured) -> None:
    """The broker has noticed that the connection before is gone: one of the same name takes over at the latest."""
    with _closing(_terminal(made, A)) as again:
        again.publish(topics.status(A), b"marker")


def _reading(made: Secured, seen: Seen) -> None:
    secrets = [each(B) for each in (*WRITES, *READS)] + [f"{topics.PREFIX}/{B}/more", "anything"]
    watcher = _watcher(made)
    for topic in secrets:
        watcher.publish(topic, b"kept", retain=True)
    filters = [*FILTERS, *secrets, *(f"$share/{group}/{each}" for group in ("terminald", "g") for each in FILTERS[:6])]
    for topic_filter in filters:
        with _closing(_terminal(made, A)) as terminal:
            with contextlib.suppress(EOFError):
                terminal.subscribe(topic_filter)
                for topic in secrets:
                    watcher.publish(topic, b"live")
                terminal.flush()
            of_others = [topic for topic, payload in terminal.got if payload in (b"kept", b"live")]
            seen.expect(f"{A} read {of_others[:2]} by {topic_filter}", refused=not of_others)
    for topic in secrets:
        watcher.publish(topic, b"", retain=True)
    watcher.drop()


def _programs(made: Secured, seen: Seen) -> None:
    """Headquarters' door: who only shows what is told writes nothing and reads no money; a name without rules has none."""
    secrets = (topics.batch(B), topics.ack(B), topics.recall(B), topics.replay(B), topics.order(B, "ping", "7"))
    watcher = _watcher(made)
    for name, forbidden in (("monitor", secrets), ("unheard-of", (*secrets, topics.status(B), topics.tele(B, "till")))):
        with _closing(_headquarters(made, name)) as program:
            for topic in (*(each(B) for each in (*WRITES, *READS)), *FOREIGN):
                with contextlib.suppress(EOFError):
                    program.publish(topic, b"forbidden")
                through = any(payload == b"forbidden" for _, payload in _flushed(watcher))
                watcher.got.clear()
                seen.expect(f"{name} published {topic}", refused=not through)
        with _closing(_headquarters(made, name)) as program:
            program.subscribe("#")
            for topic in (*secrets, topics.status(B), topics.tele(B, "till")):
                watcher.publish(topic, b"live")
            told = {topic for topic, payload in _flushed(program) if payload == b"live"}
            for topic in forbidden:
                seen.expect(f"{name} read {topic}", refused=topic not in told)
            if name == "monitor" and topics.status(B) not in told:
                seen.faults.append("monitor is told nothing")
    watcher.drop()


def _flushed(client: Client) -> list[tuple[str, bytes]]:
    with contextlib.suppress(EOFError):
        client.flush()
    return client.got


def _sharing(made: Secured, seen: Seen) -> None:
    """Groups that collectors might be in: A is in all of them that it can think of, and takes none of their messages away."""
    group = shared_group(made.signer, "batches")
    with _closing(_headquarters(made, "collector")) as collector, _closing(_terminal(made, A)) as terminal:
        collector.subscribe(topics.shared(group, topics.EVERY_BATCH))
        public = made.signer.public_key.hex()
        for guess in ("terminald", "collector", "batches", "#", "+", "", public, public[:32], "%u"):
            with contextlib.suppress(EOFError):
                terminal.subscribe(topics.shared(guess, topics.EVERY_BATCH))
        with _closing(_terminal(made, B)) as other:
            sent = [f"{number}".encode() for number in range(20)]
            for payload in sent:
                other.publish(topics.batch(B), payload)
        collector.flush()
        came = [payload for topic, payload in collector.got if topic == topics.batch(B)]
        for payload in sent:
            seen.expect(f"{A} took batch {payload.decode()} away from the collectors", refused=payload in came)


def _claiming(made: Secured, seen: Seen) -> None:
    """B's name in every field that a client may fill: B stays connected, and A stays A."""
    with _closing(_terminal(made, B)) as rightful:
        for client_id, username in ((B, None), (B, B), (A, B), ("", B), ("headquarters", "collector"), ("", None)):
            watcher = _watcher(made)
            with (
                contextlib.suppress(Refused, EOFError),
                _closing(
                    Client.connect(made.terminals_port, made.terminal(A), client_id, username=username)
                ) as claimant,
            ):
                claimant.publish(topics.status(B), b"forbidden")
                claimant.publish(topics.ack(B), b"forbidden")
                claimant.publish(topics.status(A), b"marker")
            watcher.flush()
            through = any(payload == b"forbidden" for _, payload in watcher.got)
            seen.expect(f"{A} spoke as {client_id or username!r}", refused=not through)
            try:
                stays = rightful.publish(topics.status(B), b"still here") < 0x80
            except EOFError:
                stays = False
            seen.expect(f"{A} threw {B} out by the client id {client_id!r}", refused=stays)
            watcher.drop()
            if not stays:
                return


def _strangers(made: Secured) -> dict[str, tuple[str, Callable[[], ssl.SSLContext | None]]]:
    """Who must not come in, at which door, and with what; made before the broker reads its lists."""
    other = CA.make(made.folder / "other", "Test", load_or_make(made.folder / "other-key"), now_ms())
    revoked = made.saved("revoked", terminal_pair(made.ca, "till-r"))
    made.ca.revoke("till-r", "test", now_ms())
    broken = made.saved("fleet-r", made.ca.issue("fleet-r", now_ms=now_ms()))
    made.ca.revoke("fleet-r", "test", now_ms(), authority="headquarters")
    made.ca.publish(now_ms())
    for path in made.place.glob("*.cr?"):
        path.chmod(0o644)
    leaf = terminal_pair(made.ca, A)
    pairs: dict[str, tuple[str, Path]] = {
        "a terminal of another authority of the same name": ("terminals", made.saved("o", terminal_pair(other, B))),
        "an expired certificate": ("terminals", made.saved("e", terminal_pair(made.ca, B, days=-0.5))),
        "a certificate of tomorrow": (
            "terminals", made.saved("t", terminal_pair(made.ca, B, at_ms=now_ms() + 3 * DAY_MS)),
        ),
        "a self-signed certificate": ("terminals", made.saved("s", _self_signed(B))),
        "a certificate that a terminal signed": ("terminals", made.saved("l", _signed_by(leaf, B))),
        "a revoked terminal": ("terminals", revoked),
        "headquarters' certificate": ("terminals", made.saved("h", made.ca.issue("collector", now_ms=now_ms()))),
        "a server's certificate": ("headquarters", _broker_pair(made)),
        "a terminal": ("headquarters", made.saved("a", terminal_pair(made.ca, "collector"))),
        "a revoked tool": ("headquarters", broken),
        "a tool of another authority": ("headquarters", made.saved("f", other.issue("fleet", now_ms=now_ms()))),
        "a self-signed tool": ("headquarters", made.saved("c", _self_signed("collector"))),
    }  # fmt: skip
    found: dict[str, tuple[str, Callable[[], ssl.SSLContext | None]]] = {
        what: (door, functools.partial(context, None, pair)) for what, (door, pair) in pairs.items()
    }
    for door in ("terminals", "headquarters"):
        found[f"nobody ({door})"] = (door, functools.partial(context, None, None))
        found[f"plain MQTT ({door})"] = (door, lambda: None)
        good = (
            made.saved("old", terminal_pair(made.ca, A))
            if door == "terminals"
            else made.saved("old", made.ca.issue("fleet", now_ms=now_ms()))
        )
        found[f"TLS 1.1 ({door})"] = (door, functools.partial(_old, good))
    return found


def _enters(made: Secured, door: str, entrance: Callable[[], ssl.SSLContext | None]) -> bool:
    port = made.terminals_port if door == "terminals" else made.headquarters_port
    try:
        with _closing(Client.connect(port, entrance(), B, username=B)):
            return True
    except Refused:
        return False


def _self_signed(name: str) -> Pair:
    made = Authority.make(name, now_ms())
    return Pair(certificate=certificate_pem(made.certificate), key=key_pem(made.key))


def _signed_by(leaf: Pair, name: str) -> Pair:
    """A certificate that an ordinary one signed, with that one beside it."""
    key = new_key()
    signing = Authority.read(leaf.certificate, leaf.key, None)
    certificate = signing.issue(name, key.public_key(), purpose="client", days=30, now_ms=now_ms())
    return Pair(certificate=certificate_pem(certificate) + leaf.certificate, key=key_pem(key))


def _broker_pair(made: Secured) -> Path:
    return made.saved(
        "b", Pair(certificate=(made.place / "broker.crt").read_bytes(), key=(made.place / "broker.key").read_bytes())
    )


def _old(pair: Path) -> ssl.SSLContext:
    made = context(None, pair)
    made.set_ciphers("DEFAULT:@SECLEVEL=0")
    made.minimum_version = ssl.TLSVersion.TLSv1
    made.maximum_version = ssl.TLSVersion.TLSv1_1
    return made


def _terminal(made: Secured, name: str, *, will: tuple[str, bytes] | None = None) -> Client:
    return Client.connect(made.terminals_port, made.terminal(name), name, will=will)


def _headquarters(made: Secured, name: str) -> Client:
    return Client.connect(made.headquarters_port, made.client(name), name)


def _watcher(made: Secured) -> Client:
    watcher = Client.connect(made.broker.port, None, "watcher")
    for topic_filter in ("#", "$CONTROL/#"):
        watcher.subscribe(topic_filter)
    watcher.flush()
    return watcher


def _closing(client: Client) -> contextlib.AbstractContextManager[Client]:
    @contextlib.contextmanager
    def scope() -> Iterator[Client]:
        try:
            yield client
        finally:
            client.drop()

    return scope()
