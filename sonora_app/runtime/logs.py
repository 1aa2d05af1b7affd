"""What a developer's terminal shows. On Pipecat Cloud the base image decides about logs."""

import sys

from loguru import logger

from sonora_app.settings import Settings


def configure_logs(settings: Settings) -> None:
    """Log to standard error from `settings.log_level` up.

    Tracebacks show no values of variables, which would put people's words and keys in the log.
    """
    logger.remove()
    logger.add(sys.stderr, level=settings.log_level, diagnose=False, backtrace=False)
