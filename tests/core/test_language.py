"""Each text for people has its words in every language, with the same blanks to fill, and what is compiled is what is written."""

import string
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from core.language import TAGS, tag_of, words

ROOT = Path(__file__).resolve().parents[2]
CATALOGUES = sorted((ROOT / "core" / "locale").glob("*/LC_MESSAGES/terminald.po"))


def _catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3])


def _blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def _pairs(path: Path) -> list[tuple[str, list[str]]]:
    """English, the plural where there is one, and all that a language says for it."""
    return [
        (message.id if isinstance(message.id, str) else message.id[-1], _said(message))
        for message in _catalogue(path)
        if message.id
    ]


def _said(message: Message) -> list[str]:
    return [message.string or ""] if isinstance(message.string, str | None) else [text or "" for text in message.string]


def test_the_catalogues_are_what_the_code_says() -> None:
    """Who added a text runs tools/words, and translates what it lists."""
    checked = subprocess.run(
        [sys.executable, ROOT / "tools" / "words", "--check"], capture_output=True, text=True, check=False
    )
    assert checked.stdout == "", checked.stdout
    assert checked.returncode == 0


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_each_text_is_translated_with_the_same_blanks(path: Path) -> None:
    assert len(_pairs(path)) > 400
    assert not any(message.fuzzy for message in _catalogue(path) if message.id)
    for english, said in _pairs(path):
        assert said, english
        assert all(said), english
        for text in said:
            assert _blanks(text) == _blanks(english), english
            assert text.count("\n") == english.count("\n"), english


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_no_text_is_in_characters_that_a_printer_for_china_has_not(path: Path) -> None:
    """GB2312, which every such printer has; the rest of GB18030 is for goods' names."""
    for _, said in _pairs(path):
        for text in said:
            text.replace("\N{HORIZONTAL ELLIPSIS}", "").encode("gb2312")


def test_chinese_is_simplified_and_whole() -> None:
    """A text that holds no ideograph was not translated; one in Latin letters alone is a name."""
    for _, said in _pairs(CATALOGUES[0]):
        for text in said:
            assert any(unicodedata.east_asian_width(letter) == "W" for letter in text), text


def test_saying() -> None:
    zh, en = words("zh"), words("en")
    assert zh("Change {amount}", amount="1.00") == "找零 1.00"
    assert en("Change {amount}", amount="1.00") == "Change 1.00"
    assert zh("A text that nobody has translated") == "A text that nobody has translated"
    assert [en.plural("{count} line", "{count} lines", count) for count in (1, 2)] == ["1 line", "2 lines"]
    assert zh.plural("{count} line", "{count} lines", 1) == "1 行"
    assert zh("") == ""


def test_languages_of_locales() -> None:
    assert [tag_of(locale) for locale in ("zh_CN.UTF-8", "zh", "en_GB.UTF-8", "C", "", "zha")] == [
        "zh", "zh", "en", "en", "en", "en",
    ]  # fmt: skip
    assert TAGS == ("en", "zh")
