"""Tells one state of the flow's files from another."""

import hashlib
from functools import cache

from sonora_app.flow.lines import FLOWS_DIR


def flow_version() -> str:
    """Eight characters that change with what stands in `flows/`: the flow and its lines."""
    files = sorted(FLOWS_DIR.rglob("*.yaml"))
    stated = tuple((str(file.relative_to(FLOWS_DIR)), file.stat().st_mtime_ns) for file in files)
    return _version(stated)


@cache
def _version(stated: tuple[tuple[str, int], ...]) -> str:
    digest = hashlib.sha256()
    for name, _ in stated:
        digest.update(name.encode() + b"\0" + (FLOWS_DIR / name).read_bytes() + b"\0")
    return digest.hexdigest()[:8]
