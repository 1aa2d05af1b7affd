"""Decodes base64 that came as text."""

import binascii


def decoded(text: str) -> bytes | None:
    """What base64, or a data URL in base64, stands for. None where it is neither.

    Args:
        text: May be broken into lines, and may lack the padding at its end.
    """
    head, comma, rest = text.partition(",")
    if head.startswith("data:"):
        if not comma or not head.endswith(";base64"):
            return None
        text = rest
    text = "".join(text.split())
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        return None
