"""Finds the conversation that a call is to go on with, and has the calls end that talk in it."""

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from sonora_app import __version__
from sonora_app.call.beginning.holding import OtherCalls, make_way
from sonora_app.call.beginning.opening import OpenedConversation, OpeningRequest, open_conversation
from sonora_app.call.beginning.returning import CASE
from sonora_app.call.context.memory_use import known_to, opening_recall
from sonora_app.call.measuring.traced import name_traced_call
from sonora_app.call.services import CallServices
from sonora_app.errors import BusyError
from sonora_app.flow.driver import FlowDriver
from sonora_app.settings import Settings
from sonora_app.storage.prefetch import Reading
from sonora_app.storage.store import Found, Store


@dataclass
class ConversationLookup:
    """Finds the conversation of one call.

    Parameters:
        settings: The settings.
        store: Where conversations are kept.
        services: The vendors of the call, or their stand-ins.
        driver: Moves the call through its flow.
        transport: The name of the transport.
        others: The other calls of this process; None knows of none.
        only_takes_over: Whether nothing is found but what another call of the process talks in.
    """

    settings: Settings
    store: Store
    services: CallServices
    driver: FlowDriver
    transport: str
    others: OtherCalls | None
    only_takes_over: bool = False

    def __post_init__(self) -> None:
        """Read nothing yet."""
        self.reading = Reading(self.store, self.settings, recall=opening_recall(self.settings))

    def alone(self, request: OpeningRequest) -> AbstractAsyncContextManager[object]:
        """Be the only call of this process that is about to open what is asked for.

        Two that opened it at once would each go on from where the one before both of them ended,
        and so give the same numbers to what is said in them.
        """
        if self.others is None or request.conversation_id is None:
            return nullcontext()
        return self.others.opening(request.conversation_id)

    async def find(self, request: OpeningRequest) -> tuple[OpenedConversation, Found]:
        """Find what is asked for. The calls that talk in it have ended then.

        Returns:
            The conversation, and what there is of it.

        Raises:
            SonoraError: It cannot be opened, or not now. No call has ended.
        """
        key = request.conversation_id, request.user_id
        found = known_to(request, await self.reading.found(*key))
        opened = self._opened_from(request, found)
        if self.only_takes_over and not self._has_place_in(opened):
            raise BusyError
        if await make_way(opened, self.store, self.others):
            by_now = await self.reading.by_now(found, opened.conversation_id, request.user_id)
            found = known_to(request, by_now)
            opened = self._opened_from(request, found, made_way=True)
        name_traced_call(opened.session_id, opened.conversation_id)
        return opened, found

    def _has_place_in(self, opened: OpenedConversation) -> bool:
        return self.others is not None and self.others.has_place_in(
            opened.conversation_id, opened.owner_id
        )

    def _opened_from(
        self, request: OpeningRequest, found: Found, *, made_way: bool = False
    ) -> OpenedConversation:
        return open_conversation(
            request,
            found,
            settings=self.settings,
            transport=self.transport,
            app_version=__version__,
            played=self.services.played(),
            returnable=self.driver.cases("set_conversation_id", prefix=CASE),
            made_way=made_way,
        )
