"""What was freed goes back to the system, and threads do not keep it apart."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from sonora_app.runtime.memory import give_memory_back

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]

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


# Threads that all have memory at a time, then the areas that glibc has made for them.
BUSY = """
import sys, threading
from pathlib import Path
from sonora_app.runtime.memory import begin_warm_up

if "few" in sys.argv:
    begin_warm_up()
together = threading.Barrier(6)

def work():
    together.wait()
    blocks = [bytes(2_000) for _ in range(1_000)]
    together.wait()

threads = [threading.Thread(target=work) for _ in range(together.parties)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
starts = [int(fields[0].split("-")[0], 16) for fields in maps if fields[1] == "rw-p"]
print(sum(start % (64 << 20) == 0 for start in starts))
"""


def printed_by(program: str, *arguments: str) -> int:
    finished = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(finished.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no arenas")
def test_threads_share_their_memory() -> None:
    assert printed_by(BUSY) > 2
    assert printed_by(BUSY, "few") <= 2


# Frees a large block, then one that is somewhat smaller and has another above it in its arena.
FREED = """
import sys
from pathlib import Path
from sonora_app.runtime.memory import begin_warm_up

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

if "fixed" in sys.argv:
    begin_warm_up()
large = b"x" * 24_000_000
del large
before = resident_mb()
smaller = b"x" * 12_000_000
above = [b"x" * 100_000 for _ in range(20)]
del smaller
print(round(resident_mb() - before))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries map otherwise")
def test_a_large_block_is_given_back_when_it_is_freed() -> None:
    assert printed_by(FREED) > 10
    assert printed_by(FREED, "fixed") < 6
