"""Documents of each kind, read and cut into passages."""

import zipfile
from pathlib import Path

import pytest

from simulators.clients.documents import write_pdf, write_word
from sonora_app.knowledge.passages import MAX_WORDS, cut, sentences, windows
from sonora_app.knowledge.reading.blocks import Block, BlockKind, ReadDocument
from sonora_app.knowledge.reading.errors import UnpackedTooLargeError, UnreadableError
from sonora_app.knowledge.reading.files import read_file, readable_files
from sonora_app.knowledge.reading.limits import Limits
from sonora_app.wording.translation import in_spanish

pytestmark = pytest.mark.unit

HTML = """<html lang="es-MX"><head><title>Manual</title><script>no()</script></head><body>
<nav><a href="/">Inicio</a></nav>
<ul><li><a href="#a">Uno</a></li><li><a href="#b">Dos</a></li><li><a href="#c">Tres</a></li></ul>
<h1>Manual</h1><p>Antes de <b>empezar</b>, lea<br>esto.</p>
<h2 id="agua">Agua</h2><p>Llene el depósito.</p><ul><li>Sin sal.</li><li>Sin cloro.</li></ul>
<table><tr><th>Luz</th><td>Roja</td></tr></table>
<h3 id="frio">Fría</h3><p>No la use helada.</p>
<footer>Derechos</footer></body></html>"""


def contents(path: Path) -> list[tuple[tuple[str, ...], int | None, str]]:
    return [(each.headings, each.page, each.content) for each in cut(read_file(path))]


def test_a_page_is_cut_at_its_headings_and_its_navigation_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "manual.html"
    path.write_text(HTML, "utf-8")
    document = read_file(path)

    assert (document.title, document.language) == ("Manual", "es")
    assert contents(path) == [
        ((), None, "Antes de empezar, lea esto."),
        (("Agua",), None, "Llene el depósito. Sin sal. Sin cloro. Luz; Roja"),
        (("Agua", "Fría"), None, "No la use helada."),
    ]
    assert [each.anchor for each in cut(document)] == [None, "agua", "frio"]


def test_markdown_keeps_its_headings_lists_and_tables(tmp_path: Path) -> None:
    path = tmp_path / "notas.md"
    path.write_text(
        "---\nautor: x\n---\n# Notas\n\nHola.\n\n"
        "## Envíos\n\n- Llegan en dos días\n- Son gratis\n\n"
        "| zona | precio |\n|---|---|\n| norte | 5 |\n",
        "utf-8",
    )

    assert read_file(path).title == "Notas"
    assert contents(path)[1][0] == ("Envíos",)
    assert contents(path)[1][2] == "Llegan en dos días. Son gratis. zona; precio. norte; 5"


def test_a_word_file_is_read_with_its_tables(tmp_path: Path) -> None:
    parts = [("heading 1", "Horario"), ("text", "Abrimos a las nueve."), ("cell", "Lunes cerrado")]

    assert contents(write_word(tmp_path / "horario.docx", parts)) == [
        ((), None, "Abrimos a las nueve. Lunes cerrado")
    ]


