"""Gives memory that calls are done with back to the system.

glibc keeps what is freed in the arena of the thread that had asked for it. A call's models are
loaded on whichever thread of the pool is free, so each arena comes to hold the room of a model or
two, and the process as much as all of them: some 16 MB more with each call, where a container has
1 GB. Nothing of it is in use.
"""

import ctypes
from functools import cache
from typing import Any


def give_memory_back() -> None:
    """Give freed memory back to the system, where the C library can. Takes some milliseconds."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:  # noqa: ANN401  # a foreign function
    """malloc_trim(3), or None where the C library has no such thing."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
