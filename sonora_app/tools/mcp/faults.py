"""What goes wrong with an MCP server, and what that says of a call."""

import contextlib
from typing import cast


class McpUnavailableError(Exception):
    """A server that cannot be reached; the words say why, without an address or a secret."""


def _causes(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        group = cast(BaseExceptionGroup[BaseException], error)
        return [cause for each in group.exceptions for cause in _causes(each)]
    return [error]


def never_connected(error: BaseException | None) -> bool:
    """Whether nothing was sent, since no connection came about."""
    if error is None:
        return False
    import httpx2

    return all(isinstance(cause, httpx2.ConnectError) for cause in _causes(error))


def kind_of(error: BaseException) -> str:
    """What went wrong, without what a server or an address says."""
    cause = _causes(error)[0]
    if isinstance(cause, McpUnavailableError):
        return str(cause)
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    with contextlib.suppress(ModuleNotFoundError):
        import httpx2

        if isinstance(cause, httpx2.ConnectError):
            return "no connection"
    return type(cause).__name__
