"""Documents of each kind that can be read, written from scratch for the tests."""

import zipfile
from pathlib import Path

_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/'
    'content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-'
    'package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-'
    'officedocument.wordprocessingml.document.main+xml"/>'
    '<Override PartName="/word/styles.xml" ContentType="application/vnd.openxmlformats-'
    'officedocument.wordprocessingml.styles+xml"/></Types>'
)
_RELS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
    'relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/'
    'officeDocument/2006/relationships/{kind}" Target="{target}"/></Relationships>'
)
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def write_word(path: Path, parts: list[tuple[str, str]]) -> Path:
    """Write a Word file. Each part is `heading 1`, `text` or `cell`, and its words."""
    body = ""
    for kind, text in parts:
        run = f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'
        if kind == "cell":
            body += f"<w:tbl><w:tr><w:tc><w:p>{run}</w:p></w:tc></w:tr></w:tbl>"
        elif kind == "text":
            body += f"<w:p>{run}</w:p>"
        else:
            body += f'<w:p><w:pPr><w:pStyle w:val="{kind}"/></w:pPr>{run}</w:p>'
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="heading {level}">'
        f'<w:name w:val="heading {level}"/></w:style>'
        for level in (1, 2)
    )
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("[Content_Types].xml", _TYPES)
        file.writestr(
            "_rels/.rels", _RELS.format(kind="officeDocument", target="word/document.xml")
        )
        file.writestr(
            "word/_rels/document.xml.rels", _RELS.format(kind="styles", target="styles.xml")
        )
        file.writestr("word/styles.xml", f'<w:styles xmlns:w="{_W}">{styles}</w:styles>')
        file.writestr(
            "word/document.xml", f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>'
        )
    return path


def write_pdf(path: Path, pages: list[list[str]], titles: dict[str, int] | None = None) -> Path:
    """Write a PDF file.

    Args:
        path: The file.
        pages: The lines of each page; a page without lines holds no text.
        titles: The outline: each title, and its page from 0.
    """
    objects: list[bytes] = []

    def add(content: bytes) -> int:
        objects.append(content)
        return len(objects)

    catalog, tree, font = add(b""), add(b""), add(b"")
    objects[font - 1] = (
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    )
    numbers: list[int] = []
    for lines in pages:
        shown = b" T* ".join(b"(" + _escaped(line) + b") Tj" for line in lines)
        stream = b"BT /F1 11 Tf 14 TL 60 780 Td " + shown + b" ET"
        content = add(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        numbers.append(
            add(
                b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
                b"/Resources << /Font << /F1 %d 0 R >> >> >>" % (tree, content, font)
            )
        )
    kids = b" ".join(b"%d 0 R" % number for number in numbers)
    objects[tree - 1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(numbers))
    outlines = b""
    if titles:
        root = add(b"")
        first = len(objects) + 1
        last = first + len(titles) - 1
        for index, (title, page) in enumerate(titles.items()):
            number = first + index
            links = b"/Prev %d 0 R " % (number - 1) if number > first else b""
            links += b"/Next %d 0 R " % (number + 1) if number < last else b""
            add(
                b"<< /Title (%s) /Parent %d 0 R %s/Dest [%d 0 R /Fit] >>"
                % (_escaped(title), root, links, numbers[page])
            )
        objects[root - 1] = b"<< /Type /Outlines /First %d 0 R /Last %d 0 R /Count %d >>" % (
            first,
            last,
            len(titles),
        )
        outlines = b"/Outlines %d 0 R " % root
    objects[catalog - 1] = b"<< /Type /Catalog /Pages %d 0 R %s>>" % (tree, outlines)
    out = b"%PDF-1.4\n"
    offsets: list[int] = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        catalog,
        start,
    )
    path.write_bytes(out)
    return path


def _escaped(text: str) -> bytes:
    raw = text.encode("cp1252")
    return raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