def test_a_pdf_keeps_its_pages_and_outline_and_loses_running_headers(tmp_path: Path) -> None:
    pages = [
        ["Guía del horno", "Limpieza", "Espere a que se enfríe. Use un paño húme-", "do y jabón."],
        ["Guía del horno", "La puerta se quita hacia", "arriba.", "Averías", "Llame al técnico."],
        ["Guía del horno", "El número está detrás."],
    ]
    path = write_pdf(tmp_path / "horno.pdf", pages, {"Limpieza": 0, "Averías": 1})

    assert contents(path) == [
        (
            ("Limpieza",),
            1,
            "Espere a que se enfríe. Use un paño húmedo y jabón. La puerta se quita hacia arriba.",
        ),
        (("Averías",), 2, "Llame al técnico. El número está detrás."),
    ]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("roto.pdf", b"%PDF-1.4 cut", "it is not a whole PDF file"),
        ("roto.docx", b"PK\x03\x04 cut", "it is not a whole Word file"),
        ("vacio.txt", b"  \n", "it holds no text"),
        ("binario.txt", b"\x00\x01", "it is not text"),
        ("hondo.html", b"<div>" * 3000 + b"El texto.", "it is damaged"),
        ("hoja.xlsx", b"PK", "files of this kind are not read"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(UnreadableError, match=reason):
        read_file(tmp_path / name)


def test_a_word_file_whose_xml_is_broken_is_told(tmp_path: Path) -> None:
    whole = write_word(tmp_path / "mal.docx", [("text", "a < b, sin escapar")])

    with pytest.raises(UnreadableError, match="it is damaged"):
        read_file(whole)


def test_what_unpacks_to_more_than_is_read_is_told_in_both_languages(tmp_path: Path) -> None:
    text = "Abrimos a las nueve."
    word = write_word(tmp_path / "carta.docx", [("text", text)])
    pdf = write_pdf(tmp_path / "carta.pdf", [[text]])
    with zipfile.ZipFile(word) as packed:
        marked = sum(each.file_size for each in packed.infolist())

    for path, unpacked in ((word, marked), (pdf, len(text))):
        assert read_file(path, Limits(unpacked_bytes=unpacked)).blocks[0].text == text
        with pytest.raises(UnpackedTooLargeError, match="it unpacks to more than") as refused:
            read_file(path, Limits(unpacked_bytes=unpacked - 1))
        assert "descomprimido tiene más de" in in_spanish(refused.value.message)


def test_text_of_windows_in_utf_16_is_read(tmp_path: Path) -> None:
    (tmp_path / "llaves.txt").write_bytes("Las llaves están aquí.".encode("utf-16"))

    assert read_file(tmp_path / "llaves.txt").blocks[0].text == "Las llaves están aquí."


def test_a_pdf_of_pictures_is_told_from_one_with_text(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="only pictures"):
        read_file(write_pdf(tmp_path / "escaneado.pdf", [[], []]))


def test_a_folder_gives_what_can_be_read_in_it(tmp_path: Path) -> None:
    for name in ("b.md", "a/c.txt", ".git/x.md", "foto.png", "d.HTML"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")

    assert [file.name for file in readable_files(tmp_path)] == ["c.txt", "b.md", "d.HTML"]


def test_sentences_do_not_end_at_abbreviations() -> None:
    text = "Llame al Sr. Pérez, p. ej. por la tarde. ¿Sabe su n.º? Pregunte a la Dra. Gil. Fin."

    assert sentences(text) == [
        "Llame al Sr. Pérez, p. ej. por la tarde.",
        "¿Sabe su n.º?",
        "Pregunte a la Dra. Gil.",
        "Fin.",
    ]


def test_passages_are_of_whole_sentences_and_cover_the_text() -> None:
    said = [f"Esta es la frase número {number} de un texto muy largo." for number in range(60)]
    blocks = [Block(BlockKind.TEXT, " ".join(said[i : i + 7])) for i in range(0, 60, 7)]
    passages = cut(ReadDocument("Texto", blocks))

    assert " ".join(each.content for each in passages) == " ".join(said)
    assert all(len(each.content.split()) <= MAX_WORDS for each in passages)
    assert all(each.content.endswith(".") for each in passages)
    assert " ".join(windows(passages[0].content)) == passages[0].content
    assert len(windows(passages[0].content)) > 1


def test_a_list_stays_with_the_sentence_that_introduces_it() -> None:
    filler = Block(BlockKind.TEXT, "Palabra " * 98 + "final.")
    blocks = [
        filler,
        Block(BlockKind.TEXT, "Necesita lo siguiente:"),
        Block(BlockKind.ITEM, "Una llave"),
    ]
    passages = cut(ReadDocument("Texto", blocks))

    assert any("Necesita lo siguiente: Una llave" in each.content for each in passages)
