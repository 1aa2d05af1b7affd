"""The bot that `pipecat init` scaffolds: makes it, and runs it against simulated vendors.

    python -m benchmarks.scaffold BOT [flags of Pipecat's development runner]

It takes the vendors' keys from the environment, and the model's address from OPENAI_BASE_URL, as
OpenAI's client does. It has no setting for the other two addresses, so this program gives the
constructors of those two services another default, and then runs the file as it is.
"""

import os
import runpy
import subprocess
import sys
from pathlib import Path

_OPTIONS = (
    *("--name", "scaffold", "--bot-type", "web", "--transport", "smallwebrtc"),
    *("--mode", "cascade", "--stt", "deepgram_stt", "--llm", "openai_llm", "--tts", "cartesia_tts"),
    *("--client-framework", "none", "--no-deploy-to-cloud", "--no-context-hub"),
)


def make_scaffold(folder: Path) -> Path:
    """Have the installed Pipecat scaffold a bot for Sonora's vendors; needs no network.

    Args:
        folder: Where the project is made.

    Returns:
        Its `bot.py`.

    Raises:
        subprocess.CalledProcessError: The tool failed; its output is in the error.
    """
    pipecat = Path(sys.executable).with_name("pipecat")
    subprocess.run(
        [pipecat, "init", folder, *_OPTIONS],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return folder / "server" / "bot.py"


def run_scaffold() -> None:
    """Run a scaffolded bot whose vendors are where the environment says."""
    from pipecat.services.cartesia.tts import CartesiaTTSService
    from pipecat.services.deepgram.stt import DeepgramSTTService

    for service, argument, variable in (
        (DeepgramSTTService, "base_url", "DEEPGRAM_BASE_URL"),
        (CartesiaTTSService, "url", "CARTESIA_URL"),
    ):
        defaults = service.__init__.__kwdefaults__ or {}
        service.__init__.__kwdefaults__ = {**defaults, argument: os.environ[variable]}
    del sys.argv[0]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    run_scaffold()
