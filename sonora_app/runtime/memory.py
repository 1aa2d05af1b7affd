"""Keeps the memory of a process small, and keeps long garbage collections from delaying its calls.

Memory: glibc keeps freed memory in the arena of the thread that allocated it, and allows eight
arenas for each processor. Inference runs on any thread of a pool, so each arena ends up
holding the buffers of one or two inferences, although none of them is in use. In a container with
1 GB that is too much. So the process is limited to two arenas, and free memory is given back to the
system after each call.

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


def begin_warm_up() -> None:
    """Prepare for the imports: stop garbage collection, and limit the arenas.

    May be called again. Threads that are there keep the arenas they have.
    """
    gc.disable()
    mallopt = _from_libc("mallopt")
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


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
