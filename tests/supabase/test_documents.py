"""Documents in Supabase: pushed, searched in one round trip, each to whom it belongs."""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from pipecat.frames.frames import LLMContextFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from typer.testing import CliRunner

from simulators.vendors.openai import OpenAIVendor, Reply
from simulators.vendors.rig import rigged
from sonora_app.call.context.grounding import Grounding
from sonora_app.cli import app
from sonora_app.doctor.knowledge_checks import examine_knowledge
from sonora_app.errors import SettingsError, StorageError
from sonora_app.flow.lines import Lines
from sonora_app.knowledge.adding import add_files
from sonora_app.knowledge.database import ModelChangedError, open_index
from sonora_app.knowledge.embedding import LocalEmbedder
from sonora_app.knowledge.index import Index
from sonora_app.knowledge.making import make_search
from sonora_app.knowledge.records import Findings
from sonora_app.knowledge.removal import documents_of
from sonora_app.knowledge.search import Search
from sonora_app.knowledge.snapshot import load
from sonora_app.knowledge.space import WIDTH
from sonora_app.knowledge.supabase.matching import MatchSearch
from sonora_app.knowledge.supabase.project import KnowledgeProject
from sonora_app.knowledge.supabase.pushing import Progress, push
from sonora_app.knowledge.supabase.search import DEADLINE_SECS, SupabaseSearch
from sonora_app.knowledge.supabase.vectors import model_there, vector_text
from sonora_app.knowledge.words import sound_of, trigrams_of
from sonora_app.llm import build_llm
from sonora_app.settings import Language, Settings
from sonora_app.storage.supabase.errors import SupabaseError
from tests.supabase.lite import Lite, running_lite
from tests.supabase.postgres import Database, scalar
from tests.supabase.proxy import GARBAGE, HEALTHY, STALLED, Fault, FaultProxy, How, answering
from tests.supabase.test_shipper_faults import connected

pytestmark = pytest.mark.supabase

OVEN = """# Horno

## Limpieza

Espere a que el horno se enfríe. Limpie el cristal con un paño húmedo y bicarbonato.

## Averías

Si parpadea la luz roja, apague el horno y llame al servicio técnico.
"""
WASHER = """# Lavadora

## Programas

El programa corto dura treinta minutos. El programa de lana lava en frío.

## Filtro

Desenrosque el tapón y enjuague el filtro una vez al mes.
"""
CLEANING = "¿eh… cómo limpio el cristal del horno?"
TERM = "¿cuándo termina el contrato de alquiler?"


def contract_of(name: str, day: str) -> str:
    return f"# Contrato\n\n## Plazo\n\nEl contrato de alquiler de {name} termina el {day}.\n"


