"""Documents in ESC/POS, read back as a printer reads them; and a printer's status bytes."""

import string
import unicodedata
from io import BytesIO

import pytest
from escpos.printer import Dummy
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.document import Barcode, Cut, Document, Element, Feed, Logo, QrCode, Rule, Text
from core.events import PaperStatus
from drivers.codecs.escpos import (
    QR_DOTS,
    EscposEncoder,
    PrinterStatus,
    Processed,
    RealTimeReply,
    StatusBack,
    StatusDecoder,
    from_replies,
    lay_out,
)
from drivers.codecs.escpos_paper import (
    BarcodePrinted,
    DrawerKicked,
    Happening,
    Initialised,
    LinePrinted,
    NotUnderstood,
    PaperCut,
    PaperDecoder,
    PaperFed,
    ProcessedAsked,
    QrPrinted,
    RasterPrinted,
    StatusBackSet,
)
from drivers.codecs.escpos_raster import raster

ENCODER = EscposEncoder(42, "CP858")
CP858 = bytes(range(0x80, 0x100)).decode("cp858")
PAPER_TEXT = st.text(string.ascii_letters + string.digits + ".,:%€äöüÄÖÜßéèñçÅø" + " ", max_size=60)


def happen(data: bytes) -> list[Happening]:
    decoder = PaperDecoder()
    decoder.feed(data)
    return drain(decoder)


def drain(decoder: PaperDecoder) -> list[Happening]:
    found = []
    while (happening := decoder.step()) is not None:
        found.append(happening)
    return found


def drawn(*elements: Element) -> list[Happening]:
    """What is on the paper, without the opening commands."""
    happenings = happen(ENCODER.encode(Document(elements=elements)))
    assert happenings[:2] == [Initialised(), StatusBackSet(mask=255)]
    return happenings[2:]


def test_a_receipt_line_by_line() -> None:
    assert drawn(
        Text(left="Corner Shop", style="centre-large"),
        Text(left="Äpfel", right="4,58 €"),
        Rule(),
        Text(left="Total", right="4.58", style="bold"),
        Feed(lines=2),
        QrCode(data="https://example.org/r?ü=1"),
        Text(left="Danke", style="centre"),
        Cut(),
    ) == [
        LinePrinted(text="Corner Shop", large=True, align="centre"),
        LinePrinted(text="Äpfel                               4,58 €"),
        LinePrinted(text="-" * 42),
        LinePrinted(text="Total                                 4.58", bold=True),
        PaperFed(lines=2),
        QrPrinted(data="https://example.org/r?ü=1"),
        LinePrinted(text="Danke", align="centre"),
        PaperFed(lines=6),
        PaperCut(),
    ]


def test_the_euro_and_umlauts_are_bytes_of_the_code_page() -> None:
    data = ENCODER.encode(Document(elements=(Text(left="Grüße €"),)))
    assert b"\x1bt\x13" in data  # ESC t 19: PC858
    assert b"Gr\x81\xe1e \xd5\n" in data


def test_letters_of_another_page_switch_and_come_back() -> None:
    assert drawn(Text(left="Łódź"), Text(left="Ελλάς"), Text(left="4 €"))[:3] == [
        LinePrinted(text="Łódź"),
        LinePrinted(text="Ελλάς"),
        LinePrinted(text="4 €"),
    ]


def test_what_no_page_has_becomes_a_question_mark() -> None:
    assert drawn(Text(left="茶 tea ☕")) == [LinePrinted(text="? tea ?")]


def test_text_never_commands_the_printer() -> None:
    evil = "tea\x1b@\x1dV\x00\x10\x14\x01\x00\x01\n"
    happenings = drawn(Text(left=evil), Cut())
    assert not any(isinstance(happening, Initialised | NotUnderstood) for happening in happenings)
    assert sum(isinstance(happening, PaperCut) for happening in happenings) == 1


def test_the_same_document_gives_the_same_bytes() -> None:
    document = Document(elements=(Text(left="4 €"), Cut()))
    before = ENCODER.encode(document)
    ENCODER.encode(Document(elements=(Text(left="Łódź Ελλάς"),)))
    assert ENCODER.encode(document) == before


@pytest.mark.parametrize(
    ("left", "right", "lines"),
    [
        ("Tea", "1.00", ["Tea   1.00"]),
        ("Tea", "", ["Tea"]),
        ("", "1.00", ["      1.00"]),
        ("", "", [""]),
        ("Green tea", "1.00", ["Green tea", "      1.00"]),
        ("Green tea from Ceylon", "1.00", ["Green tea", "from", "Ceylon", "      1.00"]),
        ("Teapots", "", ["Teapots"]),
        ("abcdefghijklmno", "", ["abcdefghij", "klmno"]),
        ("x", "123456789012345", ["x", "1234567890"]),
    ],
)
def test_text_is_laid_out_in_ten_columns(left: str, right: str, lines: list[str]) -> None:
    assert lay_out(left, right, 10) == lines


