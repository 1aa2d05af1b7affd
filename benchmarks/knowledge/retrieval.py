"""The bot that `pipecat init` scaffolds, with a tool that searches documents.

The tool is what Pipecat's documentation advises: a direct function, listed in the context, which
the model calls. Its handler does what such a tool does: it has OpenAI embed the question, asks the
database, and gives the model what came. Both are asked for real, over clients that stay
connected. What the database would find comes from Sonora's own index, which is searched meanwhile
and so takes no time of its own.
"""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.contenders import Scaffold
from benchmarks.vendors import Vendors

TOOL = "search_documents"
"""The name of its tool."""

EMBEDDING_SECS = 0.300
"""What OpenAI takes to embed a question. Measured elsewhere with text-embedding-3-small: 300 to
355 ms with a quick search of 3,000 rows (github.com/embabel/dice, pull request 78)."""

_INDEX, _EMBEDS = "DOCUMENTS_INDEX", "DOCUMENTS_EMBEDDED_BY_OPENAI"

_CODE = f'''
import asyncio
from pathlib import Path

import httpx
from openai import AsyncOpenAI
from pipecat.services.llm_service import FunctionCallParams

from sonora_app.knowledge.search import Search

documents = Search(Path(os.environ["{_INDEX}"]))
embeddings = AsyncOpenAI(base_url=os.environ["OPENAI_BASE_URL"])
database = httpx.AsyncClient(
    base_url=os.environ["SUPABASE_URL"] + "/rest/v1",
    headers={{
        "apikey": os.environ["SUPABASE_SECRET_KEY"],
        "Authorization": "Bearer " + os.environ["SUPABASE_SECRET_KEY"],
    }},
)


async def asked_of_database():
    answer = await database.get("/conversations", params={{"select": "id", "limit": "1"}})
    answer.raise_for_status()


async def {TOOL}(params: FunctionCallParams, question: str):
    """Search the documents. Call this before you answer a question.

    Args:
        question: What the user wants to know, in whole words.
    """
    if os.environ["{_EMBEDS}"] == "yes":
        await embeddings.embeddings.create(model="text-embedding-3-small", input=question)
    findings, _ = await asyncio.gather(documents.find(question), asked_of_database())
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
        'logger.info("Starting bot")\n    await documents.warm_up()\n'
        "    await asked_of_database()\n",
    ),
    ("context = LLMContext()", f"context = LLMContext(tools=[{TOOL}])"),
)
"""What is written into the scaffold: each text stands there once."""


class RetrievingScaffold(Scaffold):
    """What `pipecat init` makes, with the tool.

    Args:
        folder: Its working folder.
        index: The file of the documents.
        supabase: Where its database is, and the key.
        embeds: Whether its tool has the question embedded by OpenAI. Without, it is as if it had a
            model of its own that takes no time.

    Raises:
        ValueError: The scaffold does not look as it did.
    """

    def __init__(
        self, folder: Path, index: Path, supabase: Mapping[str, str], *, embeds: bool
    ) -> None:
        """Have it made, and write the tool into it."""
        super().__init__(folder)
        self.name = name_of(embeds=embeds)
        self._index = index
        self._supabase = supabase
        self._embeds = embeds
        code = self.bot_file.read_text("utf-8")
        for old, new in _EDITS:
            if code.count(old) != 1:
                raise ValueError(f"the scaffold has {code.count(old)} times: {old}")
            code = code.replace(old, new)
        self.bot_file.write_text(code, "utf-8")

    def environment(self, vendors: Vendors) -> dict[str, str]:
        """The scaffold's, and where the index and the database are."""
        return {
            **super().environment(vendors),
            **self._supabase,
            _INDEX: str(self._index),
            _EMBEDS: "yes" if self._embeds else "no",
            # One core for a text, as in a call of Sonora's.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }


def name_of(*, embeds: bool) -> str:
    """What the table calls it."""
    how = "embeddings API and database" if embeds else "database"
    return f"scaffold with a retrieval tool ({how})"