class Shelf:
    """An index of two manuals, and of a contract of each of two users."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ana, self.eva = f"ana-{uuid4()}", f"eva-{uuid4()}"
        self.path = folder / "knowledge.db"
        self.embedder = LocalEmbedder()
        self.add("horno", OVEN)
        self.add("lavadora", WASHER)
        self.add("ana", contract_of("Ana", "treinta de junio"), self.ana)
        self.add("eva", contract_of("Eva", "dos de mayo"), self.eva)

    def add(self, name: str, text: str, user: str | None = None) -> None:
        file = self.folder / f"{name}.md"
        file.write_text(text, "utf-8")
        with closing(Index(self.path)) as index:
            add_files(index, [file], self.embedder, user_id=user)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(tmp_path_factory.mktemp("shelf"))


@pytest.fixture(scope="module")
def index(shelf: Shelf) -> Generator[Index]:
    with closing(Index(shelf.path)) as index:
        yield index


@asynccontextmanager
async def project_of(lite: Lite, url: str = "") -> AsyncGenerator[KnowledgeProject]:
    async with connected(url or lite.url, lite, 20) as api:
        yield KnowledgeProject(api)


@pytest.fixture
async def project(lite_with_vector: Lite, index: Index) -> AsyncGenerator[KnowledgeProject]:
    """The project, with all of the shelf in it."""
    async with project_of(lite_with_vector) as project:
        await push(index, project, remove_missing=True)
        yield project


def contents(findings: Findings) -> list[str]:
    return [found.passage.content for found in findings.found]


async def test_what_is_pushed_is_found_as_in_the_index(
    project: KnowledgeProject, shelf: Shelf
) -> None:
    there = SupabaseSearch(project, lambda: shelf.embedder)
    here = Search(shelf.path, lambda: shelf.embedder)
    for question in (CLEANING, "la luz roja parpadea que hago", "how do I clean the filter?"):
        found, same = await there.find(question), await here.find(question)
        assert found.question == same.question
        assert found.found[0].passage == same.found[0].passage
        # There less is given where little fits: its order does not leave out what all texts share.
        assert [g.passage for g in same.given[:1]] == [same.found[0].passage]
        assert found.given[:1] in ((), found.found[:1])
    assert (await there.find(CLEANING)).given
    for question in ("muchas gracias, muy amable", "¿cuánto cuesta un boleto a Bogotá?"):
        assert (await there.find(question)).given == ()
    assert await there.find("eh… este…") == Findings("")
    await here.aclose()


async def test_a_word_that_was_misheard_is_found_by_how_it_sounds(
    project: KnowledgeProject, shelf: Shelf
) -> None:
    # Without a vector the words alone decide, and none of these is in a document.
    nothing = vector_text(np.zeros(WIDTH))
    for heard, found in (("el vicarvonato", "bicarbonato"), ("la guz rroja", "luz roja")):
        findings = await project.find(heard, nothing, model_there(shelf.embedder.model), None, 1)
        assert found in contents(findings)[0]


def test_words_sound_alike_there_as_they_do_here(migrated: Database, shelf: Shelf) -> None:
    with closing(open_index(shelf.path)) as opened:
        snapshot = load(opened, shelf.embedder.model)
    vocabulary = list(snapshot.vocabulary)
    words = [*vocabulary, "cockpit", "philip", "queso", "guerra", "llll", "node.js", "hoonee"]
    with migrated.acting_as("service_role") as connection:
        for word, sound, pieces in connection.execute(
            "select word, sonora_sound(word), sonora_sound_pieces(word)"
            " from unnest(%s::text[]) as word",
            (words,),
        ):
            assert (sound, set(pieces)) == (sound_of(word), trigrams_of(sound_of(word)))
        document, passage = uuid4(), uuid4()
        connection.execute(
            "insert into documents (id, title, source, hash) values (%s, 't', 's', 'h')",
            (document,),
        )
        connection.execute(
            "insert into passages (id, document_id, seq, content, language, model, keys, version)"
            " values (%s, %s, 0, '', 'es', 'm', array_to_tsvector(%s::text[]), 'v')",
            (passage, document, vocabulary),
        )
        for word in ("orn", "vicarvo", "programm", "tekniko", "kontrat", "42", "zzz"):
            there = connection.execute(
                "select word, likeness from sonora_words_like(%s)", (word,)
            ).fetchall()
            # Words of three letters are alike by chance, so there only what sounds the same counts.
            here = [each for each in snapshot.like(word) if len(word) > 3 or each[1] == 1]
            assert dict(there) == pytest.approx(dict(here))
        # What is gone leaves no word behind.
        assert scalar(connection, "select count(*) from passage_sounds") > 100
        connection.execute("delete from documents where id = %s", (document,))
        assert scalar(connection, "select count(*) from passage_sounds") == 0


async def test_a_document_of_one_user_is_found_by_nobody_else(
    project: KnowledgeProject, shelf: Shelf, lite_with_vector: Lite
) -> None:
    search = SupabaseSearch(project, lambda: shelf.embedder)
    asked: Sequence[Findings] = await asyncio.gather(
        *(search.find(TERM, user, limit=20) for user in (shelf.ana, shelf.eva, None))
    )
    for findings, seen in zip(asked, ("Ana", "Eva", ""), strict=True):
        assert {name for name in ("Ana", "Eva") if name in str(contents(findings))} == {
            name for name in (seen,) if name
        }


async def test_only_what_changed_is_pushed_again_and_the_old_is_found_until_then(
    project: KnowledgeProject, tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path)
    search = SupabaseSearch(project, lambda: shelf.embedder)
    with closing(Index(shelf.path)) as index:
        first = await push(index, project)
        # The same files from another folder are other documents.
        assert (len(first.pushed), first.unchanged) == (4, 0)
        again = await push(index, project)
        assert (again.pushed, again.unchanged) == ([], 4)
        shelf.add("ana", contract_of("Ana", "quince de agosto"), shelf.ana)
        before = contents(await search.find(TERM, shelf.ana, limit=1))
        assert "treinta de junio" in before[0]
        changed = await push(index, project)
        assert [each.user_id for each in changed.pushed] == [shelf.ana]
        after = contents(await search.find(TERM, shelf.ana, limit=20))
        assert "quince de agosto" in after[0]
        assert "treinta de junio" not in str(after)
        # Removed here, it is removed there where that is asked for.
        (document,) = [each for each in index.documents() if each.user_id == shelf.ana]
        index.remove([document.id])
        assert (await push(index, project)).removed == 0
        assert contents(await search.find(TERM, shelf.ana, limit=1)) == after[:1]
        await project.remove([document.id])
        assert "Ana" not in str(contents(await search.find(TERM, shelf.ana, limit=20)))
        await project.remove([each.id for each in index.documents()])


async def test_a_push_that_broke_off_goes_on_where_it_was(
    lite_with_vector: Lite, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "# Actas\n\n" + "".join(
        f"## Punto {n}\n\nSe aprueba el punto número {n} del acta.\n\n" for n in range(12)
    )
    monkeypatch.setattr("sonora_app.knowledge.supabase.pushing._BATCH", 5)
    shelf_path = tmp_path / "knowledge.db"
    (tmp_path / "acta.md").write_text(text, "utf-8")
    with closing(Index(shelf_path)) as index:
        add_files(index, [tmp_path / "acta.md"], shelf.embedder, user_id=f"user-{uuid4()}")
        (document,) = index.documents()
        async with FaultProxy(lite_with_vector.url) as proxy:
            faults = iter([HEALTHY, HEALTHY, HEALTHY, answering(403)])
            proxy.choose = lambda: next(faults, HEALTHY)
            async with project_of(lite_with_vector, proxy.url) as project:
                with pytest.raises(SupabaseError):
                    await push(index, project)
                rows = await project.documents()
                (there,) = [each for each in rows if each.document.id == document.id]
                assert (there.version, there.document.passages) == (None, 0)
                # One request in two fails, in each of the ways that pass.
                done: list[int] = []
                faults = iter(
                    [HEALTHY, answering(503), HEALTHY, Fault(How.CUT), HEALTHY, HEALTHY, HEALTHY]
                )
                proxy.choose = lambda: next(faults, HEALTHY)
                progress = Progress(passages=lambda at, of: done.append(at))
                pushed = await push(index, project, progress=progress)
                assert [each.id for each in pushed.pushed] == [document.id]
                assert done == [5, 10, 12]
                proxy.always(HEALTHY)
                await project.remove([document.id])


async def test_a_slow_stalled_dead_or_refusing_supabase_costs_the_passages_alone(
    lite_with_vector: Lite, project: KnowledgeProject, shelf: Shelf
) -> None:
    openai = OpenAIVendor("key")
    openai.model = lambda _: Reply("Claro.")
    async with FaultProxy(lite_with_vector.url) as proxy, openai.serving():
        settings = Settings.model_validate(
            {"ENV": "local", "OPENAI_API_KEY": "key", "OPENAI_BASE_URL": openai.url}
        )
        async with project_of(lite_with_vector, proxy.url) as faulty:
            search = SupabaseSearch(faulty, lambda: shelf.embedder)
            await search.warm_up()
            grounding = Grounding(search, lines=lambda: Lines(Language.ES), within_secs=0.5)
            async with rigged(grounding, build_llm(settings)) as rig:
                for fault, states in (
                    (HEALTHY, {"given"}),
                    (Fault(latency_secs=0.7), {"late"}),
                    (STALLED, {"late"}),
                    (answering(403), {"failed"}),
                    (answering(503), {"failed"}),
                    (Fault(How.DROP), {"failed"}),
                    (Fault(How.TRICKLE), {"late"}),
                    (GARBAGE, {"failed"}),
                    (HEALTHY, {"given"}),
                ):
                    proxy.always(fault)
                    search._circuit.succeeded()
                    grounding.turn_began()
                    context = LLMContext(messages=[{"role": "user", "content": CLEANING}])
                    began = asyncio.get_running_loop().time()
                    count = len(openai.bodies)
                    await rig.send(LLMContextFrame(context=context))
                    async with asyncio.timeout(15):
                        while len(openai.bodies) == count:
                            await asyncio.sleep(0.01)
                    taken = grounding.take()
                    assert taken is not None
                    assert taken.state in states, fault.name
                    assert asyncio.get_running_loop().time() - began < 3
                    given = "bicarbonato" in str(openai.bodies[-1]["messages"])
                    assert given == (taken.state == "given")
            proxy.always(answering(503))
            for _ in range(8):
                with pytest.raises(StorageError):
                    await search.find(CLEANING)
            # Nobody waits for a server that is known to be dead, and it is asked again later.
            asked = sum(proxy.seen.values())
            proxy.always(STALLED)
            with pytest.raises(StorageError, match="failed a moment ago"):
                await asyncio.wait_for(search.find(CLEANING), 0.1)
            assert sum(proxy.seen.values()) == asked


async def test_what_another_model_made_is_named(
    project: KnowledgeProject, shelf: Shelf, lite_with_vector: Lite
) -> None:
    class Other(LocalEmbedder):
        model = "another-model"

    other = SupabaseSearch(project, Other)
    with pytest.raises(ModelChangedError, match="another-model") as raised:
        await other.find(CLEANING)
    assert "sonora knowledge push" in raised.value.hint
    with pytest.raises(ModelChangedError, match="another-model"):
        await project.check("another-model")
    settings = Settings.model_validate(
        {
            "ENV": "local",
            "SUPABASE_URL": lite_with_vector.url,
            "SUPABASE_SECRET_KEY": lite_with_vector.secret_key,
            "SONORA_KNOWLEDGE": "supabase",
        }
    )
    assert await examine_knowledge(settings) == ("ok", "4 documents are searched", "")


async def test_the_doctor_looks_at_the_index_here(shelf: Shelf, tmp_path: Path) -> None:
    for folder, found in ((tmp_path, None), (shelf.folder, ("ok", "4 documents are searched", ""))):
        settings = Settings.model_validate({"ENV": "local", "SONORA_DATA_DIR": folder})
        assert await examine_knowledge(settings) == found


async def test_a_project_without_pgvector_or_with_other_tables_is_told_apart(
    lite: Lite, index: Index, shelf: Shelf
) -> None:
    async with project_of(lite) as project:
        with pytest.raises(StorageError, match="pgvector"):
            await push(index, project)
        with pytest.raises(StorageError, match="pgvector"):
            await SupabaseSearch(project, lambda: shelf.embedder).find(CLEANING)
        assert await project.remove_of(shelf.ana) == 0
        assert await project.documents_of(shelf.ana) == []


async def test_without_a_key_the_setting_says_so(tmp_path: Path) -> None:
    for values in ({}, {"OPENAI_API_KEY": "key"}):
        for where in ("supabase", "match_documents"):
            settings = Settings.model_validate(
                {"ENV": "local", "SONORA_KNOWLEDGE": where, "SONORA_DATA_DIR": tmp_path, **values}
            )
            with pytest.raises(SettingsError, match=r"SUPABASE_SECRET_KEY|OPENAI_API_KEY"):
                await make_search(settings)


async def test_a_users_documents_are_removed_here_and_there(
    lite_with_vector: Lite, tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path)
    settings = Settings.model_validate({"ENV": "local", "SONORA_DATA_DIR": tmp_path})
    async with project_of(lite_with_vector) as project:
        with closing(Index(shelf.path)) as index:
            await push(index, project)
            counts = {"documents": 1, "passages": 1}
            for remove in (False, True):
                found = await documents_of(settings, shelf.ana, project.api, remove=remove)
                assert found == {"supabase": counts, "knowledge": counts}
            left = {each.document.user_id for each in await project.documents()}
            assert shelf.ana not in left
            assert shelf.eva in left
            assert {each.user_id for each in index.documents()} == {None, shelf.eva}
            assert await documents_of(settings, shelf.ana, project.api, remove=True) == {}
            await project.remove([each.id for each in index.documents()])


def test_a_table_of_another_purpose_is_left_alone(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("create table public.documents (id bigserial, content text)")
    database.migrate()
    with database.connect() as connection:
        assert scalar(connection, "select sonora_documents_problem()") == "no_tables"
        assert scalar(connection, "select sonora_documents() ->> 'problem'") == "no_tables"
        assert scalar(connection, "select sonora_remove_documents(user_id => 'ana')") == 0


MATCHING = """
create table public.embedded_texts (
    id bigserial primary key, content text, metadata jsonb, embedding vector(1536)
);
create function public.match_documents(
    query_embedding vector(1536), match_threshold float, match_count int
)
    returns table (id bigint, content text, metadata jsonb, similarity float)
    language sql stable as $$
        select t.id, t.content, t.metadata, 1 - (t.embedding <=> query_embedding)
        from public.embedded_texts t
        where 1 - (t.embedding <=> query_embedding) > match_threshold
        order by t.embedding <=> query_embedding
        limit match_count
    $$;
