"""Keyboard layouts as data: which character a scanner means by a key, under the layout that it is set to.

Scanners imitate keyboards under Windows, so these are Windows' layouts; X's keyboard data (xkb-data), which
`tests/drivers/test_layouts.py` holds them against, differs in a few keys that it names. A layout is a string a level
(plain, with Shift, with AltGr, with both), its rows apart by spaces, each from left to right:

- the digits' row: keys 41 and 2 to 13 of Linux' input-event-codes.h
- the rows below it: 16 to 27; 30 to 40 and 43; 86 and 44 to 53
- keys that only some keyboards have: 124 (yen) and 89 (ro)

``□`` stands for nothing. Accents that wait for the next key stand as ``ˆ ˋ ˜ ´ ¨ ¸ ˇ ˚``, so that a ``^`` is a plain one.
"""

import functools
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

SHIFT, ALTGR, CAPS = 1 << 10, 1 << 11, 1 << 12
"""What a key is pressed with, added to its number: together a stroke that stands for a character."""
NOTHING = "\0"
"""A stroke that stands for nothing, or for a character that is no single byte (ISO 8859-1)."""

_ROWS = ((41, *range(2, 14)), tuple(range(16, 28)), (*range(30, 41), 43), (86, *range(44, 54)), (124, 89))
_NO_KEY, _SPACE_BAR, _LESS_THAN = "□", 57, 86
_DEAD = {
    "ˆ": ("^", "\u0302"), "ˋ": ("`", "\u0300"), "˜": ("~", "\u0303"), "´": ("´", "\u0301"),
    "¨": ("¨", "\u0308"), "¸": ("¸", "\u0327"), "ˇ": (NOTHING, "\u030c"), "˚": ("°", "\u030a"),
}  # fmt: skip
"""Of each dead key: the accent that stands alone, and the one that goes onto a letter (a combining character)."""

Caps = Literal["letters", "keys"]
"""What Caps Lock turns around: letters alone, or, as on a French typewriter, every key."""


class _Levels(NamedTuple):
    """A layout as it is written down below."""

    plain: str
    shift: str
    altgr: str = ""
    both: str = ""
    caps: Caps = "letters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One layout: `cells` gives the character of each stroke; a dead key's is one of ``ˆ ˋ ˜ ´ ¨ ¸ ˇ ˚``."""

    name: str
    cells: Mapping[int, str]

    def read(self, strokes: Sequence[int]) -> str:
        """What the strokes mean; each is a key with its modifiers, or a character told outright (`literal`).

        An accent goes onto a letter that has it in ISO 8859-1, stands alone before a space bar, and else before what
        comes next, as Windows does it.
        """
        cells = self.cells
        text = [cells[stroke] if stroke in cells else _told(stroke) for stroke in strokes]
        return "".join(text) if _DEAD.keys().isdisjoint(text) else "".join(_accented(text))


@functools.cache
def layout(name: str) -> Layout:
    """One of `LAYOUTS`, made when it is first wanted."""
    return Layout(name=name, cells=_cells(LAYOUTS[name]))


def literal(character: str) -> int:
    """A stroke that means this character under every layout: a control key, a code on the keypad."""
    return -ord(character)


def _told(stroke: int) -> str:
    return chr(-stroke) if stroke < 0 else NOTHING


def _accented(text: Sequence[str]) -> Iterator[str]:
    waiting = ""
    for character in text:
        if not waiting:
            if character in _DEAD:
                waiting = character
            else:
                yield character
            continue
        alone, combining = _DEAD[waiting]
        waiting = ""
        if character == " ":
            yield alone
        elif character in _DEAD:
            yield from (alone, _DEAD[character][0])
        else:
            both = unicodedata.normalize("NFC", character + combining)
            yield from (both if _is_byte(both) else NOTHING,) if len(both) == 1 else (alone, character)
    if waiting:
        yield _DEAD[waiting][0]


def _is_byte(character: str) -> bool:
    return ord(character) < 0x100


