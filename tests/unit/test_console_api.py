"""The console's API: what it answers, and whom."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from simulators.clients.kept_journal import Kept, write_journal
from sonora_app.console.conversations import Live
from sonora_app.console.knowledge import Searching
from sonora_app.console.routes import add_console
from sonora_app.errors import without_paths
from sonora_app.knowledge.adding import add_files
from sonora_app.knowledge.embedding import LocalEmbedder
from sonora_app.knowledge.index import Index
from sonora_app.knowledge.making import AnySearch, make_search
from sonora_app.settings import Settings, load_settings
from sonora_app.storage.files.files import LocalFiles
from sonora_app.storage.files.kept_file import KeptFile
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import Memory, utc_now, uuid7

pytestmark = pytest.mark.unit

HOST = "localhost:7860"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    for name in ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY", "SUPABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return load_settings()


@pytest.fixture
async def kept(settings: Settings) -> Kept:
    settings.data_dir.mkdir()
    return await asyncio.to_thread(write_journal, settings.journal_path)


@asynccontextmanager
async def console(
    settings: Settings,
    client: tuple[str, int] = ("127.0.0.1", 50_000),
    search: Searching | None = None,
    live: Live = dict,
) -> AsyncGenerator[httpx.AsyncClient]:
    """What a page of the runner's own sends, to the console on the settings' journal."""
    app = FastAPI()
    journal = await Journal.connect(settings.journal_path)

    async def store() -> Journal:
        return journal

    add_console(app, settings, store, search or (lambda: make_search(settings)), live)
    transport = httpx.ASGITransport(app, client=client)
    try:
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as http:
            yield http
    finally:
        await journal.aclose()


async def test_a_call_that_goes_on_has_what_it_used_so_far(settings: Settings, kept: Kept) -> None:
    async with console(settings) as http:
        before = (await http.get(f"/sonora/api/conversations/{kept.talk}")).json()
    ended, going = before["sessions"]
    used = {"cost": {"currency": "USD", "total": 0.01, "known": 0.01, "not_known": []}}
    so_far = {UUID(each["id"]): used for each in (ended, going)}
    async with console(settings, live=lambda: so_far) as http:
        after = (await http.get(f"/sonora/api/conversations/{kept.talk}")).json()
        alone = [await http.get(f"/sonora/api/calls/{id_}/used") for id_ in (*so_far, kept.talk)]
    assert [each.json() for each in alone] == [used, used, None]
    assert [each["metrics"] for each in after["sessions"]] == [ended["metrics"], used]


async def _listed(http: httpx.AsyncClient, **wanted: str) -> list[dict[str, Any]]:
    answer = (await http.get("/sonora/api/conversations", params=wanted)).json()
    return answer["conversations"]


async def test_it_lists_conversations_and_shows_one(settings: Settings, kept: Kept) -> None:
    async with console(settings) as http:
        listed = await _listed(http)
        anas = await _listed(http, user_id="ana")
        shown = (await http.get(f"/sonora/api/conversations/{kept.talk}")).json()
        markdown = f"/sonora/api/conversations/{kept.talk}/markdown"
        english, spanish = [
            (await http.get(markdown, params={"language": language})).json()["markdown"]
            for language in ("en", "es")
        ]

    assert {each["id"] for each in listed} == {str(kept.talk), str(kept.other)}
    assert [(each["title"], each["messages"]) for each in anas] == [("Un viaje a Oaxaca", 4)]
    assert shown["conversation"]["user_id"] == "ana"
    assert [message["content"] for message in shown["messages"]][:2] == [
        "Hola, Ana.",
        "Quiero ir a Oaxaca",
    ]
    assert shown["messages"][0]["interrupted"] is True
    assert [step["trigger"] for step in shown["transitions"]] == [
        "set_conversation_id",
        "greeting_finished",
    ]
    assert english.startswith("# Un viaje a Oaxaca")
    assert ("## Call 1" in english, "## Llamada 1" in spanish) == (True, True)
    assert "terminó con una despedida" in spanish, "as the console itself says it"


async def test_conversations_are_found_by_their_words_and_told_how_many(
    settings: Settings, kept: Kept
) -> None:
    wanted = {"text": "IR A OÁXACA", "until": "2099-01-01T00:00", "status": "completed"}
    async with console(settings) as http:
        found = (await http.get("/sonora/api/conversations", params=wanted)).json()
        nobody = await _listed(http, text="lima")
        failed = await _listed(http, failed="true")
        second = (await http.get("/sonora/api/conversations?limit=1&offset=1")).json()
        malformed = await http.get(
            "/sonora/api/conversations?since=yesterday", headers={"Accept-Language": "es"}
        )

    assert found["total"] == 1
    (listing,) = found["conversations"]
    assert (listing["id"], listing["hit"]["words"]) == (str(kept.talk), "Quiero ir a Oaxaca")
    assert nobody == failed == []
    assert (second["total"], [each["id"] for each in second["conversations"]]) == (
        2,
        [str(kept.other)],
    )
    assert malformed.status_code == 422
    assert malformed.json()["message"] == "No se puede leer la solicitud."


async def test_turns_are_labelled_and_their_labels_changed(settings: Settings, kept: Kept) -> None:
    async with console(settings) as http:
        path = f"/sonora/api/conversations/{kept.talk}"
        turn = (await http.get(path)).json()["messages"][1]["id"]
        given = await http.post(f"{path}/labels", json={"name": "Odd", "message_id": turn})
        one = f"{path}/labels/{given.json()['label']['id']}"
        changed = await http.put(one, json={"name": "wrong", "note": "Lima"})
        labels = (await http.get(path)).json()["labels"]
        (listed,) = await _listed(http, label="WRONG")
        gone = await http.put(one, json={"name": "wrong"})
        other = f"{path}/labels/{changed.json()['label']['id']}"
        removed = await http.delete(other)
        left = (await http.get(path)).json()["labels"]
        refused = [
            await http.post(f"{path}/labels", json={"name": "\x1f"}),
            await http.post(f"{path}/labels", json={"name": "a" * 61}),
            await http.post(f"{path}/labels", content=r'{"name": "a", "note": "\ud800"}'),
            await http.post(f"{path}/labels", json={"name": "a", "note": "a" * 2_001}),
            await http.post(f"{path}/labels", json={"name": "a", "message_id": str(uuid4())}),
            await http.post(f"/sonora/api/conversations/{uuid4()}/labels", json={"name": "a"}),
        ]

    assert [(each["name"], each["note"], each["message_id"]) for each in labels] == [
        ("wrong", "Lima", turn)
    ]
    assert listed["labels"] == ["wrong"]
    assert (gone.status_code, removed.status_code, left) == (404, 200, [])
    assert [each.status_code for each in refused] == [422] * 4 + [404] * 2


async def test_what_is_not_there_is_told_as_json(settings: Settings, kept: Kept) -> None:
    async with console(settings) as http:
        unknown = await http.get(f"/sonora/api/conversations/{uuid4()}")
        malformed = await http.get("/sonora/api/conversations/7")
        nowhere = await http.get("/sonora/api/secrets")

    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert (malformed.status_code, nowhere.status_code) == (422, 404)
    assert all(answer.json()["message"] for answer in (unknown, malformed, nowhere))


async def test_a_deleted_conversation_is_gone(settings: Settings, kept: Kept) -> None:
    async with console(settings) as http:
        deleted = await http.delete(f"/sonora/api/conversations/{kept.talk}")
        again = await http.delete(f"/sonora/api/conversations/{kept.talk}")
        shown = await http.get(f"/sonora/api/conversations/{kept.talk}")
        listed = await _listed(http)

    assert (deleted.status_code, deleted.json()) == (200, {"deleted": str(kept.talk)})
    assert (again.status_code, shown.status_code) == (404, 404)
    assert [each["id"] for each in listed] == [str(kept.other)]


async def test_the_flow_is_the_running_one(settings: Settings, kept: Kept) -> None:
    async with console(settings) as http:
        flow = (await http.get("/sonora/api/flow")).json()

    drawing = flow["drawing"]
    boxes = {box["name"]: box for box in drawing["boxes"]}
    assert boxes.keys() == {"waiting", "greeting", "conversation", "wrap_up", "farewell"}
    assert boxes["waiting"]["initial"]
    assert boxes["farewell"]["final"]
    edges = [
        (edge["from"], edge["to"], edge["function"])
        for line in drawing["lines"]
        for edge in line["edges"]
    ]
    assert ("greeting", "conversation", "greeting_finished") in edges
    assert "initial_node: waiting" in flow["yaml"]


async def test_health_is_what_the_doctor_finds_without_a_path(
    settings: Settings, kept: Kept
) -> None:
    async with console(settings) as http:
        health = (await http.get("/sonora/api/health")).json()

    checks = {check["name"]: check for check in health["checks"]}
    assert health["stand_ins"] == ["llm", "stt", "tts"]
    assert (health["supabase"], health["language"]) == (False, "es")
    assert health["identity"] == "claimed"
    assert [part["played"] for part in health["parts"].values()] == ["stand_in"] * 3
    assert checks["Voice"]["state"] == "note"
    assert "…/journal.db" in checks["Journal"]["found"]
    assert "Port" not in checks
    assert str(settings.data_dir) not in json.dumps(health)


async def test_what_is_shown_is_in_the_language_of_the_page(settings: Settings, kept: Kept) -> None:
    async with console(settings) as http:
        spanish = {"language": "es"}
        health = (await http.get("/sonora/api/health", params=spanish)).json()
        flow = (await http.get("/sonora/api/flow", params=spanish)).json()

    checks = {check["name"]: check for check in health["checks"]}
    assert checks["Voz"]["found"].startswith("falta CARTESIA_API_KEY")
    assert "…/journal.db, esquema" in checks["Diario"]["found"]
    subtitles = [box["subtitle"] for box in flow["drawing"]["boxes"] if box["model"]]
    assert subtitles
    assert all(subtitle[0].split(" · ")[0] == "habla el modelo" for subtitle in subtitles)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:7860"},
        {"host": "localhost.evil.example"},
        {"host": ""},
        {"host": "[::1"},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "null"},
        {"origin": "http://evil.example:7860", "host": "evil.example:7860"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_other_pages_and_other_names_are_refused(
    settings: Settings, kept: Kept, headers: dict[str, str]
) -> None:
    async with console(settings) as http:
        answers = [
            await http.request(method, f"/sonora/api/{path}", headers=headers)
            for method, path in (
                ("GET", "conversations"),
                ("GET", f"conversations/{kept.talk}"),
                ("GET", "health"),
                ("DELETE", f"conversations/{kept.talk}"),
            )
        ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert all("Oaxaca" not in answer.text for answer in answers)


async def test_other_machines_are_refused(settings: Settings, kept: Kept) -> None:
    async with console(settings, client=("192.168.1.20", 50_000)) as http:
        answer = await http.get("/sonora/api/conversations")

    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:7860", "[::1]:7860"])
async def test_the_page_itself_may_ask(settings: Settings, kept: Kept, host: str) -> None:
    own = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    async with console(settings) as http:
        answer = await http.get("/sonora/api/conversations", headers=own)

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["content-type"] == "application/json"


async def test_the_page_may_load_nothing_from_outside(settings: Settings, kept: Kept) -> None:
    async with console(settings) as http:
        page = await http.get("/")
        script = await http.get("/sonora/static/console.js")
        style = await http.get("/sonora/static/console.css")

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "console.js" in page.text
    assert (script.status_code, style.status_code) == (200, 200)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/ana/sonora/.sonora/journal.db, schema 5", "…/journal.db, schema 5"),
        ("'/var/lib/x/y' cannot be written to", "'…/y' cannot be written to"),
        ("https://example.org/a/b answers", "https://example.org/a/b answers"),
        ("3/4 of it and/or more", "3/4 of it and/or more"),
    ],
)
def test_paths_are_cut_down(text: str, told: str) -> None:
    assert without_paths(text) == told


async def test_what_is_remembered_is_seen_corrected_forgotten_and_switched_off(
    settings: Settings, kept: Kept
) -> None:
    said = Memory(
        id=uuid7(),
        user_id="ana",
        content="Vive en Lima.",
        source_message_id=uuid7(),
        conversation_id=kept.talk,
        created_at=utc_now(),
        metadata={"source": "call"},
    )
    journal = await Journal.connect(settings.journal_path)
    await journal.write([said])
    await journal.aclose()
    where, of_ana = "/sonora/api/memories", {"user_id": "ana"}
    async with console(settings) as http:
        listed = (await http.get(where, params=of_ana)).json()
        assert listed == {"remembers": None, "memories": [said.model_dump(mode="json")]}
        put = await http.put(f"{where}/{said.id}", json={**of_ana, "content": " Vive en Quito. "})
        corrected = put.json()["memory"]
        assert (corrected["content"], corrected["created_at"]) == (
            "Vive en Quito.",
            listed["memories"][0]["created_at"],
        )
        assert corrected["conversation_id"] == str(kept.talk)
        assert corrected["metadata"]["source"] == "console"
        everything = (await http.get(where, params={**of_ana, "past": "true"})).json()
        assert everything["memories"] == [corrected]

        url = f"{where}/{corrected['id']}"
        assert (await http.delete(url, params={"user_id": "eva"})).status_code == 404
        assert (await http.delete(url, params=of_ana)).json() == {"forgotten": corrected["id"]}
        assert (await http.delete(url, params=of_ana)).status_code == 404
        off = await http.put(where, json={**of_ana, "remembers": False})
        assert off.json() == {"remembers": False}
        assert (await http.get(where, params=of_ana)).json() == {"remembers": False, "memories": []}
        for bad in ({**of_ana, "content": " "}, {**of_ana, "content": "x" * 501}, {"content": "x"}):
            assert (await http.put(url, json=bad)).status_code == 422
        assert (await http.get(where)).status_code == 422


async def test_it_lists_documents_and_searches_as_a_call_would(
    settings: Settings, tmp_path: Path
) -> None:
    settings.data_dir.mkdir()
    async with console(settings) as http:
        none = (await http.get("/sonora/api/knowledge")).json()
        nothing = (await http.get("/sonora/api/knowledge/search?question=hola")).json()
    assert (none["searchable"], none["documents"], none["unanswered"]) == (False, [], [])
    assert nothing is None

    (tmp_path / "plazo.md").write_text("# Contrato\n\nTermina el treinta de junio.\n", "utf-8")
    with closing(Index(settings.knowledge_path)) as index:
        add_files(index, [tmp_path / "plazo.md"], LocalEmbedder(), user_id="ana")
    search = await make_search(settings)
    assert search is not None
    search.missed("cuánto cuesta un taxi", "luis")

    async def given() -> AnySearch | None:
        return search

    async with console(settings, search=given) as http:
        told = (await http.get("/sonora/api/knowledge")).json()
        asked = {"question": "¿cuándo termina el contrato?"}
        anas = (
            await http.get("/sonora/api/knowledge/search", params=asked | {"user_id": "ana"})
        ).json()
        luises = (
            await http.get("/sonora/api/knowledge/search", params=asked | {"user_id": "luis"})
        ).json()
    await search.aclose()
    assert [(each["title"], each["user_id"]) for each in told["documents"]] == [("Contrato", "ana")]
    assert [each["question"] for each in told["unanswered"]] == ["cuánto cuesta un taxi"]
    assert "treinta de junio" in anas["found"][0]["content"]
    assert luises["found"] == []


async def test_a_kept_file_is_shown_to_the_page_of_this_machine_alone(
    settings: Settings, kept: Kept
) -> None:
    keeper_files = LocalFiles(settings.data_dir / "files")
    picture = KeptFile.of("ana", kept.talk, uuid7(), "image/jpeg")
    document = KeptFile.of("ana", kept.talk, uuid7(), "text/plain")
    await keeper_files.keep(picture, b"\xff\xd8picture")
    await keeper_files.keep(document, b"<script>alert(1)</script>")
    reference = {"reference": picture.reference("mi gato.jpg")}
    async with console(settings) as http:
        told = (await http.get("/sonora/api/files", params=reference)).json()
        shown = await http.get(told["url"])
        ranges = [("bytes=2-4", 206, b"pic"), ("bytes=-4", 206, b"ture"), ("bytes=99-", 416, b"")]
        parts = [await http.get(told["url"], headers={"Range": asked}) for asked, _, _ in ranges]
        named = {"reference": document.reference("ñandú.txt")}
        saved = await http.get("/sonora/api/files/content", params=named)
        missing = KeptFile.of("ana", kept.talk, uuid7(), "image/jpeg").reference("x")
        refused = [
            await http.get("/sonora/api/files", params={"reference": each})
            for each in (missing, "sonora-files/../../journal.db", "https://example.com/a.png")
        ]
        from_elsewhere = await http.get(
            "/sonora/api/files/content", params=reference, headers={"Sec-Fetch-Site": "cross-site"}
        )
    assert (told["name"], told["media_type"]) == ("mi gato.jpg", "image/jpeg")
    assert (shown.content, shown.headers["content-type"]) == (b"\xff\xd8picture", "image/jpeg")
    assert shown.headers["content-disposition"].startswith("inline")
    got = [
        (asked[0], part.status_code, part.content)
        for asked, part in zip(ranges, parts, strict=True)
    ]
    assert got == ranges
    assert parts[0].headers["content-range"] == "bytes 2-4/9"
    assert (
        saved.headers["content-disposition"] == "attachment; filename*=utf-8''%C3%B1and%C3%BA.txt"
    )
    assert "sandbox" in saved.headers["content-security-policy"]
    assert [answer.status_code for answer in refused] == [404, 404, 404]
    assert from_elsewhere.status_code == 403
