"""The code of a receipt on the virtual paper: every module of it is there, in dots that fit between the margins."""

import segno

from demo.panels_paper import _qr
from drivers.simulated.printer import COLUMNS
from tests.core.test_receipt_code import SIGNED

_BITS = {0: (0, 0), 1: (1, 0), 2: (2, 0), 3: (0, 1), 4: (1, 1), 5: (2, 1), 6: (3, 0), 7: (3, 1)}


def test_a_signed_code_fits_and_is_whole() -> None:
    rows = _qr(SIGNED.text())
    assert max(map(len, rows)) <= COLUMNS
    modules = [[bool(dark) for dark in row] for row in segno.make(SIGNED.text(), error="m").matrix]
    size = len(modules)
    drawn = [[False] * size for _ in range(size)]
    for y, row in enumerate(rows):
        for x, letter in enumerate(row.lstrip(" ")):
            for bit, (down, right) in _BITS.items():
                if ord(letter) - 0x2800 >> bit & 1:
                    drawn[4 * y + down][2 * x + right] = True
    assert drawn == modules
