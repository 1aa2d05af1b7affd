"""What Pipecat itself takes of memory: python -m benchmarks.libraries

Imports and builds what a call of either bot needs, by the means of `sonora_app.runtime.memory` but
with nothing else of Sonora's, holds no call, and prints the resident memory in MB: less than this
no bot of these parts can have.
"""

import importlib
import os
import sys
from collections.abc import Sequence

from benchmarks.resources import process_mb
from sonora_app.runtime.memory import begin_warm_up, end_warm_up

_IMPORTED = (
    "pipecat.runner.run",
    "pipecat.pipeline.worker",
    "pipecat.processors.aggregators.llm_response_universal",
    "pipecat.transports.smallwebrtc.request_handler",
    "pipecat.transports.smallwebrtc.transport",
    "numpy.fft",
    "openai.resources.chat.completions",
    "deepgram.listen.v1.client",
)
"""What both bots import, at once or in their first call, besides what is built here."""


def _build() -> Sequence[object]:
    """The parts of a call that are Pipecat's."""
    from aiortc import RTCCertificate
    from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
    from pipecat.audio.vad.silero import SileroVADAnalyzer
    from pipecat.services.cartesia.tts import CartesiaTTSService
    from pipecat.services.deepgram.stt import DeepgramSTTService
    from pipecat.services.openai.llm import OpenAILLMService

    return (
        SileroVADAnalyzer(),
        LocalSmartTurnAnalyzerV3(),
        DeepgramSTTService(api_key="none"),
        OpenAILLMService(api_key="none"),
        CartesiaTTSService(api_key="none", settings=CartesiaTTSService.Settings(voice="none")),
        RTCCertificate.generateCertificate(),
    )


def main() -> None:
    """Build everything, and print what it takes."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    begin_warm_up()
    for name in _IMPORTED:
        importlib.import_module(name)
    built = _build()
    end_warm_up()
    sys.stdout.write(f"{process_mb(os.getpid())}\n")
    del built


if __name__ == "__main__":
    main()
