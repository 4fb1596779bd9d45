"""Words for people in their language: English stands in the code, others in gettext catalogues beside this module.

To add a text, write it in English where it is said: ``say("Put {what} on the scale", what=name)``, with names for what is
filled in; ``say.plural("{count} line", "{count} lines", count)`` where a number decides; `later` around a text that stands
in a table and is said elsewhere. Then ``tools/words`` gathers all texts into ``core/locale/*/LC_MESSAGES/terminald.po``;
translate what it lists there, and run it again: it compiles what is read here. `tests/core/test_language.py` fails while a
text lacks a translation.

A catalogue is part of the program like this module: it is read as modules are, once, and by nothing that the world can
change.
"""

import functools
import gettext
import io
import pkgutil
from typing import Literal, get_args

Tag = Literal["en", "zh"]
"""English, and Chinese in simplified characters."""

TAGS: tuple[Tag, ...] = get_args(Tag)
_CATALOGUES: dict[str, str] = {"zh": "zh_CN"}


def later(text: str) -> str:
    """The same text: it is gathered for translation here, and said where it is shown."""
    return text


class Words:
    """Says texts in one language; one that its catalogue does not have is said in English."""

    def __init__(self, tag: Tag, catalogue: gettext.NullTranslations) -> None:
        self.tag = tag
        self._catalogue = catalogue

    def __call__(self, text: str, /, **filled: object) -> str:
        """An English text, said; `filled` goes in at its names."""
        said = self._catalogue.gettext(text) if text else ""
        return said.format(**filled) if filled else said

    def plural(self, one: str, many: str, count: int, /, **filled: object) -> str:
        """One of two English texts, as `count` needs it; the number goes in at ``{count}``."""
        return self._catalogue.ngettext(one, many, count).format(count=count, **filled)


@functools.cache
def words(tag: Tag) -> Words:
    """The words of a language."""
    if tag not in _CATALOGUES:
        return Words(tag, gettext.NullTranslations())
    data = pkgutil.get_data("core", f"locale/{_CATALOGUES[tag]}/LC_MESSAGES/terminald.mo")
    assert data is not None, "the catalogues are installed with the program"
    return Words(tag, gettext.GNUTranslations(io.BytesIO(data)))


def tag_of(locale: str) -> Tag:
    """The language of a POSIX locale's name (``zh_CN.UTF-8``); English for one that there are no words of."""
    return "zh" if locale.partition("_")[0].partition(".")[0] == "zh" else "en"