insert into public.embedded_texts (content, metadata, embedding)
select content, metadata::jsonb,
    ('[' || first || ',' || second || repeat(',0', 1534) || ']')::vector
from (values
    ('Limpie el cristal con bicarbonato.', '{"title": "Horno", "page": 3}', 1.0, 0.1),
    ('El contrato de Ana.', '{"source": "contratos/ana.pdf", "user_id": "ana"}', 1.0, 0.3),
    ('Otra cosa.', '{}', 0.0, 1.0)
) as rows (content, metadata, first, second);
"""


async def test_a_project_with_its_own_match_documents_is_asked_as_it_is(tmp_path: Path) -> None:
    older = tmp_path / "20261128190000_older.sql"
    older.write_text(MATCHING)
    openai = OpenAIVendor("key")
    with running_lite(with_vector=True, more=[older]) as server:
        async with openai.serving():
            settings = Settings.model_validate(
                {
                    "ENV": "local",
                    "OPENAI_API_KEY": "key",
                    "OPENAI_BASE_URL": openai.url,
                    "SUPABASE_URL": server.url,
                    "SUPABASE_SECRET_KEY": server.secret_key,
                    "SONORA_KNOWLEDGE": "match_documents",
                }
            )
            search = await make_search(settings)
            assert isinstance(search, MatchSearch)
            findings = await search.find(CLEANING, "luis")
            (found,) = findings.given
            assert found.passage.content == "Limpie el cristal con bicarbonato."
            assert (found.passage.title, found.passage.page) == ("Horno", 3)
            body = openai.log.of("embedded")[0]["body"]
            assert body["model"] == "text-embedding-3-small"
            assert body["input"] == ["cómo limpio el cristal del horno"]
            assert body["encoding_format"] == "base64"
            # Its owner finds what names an owner.
            anas = await search.find(CLEANING, "ana")
            assert [each.passage.title for each in anas.found] == ["Horno", "ana.pdf"]
            openai.embeddings = lambda texts: [[0.0, -1.0] + [0.0] * 1534 for _ in texts]
            assert (await search.find(CLEANING, "ana")).given == ()
            # What is not one vector of that size is not sent on.
            for wrong in ([[1.0] * 384], [[1.0] * 1536] * 2, [], [[float("nan")] * 1536]):
                openai.embeddings = lambda texts, wrong=wrong: wrong
                with pytest.raises(StorageError):
                    await search.find(CLEANING, "ana")
                search._circuit.succeeded()
            for status in (401, 429, 500):
                openai.embedding_status = status
                with pytest.raises(StorageError, match="OpenAI"):
                    await search.find(CLEANING, "ana")
                search._circuit.succeeded()
            openai.embedding_status = 200
            openai.embedding_secs = DEADLINE_SECS + 5
            with pytest.raises(StorageError):
                await asyncio.wait_for(search.find(CLEANING, "ana"), DEADLINE_SECS + 1)
            await search.aclose()


def test_the_command_pushes_and_searches_there(
    lite_with_vector: Lite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path))
    run = CliRunner()
    alone = run.invoke(app, ["knowledge", "push"])
    assert isinstance(alone.exception, SettingsError) or "SUPABASE_SECRET_KEY" in alone.output
    monkeypatch.setenv("SUPABASE_URL", lite_with_vector.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", lite_with_vector.secret_key)
    pushed = run.invoke(app, ["knowledge", "push", "--json"])
    assert [each["user_id"] for each in json.loads(pushed.stdout)["pushed"]].count(None) == 2
    again = run.invoke(app, ["knowledge", "push"])
    assert "Unchanged: 4." in again.stdout
    monkeypatch.setenv("SONORA_KNOWLEDGE", "supabase")
    for user, term in ((shelf.ana, "treinta de junio"), (shelf.eva, "dos de mayo")):
        found = run.invoke(app, ["knowledge", "search", TERM, "--user", user, "--json"])
        assert term in json.loads(found.stdout)["found"][0]["content"]
