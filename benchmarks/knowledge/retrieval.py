"""The bot that `pipecat init` scaffolds, with a tool that searches documents.

The tool is what Pipecat's documentation advises: a direct function, listed in the context, which
the model calls. Its handler searches the same index as Sonora, with the same model, on this
machine. So it pays for no embeddings API and no database.
"""

from pathlib import Path

from benchmarks.contenders import Scaffold
from benchmarks.vendors import Vendors

TOOL = "search_documents"
"""The name of its tool."""

_INDEX = "DOCUMENTS_INDEX"

_CODE = f'''
from pathlib import Path

from pipecat.services.llm_service import FunctionCallParams

from sonora_app.knowledge.search import Search

documents = Search(Path(os.environ["{_INDEX}"]))


async def {TOOL}(params: FunctionCallParams, question: str):
    """Search the documents. Call this before you answer a question.

    Args:
        question: What the user wants to know, in whole words.
    """
    findings = await documents.find(question)
    passages = [
        {{"document": found.passage.title, "text": found.passage.content}}
        for found in findings.given
    ]
    await params.result_callback({{"passages": passages}})


'''

_EDITS = (
    ("async def run_bot(", f"{_CODE}async def run_bot("),
    (
        'logger.info("Starting bot")\n',
        'logger.info("Starting bot")\n    await documents.warm_up()\n',
    ),
    ("context = LLMContext()", f"context = LLMContext(tools=[{TOOL}])"),
)
"""What is written into the scaffold: each text stands there once."""


class RetrievingScaffold(Scaffold):
    """What `pipecat init` makes, with the tool.

    Args:
        folder: Its working folder.
        index: The file of the documents.

    Raises:
        ValueError: The scaffold does not look as it did.
    """

    name = "scaffold with a retrieval tool"

    def __init__(self, folder: Path, index: Path) -> None:
        """Have it made, and write the tool into it."""
        super().__init__(folder)
        self._index = index
        code = self.bot_file.read_text("utf-8")
        for old, new in _EDITS:
            if code.count(old) != 1:
                raise ValueError(f"the scaffold has {code.count(old)} times: {old}")
            code = code.replace(old, new)
        self.bot_file.write_text(code, "utf-8")

    def environment(self, vendors: Vendors) -> dict[str, str]:
        """The scaffold's, and where the index is."""
        # One core for a text, as in a call of Sonora's.
        cores = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return {**super().environment(vendors), _INDEX: str(self._index), **cores}
