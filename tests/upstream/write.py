"""Takes what is installed for what the list of reaches is about, and writes `docs/upstream.md`.

    uv run python -m tests.upstream.write

Run it after somebody has looked at each entry that the tests found changed, and has mended what
uses it.
"""

import dataclasses

import yaml

from tests.upstream.page import PAGE, page
from tests.upstream.reaches import LIST_FILE, Reach, class_of, fingerprint, found, listed


def main() -> None:
    """Write both files."""
    entries = [_current(entry) for entry in listed()]
    text = yaml.safe_dump(
        [dataclasses.asdict(entry) for entry in entries],
        sort_keys=False,
        allow_unicode=True,
        width=96,
    )
    LIST_FILE.write_text(text, encoding="utf-8")
    PAGE.write_text(page(entries), encoding="utf-8")


def _current(entry: Reach) -> Reach:
    kind, parameters, source = fingerprint(class_of(entry.owner), entry.member)
    places = [
        place
        for place in found()
        if place.member == entry.member and place.owner in (entry.owner, None)
    ]
    # A place whose class the source does not tell belongs to the entries that name its module.
    places = [place for place in places if place.owner or place.module in entry.modules]
    return dataclasses.replace(
        entry,
        use=sorted({place.use for place in places}),
        modules=sorted({place.module for place in places}),
        kind=kind,
        parameters=parameters,
        source=source,
        release=entry.installed,
    )


if __name__ == "__main__":
    main()
