"""`docs/upstream.md`, made of the list of reaches."""

from collections import defaultdict
from collections.abc import Sequence

from tests.upstream.reaches import ROOT, Reach

PAGE = ROOT / "docs" / "upstream.md"

_HEAD = """\
# What Sonora needs of the insides of other libraries

Sonora extends classes of Pipecat, aiortc and the vendors' SDKs. Where they have no public way for
what a call needs, Sonora uses private members, which any release may change without a word. This
page lists all {members} of them, by what upstream would have to offer for Sonora to leave each
alone.

`tests/upstream` holds the list against what is installed: a test fails when a member is gone, or
when its source is no longer what it was when somebody last read it. Another test fails when
Sonora uses a private member that is not on the list. The suite runs every week on the newest
Pipecat (`.github/workflows/newest-pipecat.yml`).

When an entry has changed, read the new source, mend what uses it, and write the list anew with
`uv run python -m tests.upstream.write`. This page is written by the same command: edit
`tests/upstream/reaches.yaml`, not the page.
"""


def page(entries: Sequence[Reach]) -> str:
    """The page.

    Args:
        entries: The list.
    """
    by_hook: dict[str, list[Reach]] = defaultdict(list)
    for entry in entries:
        by_hook[entry.hook].append(entry)
    parts = [_HEAD.format(members=len(entries))]
    for hook, wanting in by_hook.items():
        parts.append(f"## {hook.rstrip('.')}\n\n| member | used in | what for |\n|---|---|---|")
        for entry in wanting:
            used = "<br>".join(f"`sonora_app/{module}`" for module in entry.modules)
            name = f"{entry.owner.rpartition('.')[2]}.{entry.member}"
            parts.append(f"| `{name}` ({', '.join(entry.use)}) | {used} | {entry.why} |")
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"
