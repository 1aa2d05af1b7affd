"""Keeps the memory of a process small, and the collection of garbage out of its calls.

glibc keeps what is freed in the arena of the thread that had asked for it, and has eight arenas for
each processor. A model is run on whichever thread of the pool is free, so each arena comes to hold
the room of a run or two, and the process as much as all of them, where a container has 1 GB.
Nothing of it is in use. So there are two arenas, and what is free is given back after each call.

What is imported stays. Python looks it through for garbage all the same, again and again while it
is imported, which takes a fifth of that time, and then in the calls, where it holds up the audio
for 70 ms. So that begins when everything is imported, and passes over what there is by then.
"""

import ctypes
import gc
from functools import cache
from typing import Any

_M_ARENA_MAX = -8
"""From glibc's malloc.h."""
_ARENAS = 2


def begin_warm_up() -> None:
    """Get ready for everything to be imported: no garbage sought, few arenas.

    May be called again. Threads that are there keep the arenas they have.
    """
    gc.disable()
    mallopt = _from_libc("mallopt")
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def end_warm_up() -> None:
    """Throw away what the warm-up has left, keep the rest for good, and collect garbage again.

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
