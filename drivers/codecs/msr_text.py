"""A reader that sends its tracks as text: ``%...?`` then ``;...?``, a CR after each or after all, LRCs or none.

The default of ID TECH's and MagTek's serial readers [ID TECH 80096504-001, 7.1; MagTek 99875203]. A track that the
reader could not decode comes as ``%E?``.
"""

from core.events import CardFault
from drivers.codecs.msr import Swipe
from drivers.codecs.track import LENGTH_MAX

_ENDS = b"\r\n"
_STARTS = b"%;+"


def decode(view: memoryview) -> Swipe:
    """One swipe's text."""
    swipe = Swipe()
    while view:
        if view[0] in _ENDS or view[0] == 0:
            view = view[1:]
            continue
        length = _length(view)
        text, view = view[:length], view[length:]
        track = _track(text[0], swipe)
        if track is None:
            swipe.faults.setdefault(0, CardFault.START)
        elif len(text) == 3 and text[1] == ord("E") and text[2] == ord("?"):
            swipe.faults[track] = CardFault.UNREADABLE
        else:
            swipe.tracks[track] = text
    return swipe


def _track(first: int, swipe: Swipe) -> int | None:
    """Which track begins with this sentinel; on track 3 readers use any of them."""
    seen = swipe.tracks.keys() | swipe.faults.keys()
    for track, starts in ((1, b"%"), (2, b";"), (3, _STARTS)):
        if first in starts and track not in seen:
            return track
    return None


def _length(view: memoryview) -> int:
    """Up to the end of this track: its end sentinel and an LRC after it, or the line's end where there is none."""
    for place in range(min(len(view), max(LENGTH_MAX.values()) + 1)):
        if view[place] in _ENDS:
            return place
        if view[place] == ord("?"):
            return place + 1 + _has_lrc(view[place + 1 :])
    return len(view)


def _has_lrc(rest: memoryview) -> bool:
    """Whether one more character belongs to the track: then the line, or another track, comes after it."""
    if not rest or rest[0] in _ENDS:
        return False
    return len(rest) == 1 or rest[1] in _ENDS or rest[1] in _STARTS
