"""Has the next call of the development runner follow the flow as it was edited last."""

import asyncio
import re

from loguru import logger
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sonora_app.errors import ErrorCode, SettingsError, without_paths
from sonora_app.process.admission import busy
from sonora_app.process.calls import Refusal
from sonora_app.wording.translation import preferred

_BEGINS = re.compile(r"/start|/ws(/.*)?")
"""What a call begins with. A call that goes on sends offers, too, and is not to be cut off."""
_MAY_BEGIN = re.compile(r"(?:/sessions/[^/]+)?/api/offer")
_RETRY_SECS = 5


class TakesUpFlow:
    """ASGI middleware that takes up an edited flow as a call begins; answers 503 to its mistakes.

    Args:
        app: What holds the calls.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand before `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it."""
        path = scope["path"] if scope["type"] in ("http", "websocket") else ""
        begins = _BEGINS.fullmatch(path)
        if begins or _MAY_BEGIN.fullmatch(path):
            try:
                await asyncio.to_thread(_take_up)
            except SettingsError as error:
                if not begins:
                    logger.error(f"Calls follow the flow as it was before: {error}")
                    await self._app(scope, receive, send)
                    return
                logger.error(f"A call is refused: {error}")
                language = preferred(Headers(scope=scope).get("accept-language", ""))
                told = without_paths(error.said_in(language))
                refusal = Refusal(told, _RETRY_SECS, ErrorCode.MISCONFIGURED)
                await busy(refusal, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _take_up() -> None:
    # Here: the port opens without them.
    from flows import handlers
    from sonora_app.call.ending.summary import load_summary_request
    from sonora_app.flow.edited import edited_flow
    from sonora_app.rehearsal.llm import functions_of_flow

    edited_flow.forgets(load_summary_request.cache_clear, functions_of_flow.cache_clear)
    if edited_flow.take_up(handlers):
        logger.info("The flow was edited: calls follow it as it is now")
