"""Which device belongs to which table of the configuration, and what it is called: rules without I/O.

A node goes to the table that describes it most closely (a path before a serial number, then port, product, vendor; of
two that are equally close, the first in the file). What no table wants may be adopted: a scanner of a known maker.
"""

import zlib
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass

from drivers import nodes
from drivers.nodes import Match, Node, NodeKind

NAME_LENGTH_MAX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one table looks for. `match` None is the wish of a driver that adopts scanners; it has no table."""

    name: str
    driver: str
    kinds: tuple[NodeKind, ...]
    match: Match | None


def assigned(
    present: Sequence[Node], wishes: Sequence[Wish], taken: Container[str], *, any_keyboard: bool = False
) -> dict[str, list[Node]]:
    """Each wish by its name to the nodes that it gets. `taken` are paths that a table names itself."""
    given: dict[str, list[Node]] = {wish.name: [] for wish in wishes}
    free = [node for node in present if node.path not in taken]
    configured = {node.device for node in present if node.path in taken and node.device}
    for node in list(free):
        fitting = [wish for wish in wishes if wish.match is not None and _fits(wish.match, wish, node)]
        if fitting:
            # max() keeps the first of equals: the first in the file.
            best = max(fitting, key=_precision)
            given[best.name].append(node)
            free.remove(node)
            configured |= {node.device} - {""}
    for wish in wishes:
        if wish.match is None:
            found = [node for node in free if node.kind in wish.kinds and _is_scanner(node, any_keyboard)]
            # A device that a table uses by another of its nodes is no stranger.
            given[wish.name] += [node for node in found if node.device not in configured]
    return given


def identities(present: Iterable[Node]) -> dict[str, Node]:
    """Nodes of one kind, each by what it is known by. Two devices with one serial number (there are makers who count no further) are
    told apart by their ports, two interfaces of one device by their number."""
    found: dict[str, Node] = {}
    for node in present:
        names = (node.identity, f"{node.identity}#{node.interface}", f"{node.identity}@{node.port_path}", node.path)
        found[next(name for name in names if name not in found or name == node.path)] = node
    return found


def free_name(stem: str, node: Node, identity: str, is_free: Callable[[str], bool]) -> str:
    """A name for a device of a table that has more than one, the same one whenever it is plugged in again."""
    tag = nodes.short_name(node)
    tags = (tag, f"{tag}-{node.interface}" if node.interface else tag, *(f"{tag}-{number}" for number in range(2, 100)))
    names = (f"{stem[: NAME_LENGTH_MAX - 1 - len(ending)]}-{ending}" for ending in (each[-20:] for each in tags))
    return next((name for name in names if is_free(name)), f"{stem[:8]}-{zlib.crc32(identity.encode()):08x}")


def _precision(wish: Wish) -> tuple[bool, ...]:
    return wish.match.precision if wish.match is not None else ()


def _fits(match: Match, wish: Wish, node: Node) -> bool:
    return node.kind in wish.kinds and match.fits(node)


def _is_scanner(node: Node, any_keyboard: bool) -> bool:
    match node.kind:
        case "keyboard":
            return nodes.scanner_maker(node) is not None or (any_keyboard and bool(node.vendor))
        case "serial":
            # The chip of an adapter says nothing of what hangs at its other end.
            return node.is_acm and nodes.scanner_maker(node) is not None
        case "hidraw" | "usb-printer" | "usb":
            return False
