"""HTML, and what is read by way of it: Markdown and Word."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from sonora_app.knowledge.reading.blocks import Block, BlockKind, ReadDocument

_DROPPED_TAGS = """
script style noscript template nav header footer aside form svg iframe button select head
object canvas audio video
"""
_DROPPED = frozenset(_DROPPED_TAGS.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_INLINE_TAGS = """
a abbr acronym b bdi bdo big br cite code data del dfn em font i img ins kbd label mark q s
samp small span strike strong sub sup time tt u var wbr input ruby rt
"""
_INLINE = frozenset(_INLINE_TAGS.split())
_NAVIGATION = re.compile(
    r"(^|[-_ ])(nav(header|footer|bar|igation)?|toc|breadcrumbs?|sidebar|footer|menu|skip)"
    r"($|[-_ ])",
    re.I,
)
"""Names that pages give to what leads elsewhere."""

_LINKS_ONLY = 0.7
"""Share of a block's letters inside links from which a list counts as navigation."""

_SPACE = re.compile(r"\s+")
_MARKS = re.compile(r"[¶§]\s*$")


def read_html(markup: str | bytes) -> ReadDocument:
    """Read a page of HTML. Navigation, scripts and forms are left out.

    Args:
        markup: The page. Bytes are decoded as the page says.
    """
    tree = LexborHTMLParser(markup)
    named = tree.css_first("title")
    root = tree.css_first("main") or tree.body or tree.root
    document = ReadDocument(title=_clean(named.text()) if named else "")
    html = tree.css_first("html")
    language = html.attributes.get("lang") or html.attributes.get("xml:lang") if html else None
    document.language = language[:2].lower() if language else None
    if root is not None:
        document.blocks = list(_blocks(root, None))
    heading = next((b for b in document.blocks if b.kind is BlockKind.HEADING), None)
    document.title = document.title or (heading.text if heading else "")
    return document


def _blocks(node: LexborNode, anchor: str | None) -> Iterator[Block]:
    """The blocks inside `node`, and its own text between them."""
    inline: list[str] = []

    def flushed() -> Iterator[Block]:
        text = _clean("".join(inline))
        inline.clear()
        if text:
            yield Block(BlockKind.TEXT, text, anchor=anchor)

    for child in node.iter(include_text=True):
        tag = child.tag or ""
        if tag == "-text":
            inline.append(child.text(deep=True) or "")
        elif tag in _DROPPED or tag.startswith(("-", "!")) or _is_named_navigation(child):
            continue
        elif tag in _INLINE and not _holds_blocks(child):
            inline.append("\n" if tag == "br" else _inline_text(child))
        else:
            yield from flushed()
            yield from _block(child, tag, child.attributes.get("id") or anchor)
    yield from flushed()


def _block(node: LexborNode, tag: str, anchor: str | None) -> Iterator[Block]:
    if tag in _HEADINGS:
        text = _MARKS.sub("", _clean(_inline_text(node)))
        if text:
            yield Block(BlockKind.HEADING, text, level=_HEADINGS[tag], anchor=anchor)
    elif tag == "pre":
        text = _clean(_inline_text(node))
        if text:
            yield Block(BlockKind.CODE, text, anchor=anchor)
    elif tag in ("ul", "ol", "dl", "table") and _is_navigation(node):
        return
    elif tag == "tr":
        cells = [_clean(_inline_text(cell)) for cell in node.css("td, th")]
        text = "; ".join(cell for cell in cells if cell)
        if text and not node.css_first("table table"):
            yield Block(BlockKind.ITEM, text, anchor=anchor)
    elif tag in ("li", "dd", "dt"):
        for block in _blocks(node, anchor):
            kind = BlockKind.ITEM if block.kind is BlockKind.TEXT else block.kind
            yield Block(kind, block.text, level=block.level, anchor=block.anchor)
    else:
        yield from _blocks(node, anchor)


def _holds_blocks(node: LexborNode) -> bool:
    return any(
        (child.tag not in _INLINE and not (child.tag or "").startswith("-")) or _holds_blocks(child)
        for child in node.iter()
    )


def _inline_text(node: LexborNode) -> str:
    parts: list[str] = []
    for child in node.iter(include_text=True):
        tag = child.tag or ""
        if tag == "-text":
            parts.append(child.text(deep=True) or "")
        elif tag == "br":
            parts.append("\n")
        elif tag not in _DROPPED and not tag.startswith("-"):
            inner = _inline_text(child)
            parts.append(inner if tag in _INLINE else f" {inner} ")
    return "".join(parts)


def _is_named_navigation(node: LexborNode) -> bool:
    names = f"{node.attributes.get('class') or ''} {node.attributes.get('role') or ''}"
    return _NAVIGATION.search(names) is not None


def _is_navigation(node: LexborNode) -> bool:
    links = node.css("a")
    if len(links) < 3 and not (node.tag == "table" and links):
        return False
    linked = sum(len(_clean(link.text())) for link in links)
    return linked > _LINKS_ONLY * max(len(_clean(node.text())), 1)


def _clean(text: str) -> str:
    return _SPACE.sub(" ", text).strip()