@given(PAPER_TEXT, st.text(string.digits + ".,", max_size=12), st.integers(20, 80))
def test_no_line_is_wider_than_the_paper_and_no_word_is_lost(left: str, right: str, columns: int) -> None:
    lines = lay_out(left, right, columns)
    assert all(len(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == (left + right).replace(" ", "")


@given(st.lists(st.tuples(PAPER_TEXT, st.text(CP858.replace("\xa0", ""), max_size=10)), max_size=8))
def test_what_is_encoded_can_be_read_on_the_paper(lines: list[tuple[str, str]]) -> None:
    elements = [Text(left=left, right=right) for left, right in lines]
    marks = [mark for mark in drawn(*elements) if isinstance(mark, LinePrinted)]
    expected = [line.rstrip() for left, right in lines for line in lay_out(left, right, 42)]
    assert [mark.text for mark in marks] == [line for line in expected if line]


@given(st.binary(max_size=300), st.lists(st.integers(1, 9), max_size=80))
def test_any_bytes_are_read_alike_however_they_are_cut_up(data: bytes, sizes: list[int]) -> None:
    decoder = PaperDecoder()
    found, rest = [], data
    for size in sizes:
        decoder.feed(rest[:size])
        found += drain(decoder)
        rest = rest[size:]
    decoder.feed(rest)
    assert found + drain(decoder) == happen(data)


def test_commands_of_other_programs_are_skipped_in_step() -> None:
    picture = b"\x1dv0\x00\x02\x00\x03\x00" + b"ABCDEF"
    barcodes = b"\x1dk\x49\x04{B12" + b"\x1dk\x024006381333931\x00"
    others = b"\x1b3\x18\x1bM\x00\x1b-\x01\x1c.\x1dL\x00\x00\x1b\\\x00\x00\x1bD\x08\x10\x00\x1dh\x50\x10\x04\x01"
    assert happen(picture + barcodes + others + b"ok\n") == [
        RasterPrinted(width=16, rows=(b"AB", b"CD", b"EF")),
        BarcodePrinted(kind="code128", data="12"),
        LinePrinted(text="ok"),
    ]


def test_what_is_no_command_is_told() -> None:
    assert happen(b"\x01\x1b\xffok\n") == [
        NotUnderstood(data=b"\x01"),
        NotUnderstood(data=b"\x1b\xff"),
        LinePrinted(text="ok"),
    ]


def printed(data: bytes) -> list[str]:
    return [mark.text for mark in happen(data) if isinstance(mark, LinePrinted)]


@given(st.text(st.sampled_from("abc 019äßéÅñ€Łőžжщλω╬£"), max_size=60))
def test_text_reads_as_another_encoder_writes_it(text: str) -> None:
    """python-escpos is that one; which character table it takes where several have a letter is its own affair."""
    other = Dummy()
    other.text(unicodedata.normalize("NFC", text) + "\n")
    own = EscposEncoder(80, "CP437").encode(Document(elements=(Text(left=text),)))
    assert printed(own) == printed(other.output)


def test_a_qr_code_is_as_another_encoder_writes_it() -> None:
    other = Dummy()
    other.qr("TD1:till-1/ä", ec=1, size=QR_DOTS, native=True)
    own = EscposEncoder(42, "CP858").encode(Document(elements=(QrCode(data="TD1:till-1/ä"),)))
    assert other.output.strip(b"\n") in own


def test_kick_and_questions() -> None:
    assert happen(b"\x1bp\x00\x19\xfa\x1dr\x01") == [DrawerKicked(), ProcessedAsked()]


def test_a_full_line_prints_itself_once() -> None:
    assert happen(b"x" * 42 + b"\n" + b"y" * 43 + b"\n") == [
        LinePrinted(text="x" * 42),
        LinePrinted(text="y" * 42),
        LinePrinted(text="y"),
    ]


# --- pictures, bar codes, Chinese ----------------------------------------------------------------------------------


def png(dots: list[str], mode: str = "1") -> bytes:
    """A picture of ``#`` and spaces."""
    picture = Image.new(mode, (len(dots[0]), len(dots)), 1 if mode == "1" else (0, 0, 0, 0))
    for y, row in enumerate(dots):
        for x, dot in enumerate(row):
            if dot == "#":
                picture.putpixel((x, y), 0 if mode == "1" else (0, 0, 0, 255))
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("mode", ["1", "RGBA"])
def test_a_logo_comes_out_dot_by_dot(mode: str) -> None:
    encoder = EscposEncoder(42, "CP858", raster(png(["#        #", " ######## "], mode), 504))
    happenings = happen(encoder.encode(Document(elements=(Logo(), Text(left="Tea")))))
    assert happenings[2:] == [
        RasterPrinted(width=16, rows=(b"\x80\x40", b"\x7f\x80")),
        LinePrinted(text="Tea"),
    ]


def test_without_a_logo_nothing_is_drawn() -> None:
    assert drawn(Logo(), Text(left="Tea")) == [LinePrinted(text="Tea")]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "no PNG or BMP"), (b"\x89PNG\r\n\x1a\n", "no PNG or BMP"), (png(["#" * 505]), "505 x 1 dots")],
)
def test_what_is_no_logo_says_why(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        raster(content, 504)


@given(st.binary(max_size=200))
def test_noise_is_no_logo(noise: bytes) -> None:
    with pytest.raises(ValueError, match="it "):
        raster(noise, 504)


def test_bar_codes() -> None:
    assert drawn(Barcode(kind="ean13", data="4006381333931"), Barcode(kind="code128", data="TD{1}")) == [
        BarcodePrinted(kind="ean13", data="4006381333931"),
        BarcodePrinted(kind="code128", data="TD{1}"),
    ]


@pytest.mark.parametrize(
    "code",
    [
        Barcode(kind="ean13", data="12"),
        Barcode(kind="code128", data="täglich"),
        Barcode(kind="code128", data="much too wide for the paper"),
    ],
)
def test_what_is_no_bar_code_is_text(code: Barcode) -> None:
    assert drawn(code) == [LinePrinted(text=code.data, align="centre")]


CHINESE = EscposEncoder(42, "GB18030")


def test_chinese_takes_two_columns_a_character() -> None:
    data = CHINESE.encode(Document(elements=(Text(left="绿茶 500 克", right="¥ 12.50"), Text(left="茶" * 30), Rule())))
    assert "绿茶".encode("gb18030") in data
    assert data.startswith(b"\x1b@\x1c&")
    lines = [happening for happening in happen(data) if isinstance(happening, LinePrinted)]
    assert [line.text for line in lines] == [
        "绿茶 500 克" + " " * (42 - 11 - 8) + "\N{FULLWIDTH YEN SIGN} 12.50",
        "茶" * 21,
        "茶" * 9,
        "-" * 42,
    ]


@given(st.text(max_size=60), st.text(string.digits + "¥.", max_size=12), st.integers(20, 80))
def test_no_chinese_line_is_wider_than_the_paper(left: str, right: str, columns: int) -> None:
    lines = lay_out(left, right, columns, chinese=True)
    assert all(sum(1 if char.isascii() else 2 for char in line) <= columns for line in lines)
    for line in lines:
        line.encode("gb18030")


@given(st.text(st.characters(min_codepoint=0x20, exclude_categories=("C", "Z", "M")), max_size=40))
def test_any_text_comes_back_from_chinese_paper_however_it_is_cut_up(text: str) -> None:
    data = CHINESE.encode(Document(elements=(Text(left=text),)))
    whole, pieces = PaperDecoder(), PaperDecoder()
    whole.feed(data)
    expected = drain(whole)
    found: list[Happening] = []
    for byte in data:
        pieces.feed(bytes((byte,)))
        found += drain(pieces)
    assert found == expected
    printed = "".join(happening.text for happening in expected if isinstance(happening, LinePrinted))
    assert printed == unicodedata.normalize("NFC", text).replace("¥", "\N{FULLWIDTH YEN SIGN}")


# --- status --------------------------------------------------------------------------------------------------------

FINE = PrinterStatus(online=True, cover_open=False, paper=PaperStatus.OK, drawer_high=False)


def test_kinds_of_status_are_told_apart() -> None:
    data = b"\x12" + b"\x10\x00\x00\x0f" + b"\x00" + b"\x16\x11\x13\x72" + b"\x38\x00\x0f\x0f"
    assert StatusDecoder().feed(data) == [
        RealTimeReply(value=0x12),
        StatusBack(status=FINE),
        Processed(),
        RealTimeReply(value=0x16),
        RealTimeReply(value=0x72),
        StatusBack(status=PrinterStatus(online=False, cover_open=True, paper=PaperStatus.OUT, drawer_high=False)),
    ]


def test_real_time_replies_mean() -> None:
    assert from_replies(0x12, 0x12, 0x12) == FINE
    assert from_replies(0x1A, 0x16, 0x12) == PrinterStatus(
        online=False, cover_open=True, paper=PaperStatus.OK, drawer_high=False
    )
    assert from_replies(0x1A, 0x32, 0x7E).paper is PaperStatus.OUT
    assert from_replies(0x12, 0x12, 0x1E).paper is PaperStatus.NEAR_END


@given(st.binary(max_size=60), st.integers(0, 60))
def test_any_status_bytes_are_read_alike_however_they_are_cut_up(data: bytes, cut: int) -> None:
    decoder = StatusDecoder()
    assert decoder.feed(data[:cut]) + decoder.feed(data[cut:]) == StatusDecoder().feed(data)