def _cells(levels: _Levels) -> dict[int, str]:
    cells = {_SPACE_BAR | with_: " " for with_ in (0, SHIFT, ALTGR)}
    for with_, level in zip((0, SHIFT, ALTGR, ALTGR | SHIFT), levels[:4], strict=True):
        for keys, row in zip(_ROWS, level.split(" "), strict=False):
            for key, character in zip(keys, row, strict=False):
                if character != _NO_KEY:
                    seen = character in _DEAD or _is_byte(character)
                    cells[key | with_] = character if seen else NOTHING
    return cells | dict(_with_caps(cells, levels.caps))


def _with_caps(cells: Mapping[int, str], caps: Caps) -> Iterator[tuple[int, str]]:
    """The same keys while Caps Lock is on."""
    for stroke, character in cells.items():
        key, turned = stroke & ~(SHIFT | ALTGR), character
        if stroke & ALTGR == 0 and key != _LESS_THAN and (caps == "keys" or character.isalpha()):
            other = cells.get(stroke ^ SHIFT, NOTHING)
            turned = other if caps == "keys" or other == character.swapcase() else character
        yield stroke | CAPS, turned


LAYOUTS: Mapping[str, _Levels] = {
    "us": _Levels(
        "`1234567890-= qwertyuiop[] asdfghjkl;'\\ \\zxcvbnm,./",
        '~!@#$%^&*()_+ QWERTYUIOP{} ASDFGHJKL:"| |ZXCVBNM<>?',
    ),
    "uk": _Levels(
        "`1234567890-= qwertyuiop[] asdfghjkl;'# \\zxcvbnm,./",
        '¬!"£$%^&*()_+ QWERTYUIOP{} ASDFGHJKL:@~ |ZXCVBNM<>?',
        "¦",
    ),
    "fr": _Levels(
        "²&é\"'(-è_çà)= azertyuiopˆ$ qsdfghjklmù* <wxcvbn,;:!",
        "□1234567890°+ AZERTYUIOP¨£ QSDFGHJKLM%µ >WXCVBN?./§",
        "□□˜#{[|ˋ\\^@]} □□€□□□□□□□□¤",
        caps="keys",
    ),
    "be": _Levels(
        "²&é\"'(§è!çà)- azertyuiopˆ$ qsdfghjklmùµ <wxcvbn,;:=",
        "³1234567890°_ AZERTYUIOP¨* QSDFGHJKLM%£ >WXCVBN?./+",
        "□|@#{[^□□{}□□ □□€□□□□□□□[] □□□□□□□□□□´ˋ \\□□□□□□□□□˜",
        caps="keys",
    ),
    "de": _Levels(
        "ˆ1234567890ß´ qwertzuiopü+ asdfghjklöä# <yxcvbnm,.-",
        "°!\"§$%&/()=?ˋ QWERTZUIOPÜ* ASDFGHJKLÖÄ' >YXCVBNM;:_",
        "□□²³□□□{[]}\\□ @□€□□□□□□□□~ □ |□□□□□□µ",
    ),
    "ch-de": _Levels(
        "§1234567890'ˆ qwertzuiopü¨ asdfghjklöä$ <yxcvbnm,.-",
        '°+"*ç%&/()=?ˋ QWERTZUIOPè! ASDFGHJKLéà£ >YXCVBNM;:_',
        "□¦@#°§¬|¢□□´˜ □□€□□□□□□□[] □□□□□□□□□□{} \\",
    ),
    "ch-fr": _Levels(
        "§1234567890'ˆ qwertzuiopè¨ asdfghjkléà$ <yxcvbnm,.-",
        '°+"*ç%&/()=?ˋ QWERTZUIOPü! ASDFGHJKLöä£ >YXCVBNM;:_',
        "□¦@#°§¬|¢□□´˜ □□€□□□□□□□[] □□□□□□□□□□{} \\",
    ),
    "it": _Levels(
        "\\1234567890'ì qwertyuiopè+ asdfghjklòàù <zxcvbnm,.-",
        '|!"£$%&/()=?^ QWERTYUIOPé* ASDFGHJKLç°§ >ZXCVBNM;:_',
        "□ □□€□□□□□□□[] □□□□□□□□□@#",
        "□ □□□□□□□□□□{}",
    ),
    "es": _Levels(
        "º1234567890'¡ qwertyuiopˋ+ asdfghjklñ´ç <zxcvbnm,.-",
        'ª!"·$%&/()=?¿ QWERTYUIOPˆ* ASDFGHJKLÑ¨Ç >ZXCVBNM;:_',
        "\\|@#˜€¬ □□€□□□□□□□[] □□□□□□□□□□{}",
    ),
    "pt": _Levels(
        "\\1234567890'« qwertyuiop+´ asdfghjklçº˜ <zxcvbnm,.-",
        '|!"#$%&/()=?» QWERTYUIOP*ˋ ASDFGHJKLÇªˆ >ZXCVBNM;:_',
        "□□@£§€□{[]} □□€□□□□□□□¨",
    ),
    "se": _Levels(
        "§1234567890+´ qwertyuiopå¨ asdfghjklöä' <zxcvbnm,.-",
        '½!"#¤%&/()=?ˋ QWERTYUIOPÅˆ ASDFGHJKLÖÄ* >ZXCVBNM;:_',
        "□□@£$€□{[]}\\ □□€□□□□□□□□˜ □ |□□□□□□µ",
    ),
    "dk": _Levels(
        "½1234567890+´ qwertyuiopå¨ asdfghjklæø' <zxcvbnm,.-",
        '§!"#¤%&/()=?ˋ QWERTYUIOPÅˆ ASDFGHJKLÆØ* >ZXCVBNM;:_',
        "□□@£$€□{[]}□| □□€□□□□□□□□˜ □ \\□□□□□□µ",
    ),
    "no": _Levels(
        "|1234567890+\\ qwertyuiopå¨ asdfghjkløæ' <zxcvbnm,.-",
        '§!"#¤%&/()=?ˋ QWERTYUIOPÅˆ ASDFGHJKLØÆ* >ZXCVBNM;:_',
        "□□@£$€□{[]}□´ □□€□□□□□□□□˜ □ □□□□□□□µ",
    ),
    "ca-fr": _Levels(
        "#1234567890-= qwertyuiopˆ¸ asdfghjkl;ˋ< «zxcvbnm,.é",
        "|!\"/$%?&*()_+ QWERTYUIOPˆ¨ ASDFGHJKL:ˋ> »ZXCVBNM'.É",
        "\\±@£¢¤¬¦²³¼½¾ □□□□□□□□§¶[] □□□□□□□□□~{} °□□□□□□µ¯□´",
    ),
    "ca": _Levels(
        "/1234567890-= qwertyuiopˆç asdfghjkl;èà ùzxcvbnm,.é",
        "\\!@#$%?&*()_+ QWERTYUIOP¨Ç ASDFGHJKL:ÈÀ ÙZXCVBNM'\"É",
        "|□□□□□□{}[]□¬ □□□□□□□□□□ˋ˜ □□□□□□□□□° □«»□□□□□<>",
    ),
    "jp": _Levels(
        "□1234567890-^ qwertyuiop@[ asdfghjkl;:] □zxcvbnm,./ \\\\",
        "□!\"#$%&'()□=~ QWERTYUIOP`{ ASDFGHJKL+*} □ZXCVBNM<>? |_",
    ),
    "cz": _Levels(
        ";+ěščřžýáíé=´ qwertzuiopú) asdfghjklů§¨ \\yxcvbnm,.-",
        "˚1234567890%ˇ QWERTZUIOP/( ASDFGHJKL\"!' |YXCVBNM?:_",
        "□~ˇˆ□˚□ˋ□´□¨¸ \\|€□□□□□□□÷× □□□[]□□□□$ß¤ □□#&@{}□<>*",
    ),
}
"""By the name that the configuration gives them. The order is of no weight."""
