"""The operations on repositories, over MCP and HTTP, by the names that callers use."""

import dataclasses
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from mahavishnu.app import App
from mahavishnu.base.errors import MahavishnuError, NotFound, Unavailable
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.daemon.jobs import scheduled_jobs
from mahavishnu.interfaces.mcp.edge import build_server
from mahavishnu.operations.memory_table import BY_NAME as ASKED
from mahavishnu.operations.operation import Call
from mahavishnu.operations.table import OPERATIONS
from tests.conftest import World
from tests.support.ingesting import Ingesting, commit, git, write
from tests.support.served import app_of, serve

pytestmark = pytest.mark.postgres
BY_NAME = {operation.name: operation for operation in OPERATIONS}


@pytest.fixture
def app(world: World, tmp_path: Path) -> App:
    home = tmp_path / "home"
    home.mkdir()
    return dataclasses.replace(app_of(world, home), repository_ingestion=Ingesting(world).ingestion)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write(tmp_path / "shop", prices_py="def total(prices):\n    return sum(prices)\n")
    commit(tmp_path / "shop")
    return tmp_path / "shop"


async def test_they_are_called_with_just_these_names(app: App, tree: Path, tmp_path: Path) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append((done, total, message))

    async with Client(build_server(app)) as client:

        async def call(name: str, **arguments: Any) -> Any:
            result = await client.call_tool(name, arguments, progress_callback=progress)
            assert not result.is_error, result.content
            return result.structured_content

        done = await call("ingest_repository", repo_path=str(tree), metadata={"team": "a"})
        assert (done["status"], done["documents_processed"], done["chunks_stored"]) == (
            "completed",
            1,
            2,
        )
        rate = re.compile(r"1 of 1 files, 2 new chunks, [\d,]+ files/s")
        assert any(rate.fullmatch(message or "") for _, _, message in told)
        answer = await call(
            "query_knowledge_base", query="sum of prices", repo_id=done["repo_id"], top_k=1
        )
        [hit] = answer["hits"]
        assert (hit["path"], hit["commit"]) == ("prices.py", done["commit"])
        [listed] = (await call("list_repositories"))["repositories"]
        assert listed["repo_id"] == done["repo_id"] and listed["last_run"]["status"] == "completed"
    async with serve(app, tmp_path) as served, served.client() as http:
        answer = await http.post("/api/v1/repositories/ingest", json={"repo_path": "shop"})
        assert answer.json()["unchanged"] == 1 and answer.json()["repo_id"] == done["repo_id"]
        asked = {"query": "sum of prices", "repo_id": done["repo_id"]}
        answer = await http.post("/api/v1/repositories/query", json=asked)
        assert answer.json()["hits"][0]["path"] == "prices.py"
        assert len((await http.get("/api/v1/repositories")).json()["repositories"]) == 1


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("ingest_repository", {"repo_path": "no/such"}, "repository.unknown"),
        ("ingest_repository", {"repo_path": "/"}, "repository.too_wide"),
        ("ingest_repository", {"repo_path": "/no/such"}, "repository.not_found"),
        ("query_knowledge_base", {"query": "q", "repo_id": "no"}, "repository.unknown"),
        ("ingest_repository", {"repo_path": "/a\0b"}, "repository.unknown"),
        ("query_knowledge_base", {"query": "q", "repo_id": "~nobody/a\0b"}, "repository.unknown"),
        ("query_knowledge_base", {"query": "q", "group": "no"}, "repository.unknown"),
    ],
)
async def test_what_is_not_there_is_refused_by_code(
    app: App, name: str, values: dict[str, Any], code: str
) -> None:
    operation = BY_NAME[name]
    with pytest.raises(MahavishnuError) as caught:
        await operation.run(Call(app, "tests"), operation.parse(values))
    assert caught.value.code == code
    assert await app.repositories.list_all() == []


async def test_a_question_goes_to_a_repository_a_group_or_all(app: App, tmp_path: Path) -> None:
    ask = BY_NAME["query_knowledge_base"]
    for name in ("one", "two", "three"):
        write(tmp_path / name, a_py=f"walrus = {name!r}\n")
        await app.repositories.add(tmp_path / name)
    (tmp_path / "repos.yaml").write_text(
        "repositories: [{path: one, groups: [g]}, {path: two, groups: [g]}]"
    )
    from mahavishnu.knowledge.repos_file import read_repos_file

    entries = read_repos_file(tmp_path / "repos.yaml", home=tmp_path)
    await app.repositories.add_entries(entries)
    for each in await app.repositories.list_all():
        await app.repository_ingestion.ingest(each)

    async def found(**values: Any) -> set[str]:
        answer = await ask.run(Call(app, "tests"), ask.parse({"query": "walrus", **values}))
        return {hit.project for hit in answer.hits}

    assert await found() == {"one", "two", "three"}
    assert await found(group="g") == {"one", "two"}
    assert await found(repo_id="three") == {"three"}
    assert await found(repo_id="two", group="g") == {"two"}
    search = BY_NAME["search"]
    both = search.parse({"query": "walrus", "group": "g", "projects": ["two"]})
    answer = await search.run(Call(app, "tests"), both)
    assert {hit.project for hit in answer.hits} == {"two"}
    with pytest.raises(NotFound, match="There is no repository in g called three"):
        await found(repo_id="three", group="g")


async def test_a_checkout_is_split_from_a_project_and_linked_to_it(
    app: App, tree: Path, tmp_path: Path
) -> None:
    async def say(name: str, /, **values: Any) -> tuple[str, str | None]:
        operation = ASKED[name]
        found = await operation.run(Call(app, "tests"), operation.request(**values))
        return found.project, found.former

    shop = await app.projects.identify(tree)
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "-q", str(tree), str(copy))
    git(copy, "remote", "remove", "origin")
    assert await app.projects.identify(copy) == shop  # a repository that moved looks the same
    assert await say("split_project", folder=copy) == ("copy", "shop")
    assert (await app.projects.identify(copy)).name == "copy"
    assert await app.projects.identify(tree) == shop
    assert await say("link_project", folder=copy, project="shop") == ("shop", "copy")
    assert await app.projects.identify(copy) == shop
    assert await say("link_project", folder=copy, project="shop") == ("shop", None)
    assert await say("link_project", folder=copy, project="copy") == ("copy", "shop")
    await app.repositories.add(tree)
    for name, values, code in (
        ("link_project", {"folder": copy, "project": "shpo"}, "project.not_found"),
        ("link_project", {"folder": tmp_path, "project": "shop"}, "repository.not_found"),
        ("split_project", {"folder": copy, "name": "shop"}, "project.name_taken"),
        ("split_project", {"folder": tree, "name": "new"}, "project.repository"),
    ):
        with pytest.raises(MahavishnuError) as caught:
            await say(name, **values)
        assert caught.value.code == code


async def test_the_daemon_reads_known_repositories_at_its_time(
    app: App, tree: Path, tmp_path: Path
) -> None:
    flags = {"knowledge.schedule": "0 * * * *"}
    [job] = scheduled_jobs(load_settings(environ=app.loaded.environ, folder=tmp_path, flags=flags))
    await app.repositories.add(tree)
    assert await job.run(Call(app, "daemon")) == "1 repositories read; 2 new chunks, 0 files gone"
    shutil.rmtree(tree)
    with pytest.raises(Unavailable, match="1 of 1 repositories failed; shop: "):
        await job.run(Call(app, "daemon"))
