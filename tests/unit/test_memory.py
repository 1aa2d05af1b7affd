"""What was freed goes back to the system."""

import os
import platform
from pathlib import Path

import pytest

from sonora_app.memory import give_memory_back

pytestmark = pytest.mark.unit

BLOCK = 2_000  # more than Python's own allocator takes care of
BLOCKS = 20_000


def resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no trim")
def test_freed_memory_is_given_back() -> None:
    blocks = [bytes(BLOCK) for _ in range(BLOCKS)]
    # The last block of the heap stays, so that the rest is not given back by itself.
    last = bytes(BLOCK)
    full = resident_bytes()
    del blocks
    give_memory_back()
    assert full - resident_bytes() > BLOCK * BLOCKS / 2
    assert last
