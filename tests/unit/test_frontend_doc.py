"""docs/frontend.md shows the example as it is."""

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENT = PROJECT / "docs" / "frontend.md"
QUOTED = re.compile(r"^<!-- from: (\S+) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_each_piece_of_code_is_in_its_file() -> None:
    text = DOCUMENT.read_text("utf-8")
    quotes = QUOTED.findall(text)

    assert len(quotes) == len(re.findall(r"^```tsx?$", text, re.MULTILINE)) > 5
    for path, piece in quotes:
        lines = f"\n{(PROJECT / path).read_text('utf-8')}"
        assert f"\n{piece}" in lines, f"{path} has no longer:\n{piece}"


def test_every_link_leads_somewhere() -> None:
    tokens = MarkdownIt().enable("table").parse(DOCUMENT.read_text("utf-8"))
    targets = [
        str(child.attrGet("href")).partition("#")[0]
        for token in tokens
        for child in token.children or []
        if child.type == "link_open"
    ]
    relative = [target for target in targets if "://" not in target]

    assert len(relative) > 5
    for target in relative:
        assert (DOCUMENT.parent / target).exists(), target


def test_no_lock_file_names_a_place_to_download_from() -> None:
    found = [
        lock
        for pattern in ("*/*/package-lock.json", "*/*/*/package-lock.json")
        for lock in PROJECT.glob(pattern)
        if not {".venv", "node_modules"} & set(lock.parts)
    ]

    assert len(found) > 2
    for lock in found:
        assert '"resolved"' not in lock.read_text("utf-8"), lock
