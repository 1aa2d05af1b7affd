"""Decodes base64 that came as text, without keeping the interpreter to itself.

Python's lock is held while a text is decoded: 10 ms for a picture of 4 MB, during which no sound
goes in or out, whichever thread does it. So it is decoded in slices.
"""

import binascii
import time
from collections.abc import Iterable

_SLICE_CHARS = 65_536
"""Some 0.1 ms to decode."""


def decoded(pieces: Iterable[str]) -> bytes | None:
    """What base64, or a data URL in base64, stands for. Not on the event loop.

    Args:
        pieces: The text, in one or more pieces.

    Returns:
        None where it is neither.
    """
    found: list[bytes] = []
    left, begun = "", False
    try:
        for piece in _slices(pieces):
            text = piece
            if not begun:
                begun = True
                head, comma, rest = text.partition(",")
                if head.startswith("data:"):
                    if not comma or not head.endswith(";base64"):
                        return None
                    text = rest
            text = left + "".join(text.split())
            whole = len(text) - len(text) % 4
            left = text[whole:]
            if whole and text[whole - 1] == "=":
                # Padding ends it: nothing may follow.
                left = text[whole - 4 :]
                whole -= 4
            found.append(binascii.a2b_base64(text[:whole], strict_mode=True))
            # Whoever waits for the interpreter gets it here.
            time.sleep(0)
        found.append(binascii.a2b_base64(left + "=" * (-len(left) % 4), strict_mode=True))
    except (binascii.Error, ValueError):
        return None
    return b"".join(found)


def _slices(pieces: Iterable[str]) -> Iterable[str]:
    for piece in pieces:
        for at in range(0, len(piece), _SLICE_CHARS):
            yield piece[at : at + _SLICE_CHARS]
