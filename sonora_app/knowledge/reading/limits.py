"""How much of a file is read."""

from dataclasses import dataclass

from sonora_app.knowledge.reading.errors import UnpackedTooLargeError
from sonora_app.wording.translation import worded


@dataclass(frozen=True)
class Limits:
    """How much of a file is read.

    Parameters:
        pages: How many pages of a PDF, the first ones; None is all.
        unpacked_bytes: How much text, with its marks, a file may unpack to. All of it is in memory,
            at many times its size: a Word file that unpacks to 20 MB took 240 MB of memory, and
            7 s of one core. A book of 300 pages has some 3 MB as a Word file.
    """

    pages: int | None = None
    unpacked_bytes: int = 50_000_000

    def check(self, unpacked_bytes: int) -> None:
        """Go on only where what a file unpacks to is within the limit.

        Raises:
            UnpackedTooLargeError: It is not.
        """
        if unpacked_bytes > self.unpacked_bytes:
            raise UnpackedTooLargeError(
                worded(
                    "it unpacks to more than {most} MB of text and marks",
                    most=f"{self.unpacked_bytes / 1e6:g}",
                )
            )
