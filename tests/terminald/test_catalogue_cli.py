"""The command `terminald catalogue`, as a technician or a script uses it."""

import json
from pathlib import Path

import pytest

from core.catalogue import Change, UpdateHead, write_update
from terminald.cli import main

CONFIG = """
[terminal]
id = "till-1"
[shop]
name = "Corner Shop"
[[shop.tax]]
code = "A"
rate = "7.00"
[catalogue]
price_list = "outlet"
"""
GOODS = (
    "gtin,name,unit,price,tax,item,pack,list,valid_to,stock\n"
    "4006381333931,Pencil,each,1.20,A,,,,,31\n"
    "4006381333931,,,1.00,,,,outlet,,\n"
    "4006381333931,,,0.80,,,,outlet,2031-01-01,\n"
    "10012345678902,,,,,4006381333931,12,,,\n"
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "terminal.toml").write_text(CONFIG)
    return tmp_path / "terminal.toml"


@pytest.fixture
def filled(config: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    config.with_name("goods.csv").write_text(GOODS)
    assert run(config, "import", str(config.with_name("goods.csv"))) == 0
    capsys.readouterr()
    return config


def run(config: Path, *arguments: str) -> int:
    return main(["catalogue", *arguments, "--config", str(config)])


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def update(config: Path, *changes: Change, head: UpdateHead) -> str:
    path = config.with_name("update")
    path.write_bytes(b"".join(write_update(head, changes)))
    return str(path)


def test_import(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.with_name("goods.csv").write_text(GOODS)
    source = str(config.with_name("goods.csv"))
    assert run(config, "import", source, "--json", "--number", "41") == 0
    answer = said(capsys)
    assert len(str(answer.pop("hash"))) == 64
    assert answer == {"number": 41, "items": 1, "codes": 1, "prices": 2, "counted": 1}
    assert run(config, "import", source) == 0
    assert capsys.readouterr().out == "version 42: 1 items, 1 more codes, 2 more prices\n"
    assert run(config, "import", source, "--number", "0") == 2


def test_a_bad_file_is_refused_line_by_line(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled.with_name("bad.csv").write_text(GOODS.replace("1.20", "-1.20").replace(",31", ",x"))
    assert run(filled, "import", str(filled.with_name("bad.csv")), "--json") == 1
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert (answer["error"], answer["count"]) == ("catalogue-refused", 1)
    assert answer["faults"][0].startswith("line 2: price -1.20 is negative; stock 'x'")
    assert "line 2: price -1.20 is negative" in captured.err
    assert "the shop sells from the old items meanwhile" in captured.err
    assert run(filled, "import", "/nowhere.csv") == 1
    assert run(filled, "search", "pencil") == 0


def test_apply(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(filled, "status", "--json") == 0
    has = said(capsys)
    head = UpdateHead(format=1, from_number=1, from_hash=str(has["hash"]), to_number=2)
    source = update(filled, Change(op="stock", gtin="4006381333931", stock="7"), head=head)
    for already in (False, True):
        assert run(filled, "apply", source, "--json") == 0
        answer = said(capsys)
        assert (answer["number"], answer["already"]) == (2, already)
    assert run(filled, "apply", source) == 0
    assert capsys.readouterr().out == "version 2 is there already: nothing was done\n"
    other = UpdateHead(format=1, from_number=7, from_hash="ab" * 32, to_number=8)
    assert run(filled, "apply", update(filled, head=other)) == 2
    assert "(catalogue-version). Apply the updates that are missing" in capsys.readouterr().err
    Path(source).write_bytes(Path(source).read_bytes()[:-30])
    assert run(filled, "apply", source, "--json") == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"] == "catalogue-update-torn"
    assert "it was cut off" in captured.err
    assert run(filled, "apply", "/nowhere") == 2
    assert "there is no /nowhere" in capsys.readouterr().err


def test_status(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(filled, "status", "--json") == 0
    answer = said(capsys)
    assert (answer["number"], answer["kind"], answer["items"], answer["taxes"]) == (1, "whole", 1, {"A": 1})
    assert answer["unknown_taxes"] == []
    filled.write_text(CONFIG.replace('"A"', '"B"'))
    assert run(filled, "status") == 1
    assert "1 items have tax 'A', which terminal.toml does not name" in capsys.readouterr().out


def test_search_and_show(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(filled, "search", "penc") == 0
    assert capsys.readouterr().out == "04006381333931  Pencil\n"
    assert run(filled, "search", "penguin", "--json") == 1
    assert said(capsys) == {"found": []}
    assert run(filled, "show", "4006381333931", "--at", "2030-11-24") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[:3] == ["04006381333931  Pencil", "0.80 a piece, tax A", "also 10012345678902"]
    assert shown[3:5] == ["0.80 from ever to 2031-01-02T00:00 in list outlet", "1.00 from ever to ever in list outlet"]
    assert shown[5].startswith("31 on the shelf, counted 20")
    assert run(filled, "show", "10012345678902", "--json", "--at", "2031-06-01") == 0
    answer = said(capsys)
    assert answer["on_hand_milli"] == 31_000
    item = answer["item"]
    assert isinstance(item, dict)
    assert (item["item"], item["count"], item["unit_price_minor"]) == ("04006381333931", 12, 100)
    assert run(filled, "show", "96385074") == 1
    assert run(filled, "show", "96385075") == 2
    assert "has the check digit 5, and should have 4" in capsys.readouterr().err
    assert run(filled, "show", "96385074", "--at", "yesterday") == 2


def test_without_a_catalogue(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["status"], ["search", "x"], ["show", "96385074"]):
        assert run(config, *arguments) == 2
        assert "there is no catalogue.db: nothing was imported yet (journal-missing)" in capsys.readouterr().err
    assert not config.with_name("catalogue.db").exists()
