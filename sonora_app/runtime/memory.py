"""Keeps the memory of a process small, and keeps long garbage collections from delaying its calls.

Memory: glibc keeps freed memory in the arena of the thread that allocated it, and allows eight
arenas for each processor. Inference runs on any thread of a pool, so each arena ends up
holding the buffers of one or two inferences, although none of them is in use. In a container with
1 GB that is too much. So the process is limited to two arenas, and free memory is given back to the
system after each call.

glibc maps large blocks by themselves, and gives them back when they are freed. But from each one
that is freed it learns to take blocks of that size from an arena, and an arena shrinks only from
its end. The models of a call free blocks of many megabytes, so a bot in a call came to hold 100 MB
more than it used. So the size from which a block is mapped by itself is fixed.

Garbage collection: imported modules stay in memory for good, but Python's collector looks through
them again and again. During the imports that takes a fifth of their time; during calls it holds up
the audio for 70 ms. So the collector is off during the imports. Afterwards it ignores the objects
that exist by then (`gc.freeze`).
"""

import ctypes
import gc
from functools import cache
from typing import Any

_M_ARENA_MAX = -8
"""From glibc's malloc.h."""
_ARENAS = 2
_M_MMAP_THRESHOLD = -3
"""From glibc's malloc.h."""
_MAPPED_BYTES = 4_000_000
"""From which size a block is mapped by itself. The system clears each page of a mapped block: with
1 MB Whisper takes 1.45 times the processor time, with 4 MB no more than without a fixed size."""
_M_TRIM_THRESHOLD = -1
"""From glibc's malloc.h."""
_KEPT_BYTES = 16_000_000
"""How much free memory stays at the end of an arena. glibc learns this too, and takes 128 KB where
the size of blocks is fixed: then Whisper takes 1.2 times the processor time."""


def begin_warm_up() -> None:
    """Prepare for the imports: stop garbage collection, and limit the arenas and their blocks.

    May be called again. Threads that are there keep the arenas they have.
    """
    gc.disable()
    mallopt = _from_libc("mallopt")
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def end_warm_up() -> None:
    """Collect the warm-up's garbage, exempt everything else from collection, and start it again.

    Takes a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    give_memory_back()


def give_memory_back() -> None:
    """Give freed memory back to the system, where the C library can. Takes some milliseconds."""
    trim = _from_libc("malloc_trim")
    if trim is not None:
        trim(0)


@cache
def _from_libc(name: str) -> Any:  # noqa: ANN401  # a foreign function
    """A function of glibc's own, or None where the C library has no such thing."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError):
        return None
