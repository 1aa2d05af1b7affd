"""What is logged, for the tests of what must not be."""

from collections.abc import Generator
from contextlib import contextmanager

from loguru import logger


@contextmanager
def logged() -> Generator[list[str]]:
    """Every line logged meanwhile, at whatever level, with the values of variables."""
    lines: list[str] = []
    sink = logger.add(
        lambda line: lines.append(str(line)), level="TRACE", backtrace=True, diagnose=True
    )
    try:
        yield lines
    finally:
        logger.remove(sink)
