"""Pictures and documents that a person sends, of real bytes."""

import base64
import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from simulators.clients.documents import write_pdf, write_word
from sonora_app.errors import ErrorCode
from sonora_app.files.attachment import AttachmentKind, FileError
from sonora_app.files.base64_text import decoded
from sonora_app.files.documents import MAX_TEXT_CHARS
from sonora_app.files.pictures import LONGEST_EDGE, make_small
from sonora_app.files.reading import clean_name, read_attachment
from sonora_app.files.reading_child import Content, read_content

pytestmark = pytest.mark.unit

RED, BLUE = (200, 30, 40), (30, 40, 200)


def halves(width: int = 400, height: int = 200) -> Image.Image:
    """Red on its left, blue on its right."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return picture


def written(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def seen(data: bytes, across: float, down: float) -> tuple[int, ...]:
    """The colour at a place, told as a share of the width and height."""
    with Image.open(io.BytesIO(data)) as picture:
        width, height = picture.size
        colour = picture.convert("RGB").getpixel((int(across * width), int(down * height)))
    assert isinstance(colour, tuple)
    return tuple(map(int, colour))


def close(one: tuple[int, ...], other: tuple[int, ...], by: int = 12) -> bool:
    return all(abs(a - b) <= by for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_large_picture_is_made_small(kind: str) -> None:
    made = read_attachment(f"foto.{kind.lower()}", written(halves(2000, 1500), kind))

    assert (made.kind, made.media_type) == (AttachmentKind.PICTURE, "image/jpeg")
    assert (made.width, made.height) == (LONGEST_EDGE, LONGEST_EDGE * 3 // 4)
    assert close(seen(made.data, 0.2, 0.5), RED)
    assert close(seen(made.data, 0.8, 0.5), BLUE)


def test_a_small_picture_keeps_its_size() -> None:
    made = make_small(written(halves(40, 20), "PNG"))
    assert (made.width, made.height) == (40, 20)


def test_a_phones_sideways_picture_is_turned_and_its_place_is_not_kept() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turned by a quarter, clockwise, to be seen
    exif.get_ifd(0x8825).update({1: "N", 2: (41.0, 23.0, 7.0), 3: "E", 4: (2.0, 10.0, 1.0)})
    exif[0x010F] = "Cámara de Ana"
    sent = written(halves(3200, 1600), "JPEG", exif=exif)
    made = make_small(sent)

    assert (made.width, made.height) == (LONGEST_EDGE // 2, LONGEST_EDGE)
    assert close(seen(made.data, 0.5, 0.1), RED)
    assert close(seen(made.data, 0.5, 0.9), BLUE)
    assert b"Ana" in sent
    assert b"Exif" not in made.data
    assert b"Ana" not in made.data
    with Image.open(io.BytesIO(made.data)) as picture:
        assert not picture.getexif()


def test_a_print_in_cmyk_has_its_colours() -> None:
    sent = written(halves().convert("CMYK"), "JPEG")
    made = make_small(sent)
    assert close(seen(made.data, 0.2, 0.5), RED, by=20)
    assert close(seen(made.data, 0.8, 0.5), BLUE, by=20)


def test_a_grey_picture_of_16_bits_is_not_white() -> None:
    samples = np.full((100, 300), 0x4000, np.uint16)
    samples[:, 150:] = 0xC000
    made = make_small(written(Image.fromarray(samples), "PNG"))
    assert close(seen(made.data, 0.2, 0.5), (0x40,) * 3)
    assert close(seen(made.data, 0.8, 0.5), (0xC0,) * 3)


def test_what_is_transparent_is_white() -> None:
    layers = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    layers.paste((*RED, 255), (50, 0, 100, 100))
    for kind in ("PNG", "WEBP"):
        made = make_small(written(layers, kind, lossless=True))
        assert close(seen(made.data, 0.2, 0.5), (255, 255, 255))
        assert close(seen(made.data, 0.8, 0.5), RED)


def test_of_an_animation_the_first_picture_is_seen() -> None:
    first, second = Image.new("RGB", (60, 60), RED), Image.new("RGB", (60, 60), BLUE)
    for kind in ("GIF", "WEBP", "PNG"):
        sent = written(first, kind, save_all=True, append_images=[second], duration=100)
        assert close(seen(make_small(sent).data, 0.5, 0.5), RED)


def test_a_profile_is_heeded_where_it_is_whole_and_not_kept() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with_profile = make_small(written(halves(), "JPEG", icc_profile=profile))
    damaged = make_small(written(halves(), "JPEG", icc_profile=b"nothing of use"))
    for made in (with_profile, damaged):
        assert close(seen(made.data, 0.2, 0.5), RED)
        assert b"ICC_PROFILE" not in made.data


def test_half_a_picture_is_refused() -> None:
    noise = Image.effect_noise((900, 600), 60)
    for kind in ("JPEG", "PNG", "WEBP"):
        whole = written(noise.convert("RGB"), kind)
        for part in (len(whole) // 2, 40):
            with pytest.raises(FileError, match="damaged or not whole") as refused:
                read_attachment("foto", whole[:part])
            assert refused.value.code is ErrorCode.FILE_UNREADABLE


def bomb(width: int, height: int) -> bytes:
    """A PNG of some hundred bytes that claims to be huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    ended = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + ended


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    for edge, told in ((30_000, "so many megapixels"), (10_000, "100 megapixels")):
        with pytest.raises(FileError, match=told) as refused:
            read_attachment("foto.png", bomb(edge, edge))
        assert refused.value.code is ErrorCode.FILE_TOO_LARGE


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", ErrorCode.FILE_UNREADABLE, "empty"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", ErrorCode.FILE_UNSUPPORTED, "HEIC"),
        (b"II*\0" + bytes(100), ErrorCode.FILE_UNSUPPORTED, "TIFF"),
        (b"\x7fELF\x02\x01\x01" + bytes(100), ErrorCode.FILE_UNSUPPORTED, "kind"),
        (b"\xff\xd8\xff\xe0" + b"x" * 20_000_001, ErrorCode.FILE_TOO_LARGE, "20.0 MB"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_reason(
    data: bytes, code: ErrorCode, words: str
) -> None:
    with pytest.raises(FileError, match=words) as refused:
        read_attachment("foto.jpg", data)
    assert refused.value.code is code


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("C:\\Users\\ana\\foto.jpg", "foto.jpg"),
        ("../../etc/passwd", "passwd"),
        ("a\u202egpj.exe\n", "agpj.exe"),
        ("x" * 300 + ".jpeg", "x" * 115 + ".jpeg"),
    ],
)
def test_a_name_is_a_name_and_nothing_more(name: str, kept: str) -> None:
    assert clean_name(name) == kept


