"""A picture as a printer's raster (ESC/POS GS v 0), and back: one bit a dot, rows from the top, 1 is black.

Source: Epson's ESC/POS Command Reference, GS v 0 m xL xH yL yH.
"""

from io import BytesIO

ROWS_MAX = 600
"""75 mm at 203 dots an inch."""


def raster(content: bytes, dots_max: int) -> bytes:
    """The bytes that print a PNG or BMP file's picture, dark dots black. Raises ValueError that names what is wrong."""
    from PIL import Image  # late: it takes its time to load, and few have a logo

    try:
        with Image.open(BytesIO(content), formats=("PNG", "BMP")) as opened:
            width, height = opened.size
            if width > dots_max or height > ROWS_MAX:
                raise ValueError(f"it has {width} x {height} dots, and the paper takes {dots_max} x {ROWS_MAX}")
            picture = opened.convert("RGBA")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("it is no PNG or BMP picture") from error
    row_bytes = -(-width // 8)
    paper = Image.new("RGBA", (8 * row_bytes, height), "white")
    paper.alpha_composite(picture)
    dots = bytes(byte ^ 0xFF for byte in paper.convert("L").convert("1", dither=Image.Dither.NONE).tobytes())
    return b"\x1dv0\x00" + row_bytes.to_bytes(2, "little") + height.to_bytes(2, "little") + dots
