"""X's keyboard data (Debian's xkb-data), asked through libxkbcommon: somebody else's word on what a key means."""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint32, c_void_p

EVDEV_OFFSET = 8
"""X counts keys from eight more than Linux does."""
_DEAD = {
    "dead_circumflex": "ˆ", "dead_grave": "ˋ", "dead_tilde": "˜", "dead_acute": "´",
    "dead_diaeresis": "¨", "dead_cedilla": "¸", "dead_caron": "ˇ", "dead_abovering": "˚",
}  # fmt: skip


class _Names(ctypes.Structure):
    _fields_ = [(name, c_char_p) for name in ("rules", "model", "layout", "variant", "options")]


class Xkb:
    """One of X's layouts, by its name and variant. Raises OSError where the library or the data is missing."""

    def __init__(self, layout: str, variant: str = "") -> None:
        self._library = _library()
        context = self._library.xkb_context_new(0)
        names = _Names(b"evdev", b"pc105", layout.encode(), variant.encode(), b"")
        self._keymap = self._library.xkb_keymap_new_from_names(context, byref(names), 0)
        if not self._keymap:
            raise OSError(f"xkb-data has no layout {layout} {variant}")

    def character(self, key: int, level: int) -> str | None:
        """What a key (Linux' number) gives on a level (0 plain, 1 Shift, 2 AltGr, 3 both); None for nothing known."""
        found = POINTER(c_uint32)()
        count = self._library.xkb_keymap_key_get_syms_by_level(self._keymap, key + EVDEV_OFFSET, 0, level, byref(found))
        if count != 1:
            return None
        name = ctypes.create_string_buffer(64)
        self._library.xkb_keysym_get_name(found[0], name, len(name))
        if name.value.decode() in _DEAD:
            return _DEAD[name.value.decode()]
        point = self._library.xkb_keysym_to_utf32(found[0])
        return chr(point) if point >= 0x20 else None


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libxkbcommon.so.0")
    for name, result, arguments in (
        ("context_new", c_void_p, [c_int]),
        ("keymap_new_from_names", c_void_p, [c_void_p, POINTER(_Names), c_int]),
        (
            "keymap_key_get_syms_by_level",
            c_int,
            [c_void_p, c_uint32, c_uint32, c_uint32, POINTER(POINTER(c_uint32))],
        ),
        ("keysym_get_name", c_int, [c_uint32, c_char_p, c_size_t]),
        ("keysym_to_utf32", c_uint32, [c_uint32]),
    ):
        function = getattr(library, f"xkb_{name}")
        function.restype, function.argtypes = result, arguments
    return library
