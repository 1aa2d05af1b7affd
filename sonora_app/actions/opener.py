"""Opens the conversation of a call: which one, for whom, and after how many refusals no more.

The `/start` request comes from the front end's server, a message from the page. Where both name a
conversation or a user, the request counts.
"""

import asyncio
import contextlib

from loguru import logger

from sonora_app.call.beginning.opening import OpeningRequest
from sonora_app.call.call import Call
from sonora_app.errors import (
    BusyError,
    ConversationRefusedError,
    ErrorCode,
    MessageError,
    SonoraError,
    TokenRefusedError,
)
from sonora_app.identity.access_tokens import TokenVerifier
from sonora_app.identity.callers import establish_user
from sonora_app.page.protocol import Ready, SetConversationId
from sonora_app.storage.records import EndReason
from sonora_app.wording.translation import worded

LOCAL_USER = "local"
"""Whose conversation it is that opens on a developer's machine when no page names one."""

MAX_REFUSALS = 5
"""How often a call may be refused before nothing more is tried in it."""


class Opener:
    """Opens the conversation of one call, once.

    Args:
        call: The call.
        start: What its `/start` request says, or None.
        verifier: Checks access tokens; None takes the page at its word.
    """

    def __init__(
        self, call: Call, *, start: SetConversationId | None, verifier: TokenVerifier | None
    ) -> None:
        """Create an opener that has opened nothing yet."""
        self._call = call
        self._start = start
        self._verifier = verifier
        self._user: str | None = None
        self._refusals = 0
        self._opening = asyncio.Lock()

    async def prepare(self) -> None:
        """Fetch what is needed before it is: what identities are checked by, and the history."""
        if self._verifier is not None:
            await self._verifier.prepare()
        if self._start is not None:
            # Whoever may not open it is told so when it is to be opened.
            with contextlib.suppress(SonoraError):
                user_id = await self._established_user(self._start)
                self._call.reading.begin(self._start.conversation_id, user_id)

    async def open_start(self) -> Ready:
        """Open the conversation that the `/start` request names.

        Raises:
            SonoraError: It cannot be opened.
        """
        return await self.open(self._start or SetConversationId(), cause="start_body")

    async def nobody_asked(self) -> Ready | None:
        """Open a fresh conversation for nobody in particular, or end the call.

        It ends where callers have to prove who they are, and anywhere but on a developer's
        machine.
        """
        async with self._opening:
            if self._call.opened is None:
                if self._call.only_takes_over:
                    # Where there is no place for one that is not waited for, it is told so.
                    return None
                if self._verifier is not None or not self._call.settings.is_local:
                    logger.info("Nobody named a conversation: ending the call")
                    await self._call.driver.fire_if_possible(
                        "give_up_waiting", cause=EndReason.NO_CONVERSATION
                    )
                    return None
                await self._request(SetConversationId(), LOCAL_USER, cause="waiting_limit")
            return self._ready()

    async def open(self, claim: SetConversationId, *, cause: str) -> Ready:
        """Open the conversation that `claim` asks for, or tell again that it is open.

        Raises:
            SonoraError: It cannot be opened, or another one is open.
        """
        async with self._opening:
            if self._call.opened is not None:
                await self._check_same(claim)
                return self._ready()
            claim = self._bound(claim)
            if claim.language is not None:
                # Also where it cannot be opened: a refusal is to be understood.
                self._call.page.language = claim.language.value
            if self._refusals >= MAX_REFUSALS:
                raise MessageError(
                    ErrorCode.TOO_MANY_ATTEMPTS,
                    worded("This call has tried to open a conversation too often."),
                    hint=worded("Start another call."),
                )
            try:
                await self._request(claim, await self._established_user(claim), cause=cause)
            except BusyError:
                # A place would have to be free first: the page calls again.
                await self._call.driver.fire_if_possible(
                    "give_up_waiting", cause=EndReason.NO_CONVERSATION
                )
                raise
            except (ConversationRefusedError, TokenRefusedError) as error:
                self._refusals += 1
                logger.warning(
                    f"Refused to open a conversation: {error.code} "
                    f"({self._refusals} of {MAX_REFUSALS})"
                )
                raise
            return self._ready()

    async def _request(self, claim: SetConversationId, user_id: str, *, cause: str) -> None:
        # From here on the user is known, and the token goes no further.
        request = OpeningRequest(
            claim.conversation_id,
            user_id,
            claim.language,
            proven=self._is_proven(user_id),
            recording=claim.recording,
        )
        await self._call.open(request, cause=cause)
        self._user = user_id

    def _is_proven(self, user_id: str) -> bool:
        """Whether the caller is known to be this user, as far as this installation asks.

        By a token; on a developer's own machine; or by the `/start` request, which comes from the
        front end's server. What the page alone says proves nothing.
        """
        named = self._start.user_id if self._start else None
        return self._verifier is not None or self._call.settings.is_local or named == user_id

    def _bound(self, claim: SetConversationId) -> SetConversationId:
        """`claim` with what the `/start` request says, which it may repeat but not change."""
        start = self._start
        if start is None:
            return claim
        if claim.conversation_id not in (None, start.conversation_id or claim.conversation_id) or (
            claim.user_id not in (None, start.user_id or claim.user_id)
        ):
            raise _already_open()
        return SetConversationId(
            conversation_id=start.conversation_id or claim.conversation_id,
            user_id=start.user_id or claim.user_id,
            access_token=claim.access_token,
            language=claim.language or start.language,
            # What the person said in the page is younger.
            recording=start.recording if claim.recording is None else claim.recording,
        )

    async def _established_user(self, claim: SetConversationId) -> str:
        trusted = self._start.access_token if self._start else None
        if trusted is not None:
            try:
                return await establish_user(
                    claim.model_copy(update={"access_token": trusted}), self._verifier
                )
            except TokenRefusedError:
                # It may have expired on the way; the page's own may be younger.
                if claim.access_token in (None, trusted):
                    raise
        return await establish_user(claim, self._verifier)

    async def _check_same(self, claim: SetConversationId) -> None:
        """Refuse a claim to another conversation, or by another user, than the open one."""
        opened = self._call.opened
        if opened and claim.conversation_id not in (
            None,
            opened.asked_for,
            opened.conversation_id,
        ):
            raise _already_open()
        user_id = claim.user_id
        if self._verifier is not None and claim.access_token is not None:
            # It gave access when the conversation was opened; here it only tells who sends it.
            user_id = await establish_user(claim, self._verifier, expired_ok=True)
        if user_id not in (None, self._user):
            raise _already_open()

    def _ready(self) -> Ready:
        opened = self._call.opened
        if opened is None:
            raise MessageError(ErrorCode.NOT_READY, worded("There is no conversation yet."))
        return Ready(
            conversation_id=opened.asked_for or opened.conversation_id,
            session_id=opened.session_id,
            resumed=opened.resumed,
            history="loaded" if opened.complete else "delayed",
            put_back=opened.back is not None,
            node=self._call.driver.node,
            recording=self._call.sound.on,
            language=self._call.lines.language,
        )


def _already_open() -> MessageError:
    return MessageError(
        ErrorCode.ALREADY_OPEN,
        worded("This call already has a conversation."),
        hint=worded("Start another call for another conversation."),
    )
