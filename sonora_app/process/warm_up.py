"""Does before the first call what the first call would otherwise wait for, once per process.

The imports, the files of the flow, the turn-detection models and the first construction of each
service take seconds together. `bot.py` runs this on a thread.
"""

import asyncio
import importlib
import time

import anyio.lowlevel
from loguru import logger

from sonora_app.flow.check import check_flows
from sonora_app.process.tracing import start_tracing
from sonora_app.settings import KnowledgeIn, Language, Settings, Vendor


def warm_up(settings: Settings) -> float:
    """Import and build everything that a call needs, and throw the built parts away.

    Args:
        settings: The settings.

    Returns:
        How long it took, in seconds.

    Raises:
        SettingsError: The files of `flows/`, or the price list, have mistakes.
    """
    started = time.monotonic()
    check_flows()
    importlib.import_module("sonora_app.call.building")
    importlib.import_module("sonora_app.actions.conversation_handler")
    importlib.import_module("sonora_app.files.keeper")
    importlib.import_module("sonora_app.process.tools")
    handlers = importlib.import_module("flows.handlers")
    if settings.uses_supabase:
        importlib.import_module("supabase")
    _warm_up_transport(settings)
    from sonora_app.call.ending.summary import load_summary_request
    from sonora_app.call.services import build_services
    from sonora_app.flow.driver import load_flow
    from sonora_app.flow.lines import Lines
    from sonora_app.flow.version import flow_version
    from sonora_app.reports.prices import load_prices
    from sonora_app.tools.declared import declared_servers, declared_tools

    load_flow(handlers)
    flow_version()
    start_tracing(settings)
    load_prices(settings.prices_file)
    if declared_tools(settings):
        importlib.import_module("sonora_app.tools.arguments")
    if declared_servers(settings):
        importlib.import_module("sonora_app.tools.arguments")
        importlib.import_module("mcp")
    for language in Language:
        Lines(language)
    load_summary_request()
    if Vendor.LLM in settings.stand_ins():
        from sonora_app.rehearsal.llm import functions_of_flow

        functions_of_flow()
    if settings.knowledge_path.exists():
        # Numbers, the model and its library; the search itself belongs to the calls' loop.
        importlib.import_module("sonora_app.knowledge.search")
    if settings.knowledge is not KnowledgeIn.LOCAL:
        importlib.import_module("sonora_app.knowledge.supabase.matching")
    asyncio.run(build_services(settings, settings.language))
    if Vendor.LLM not in settings.stand_ins():
        from sonora_app.vendors.openai.verbatim import ask_nobody

        asyncio.run(ask_nobody())
    asyncio.run(_import_late_parts(settings))
    took = time.monotonic() - started
    logger.debug(f"Warmed up in {took:.1f} s")
    return took


async def _import_late_parts(settings: Settings) -> None:
    """Import what is otherwise imported where a call connects, or judges its first turn."""
    importlib.import_module("numpy.fft")
    if Vendor.STT not in settings.stand_ins() | settings.local_parts():
        # Its client imports these when it connects.
        importlib.import_module("deepgram.listen.client")
        importlib.import_module("deepgram.listen.v1.client")
    # Loads what the vendors' clients have for their sockets, by the kind of loop that runs.
    await anyio.lowlevel.checkpoint()


def _warm_up_transport(settings: Settings) -> None:
    if not settings.is_local:
        importlib.import_module("pipecat.transports.daily.transport")
        return
    importlib.import_module("pipecat.transports.smallwebrtc.transport")
    importlib.import_module("sonora_app.runtime.jitter")
    importlib.import_module("sonora_app.runtime.offers")
    importlib.import_module("sonora_app.runtime.opus")
    from aiortc import RTCCertificate

    # Loads what makes the certificate of a connection, which a peer connection imports late.
    RTCCertificate.generateCertificate()
