"""Why a file cannot be read."""

from sonora_app.errors import SonoraError


class UnreadableError(SonoraError):
    """This file gives no text. The message is the reason, as it follows `cannot be read:`."""


class UnpackedTooLargeError(UnreadableError):
    """This file is packed, and holds more than is read into memory."""
