"""Which device goes to which table, and what it is called: rules alone."""

from drivers.nodes import Match, Node, scanner_maker, short_name
from terminald.seating import NAME_LENGTH_MAX, Wish, assigned, free_name, identities


def wish(name: str, driver: str = "scanner-serial", **match: str) -> Wish:
    return Wish(name=name, driver=driver, kinds=("serial",), match=Match(**match))


def node(path: str, **told: str) -> Node:
    return Node(path=path, kind="serial", is_acm=True, **told)


ADOPTER = Wish(name="scanner/scanner-serial", driver="scanner-serial", kinds=("serial",), match=None)
ZEBRA = node("/dev/ttyACM0", vendor="05e0", product="1701", serial="S1", port_path="p-usb-0:1.2:1.0", device="/usb/1")


def given(nodes: list[Node], wishes: list[Wish], taken: tuple[str, ...] = ()) -> dict[str, list[str]]:
    return {name: [node.path for node in found] for name, found in assigned(nodes, wishes, taken).items()}


def test_the_closest_description_wins_in_either_order() -> None:
    wishes = [wish("v", vendor="05e0"), wish("p", vendor="05e0", product="1701"), wish("s", serial="S1")]
    for order in (wishes, wishes[::-1]):
        assert given([ZEBRA], order) == {"v": [], "p": [], "s": ["/dev/ttyACM0"]}
    assert given([ZEBRA], wishes[:2]) == {"v": [], "p": ["/dev/ttyACM0"]}


def test_of_equals_the_first_wins() -> None:
    assert given([ZEBRA], [wish("a", vendor="05e0"), wish("b", vendor="05e0")]) == {"a": ["/dev/ttyACM0"], "b": []}


def test_a_path_goes_before_all() -> None:
    assert given([ZEBRA], [wish("s", serial="S1"), ADOPTER], ("/dev/ttyACM0",)) == {"s": [], ADOPTER.name: []}


def test_a_port_with_and_without_its_interface() -> None:
    assert Match(port_path="p-usb-0:1.2").fits(ZEBRA)
    assert Match(port_path="p-usb-0:1.2:1.0").fits(ZEBRA)
    assert not Match(port_path="p-usb-0:1").fits(ZEBRA)


def test_a_device_in_use_by_another_of_its_nodes_is_no_stranger() -> None:
    other = node("/dev/ttyACM1", vendor="05e0", device="/usb/1")
    assert given([ZEBRA, other], [wish("s", serial="S1"), ADOPTER]) == {"s": ["/dev/ttyACM0"], ADOPTER.name: []}
    assert given([ZEBRA, other], [ADOPTER], ("/dev/ttyACM0",)) == {ADOPTER.name: []}
    assert given([ZEBRA], [ADOPTER]) == {ADOPTER.name: ["/dev/ttyACM0"]}


def test_an_adapter_is_not_adopted_whoever_made_it() -> None:
    adapter = Node(path="/dev/ttyUSB0", kind="serial", vendor="05e0")
    assert given([adapter], [ADOPTER]) == {ADOPTER.name: []}


def test_makers() -> None:
    assert scanner_maker(ZEBRA) == "Symbol (Zebra)"
    assert scanner_maker(node("x", vendor="03f0", product="0139")) == "HP"
    assert scanner_maker(node("x", vendor="03f0", product="0024")) is None
    assert scanner_maker(node("x")) is None


def test_identities_are_never_shared() -> None:
    twins = [node(f"/dev/ttyACM{n}", serial="0", name="M_0", port_path=f"p{n}", interface="00") for n in range(4)]
    found = identities(twins)
    assert sorted(each.path for each in found.values()) == [each.path for each in twins]


def test_names_are_short_plain_and_free() -> None:
    odd = node("x", serial="\u00dcber/\u00a0scanner #0815-LONG")
    name = free_name("a-table-with-quite-a-long-name-x", odd, "id", lambda _: True)
    assert len(name) <= NAME_LENGTH_MAX
    assert name.endswith("815-long")
    used = {name}
    second = free_name("a-table-with-quite-a-long-name-x", odd, "id", lambda each: each not in used)
    assert second != name
    assert len(second) <= NAME_LENGTH_MAX
    assert free_name("s", odd, "id", lambda _: False) == free_name("s", odd, "id", lambda _: False)


def test_a_short_name_by_the_port() -> None:
    assert short_name(node("x", port_path="platform-3f980000.usb-usb-0:1.1.2:1.0")) == "1-1-2"
    assert short_name(node("x", port_path="platform-fe201000.serial")) == "0-serial"
    assert short_name(node("x")) == "device"