def test_documents_of_each_kind_are_read(tmp_path: Path) -> None:
    pdf = write_pdf(tmp_path / "horno.pdf", [["Limpie el horno", "con un paño."]], {})
    word = write_word(tmp_path / "horario.docx", [("text", "Abrimos a las nueve.")])
    table = "día;hora\nlunes;9\n"
    (tmp_path / "tabla.csv").write_text(table, "cp1252")
    (tmp_path / "notas.txt").write_text(table, "utf-16")

    read = {
        path.name: read_attachment(path.name, path.read_bytes())
        for path in (pdf, word, tmp_path / "tabla.csv", tmp_path / "notas.txt")
    }
    assert all(each.kind is AttachmentKind.DOCUMENT for each in read.values())
    assert "Limpie el horno con un paño." in read["horno.pdf"].text
    assert read["horno.pdf"].media_type == "application/pdf"
    assert read["horario.docx"].text == "Abrimos a las nueve."
    assert read["tabla.csv"].text == read["notas.txt"].text == table
    assert read["tabla.csv"].data == table.encode("cp1252")


def test_of_a_long_document_so_much_is_read_and_its_length_is_known() -> None:
    read = read_attachment("libro.txt", b"palabra " * 10_000)
    assert len(read.text) == MAX_TEXT_CHARS
    assert read.text_chars == 80_000


def test_a_word_file_that_unpacks_to_much_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("word/document.xml", b"<x/>" * 5_000_000)
    assert len(file.getvalue()) < 100_000
    with pytest.raises(FileError, match="unpacks to more than 6 MB") as refused:
        read_attachment("carta.docx", file.getvalue())
    assert refused.value.code is ErrorCode.FILE_TOO_LARGE


def test_damaged_documents_are_told_with_their_reason() -> None:
    for name, data, words in (
        ("roto.pdf", b"%PDF-1.7 cut", "not a whole PDF"),
        ("roto.docx", b"PK\x03\x04 cut", "not a whole Word"),
        ("vacio.txt", b" \n", "no text"),
        ("hoja.xlsx", b"PK\x03\x04 xl/", "kind"),
    ):
        with pytest.raises(FileError, match=words):
            read_attachment(name, data)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("aG9sYQ==", b"hola"),
        ("data:image/png;base64,aG9sYQ==", b"hola"),
        ("aG9s\n YQ", b"hola"),
        ("aG9sYQ==aG9s", None),
        ("no es base64!", None),
        ("ñ", None),
        ("data:text/plain,hola", None),
        ("data:", None),
        ("a", None),
    ],
)
def test_base64_is_read_with_and_without_its_marks(text: str, meant: bytes | None) -> None:
    assert decoded(text) == meant


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("Hola", "Hola"),
        ("contrato", "contrato"),
        ("Buy milk and bread tomorrow", "Buy milk and bread tomorrow"),
        ("UmVudGE6IDk1MA==", "Renta: 950"),
        ("data:text/plain;base64,SG9sYQ==", "Hola"),
        (base64.b64encode("Renta: 950 €".encode("utf-16")).decode(), "Renta: 950 €"),
    ],
)
def test_plain_words_that_are_base64_as_well_are_read_as_words(sent: str, read: str) -> None:
    assert read_content("a.txt", Content.BASE64_OR_TEXT, sent.encode()).text == read
