"""
A team on one PostgreSQL: two people in two homes, with the real Claude Code and the real Qwen Code.

Each has a role of their own. Their profile is in a folder of the team's, and its key in a cloud of the team's. A
role that is neither the owner nor a superuser backs all up and restores it. Takes 30 s on a busy machine: two
thirds for the two clients, each of which starts Python for its tools and for a key from a cloud.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.peers.conftest import require_peers
from tests.support.command import PROGRAM, UNMEASURED, Command
from tests.support.external import ExternalServer, newest_binaries, served, trusting_pgvector
from tests.support.peers.provider_stub import ProviderStub, Use, provider_stub
from tests.support.peers.switched import place_programs

pytestmark = [pytest.mark.peer, pytest.mark.postgres]
require_peers("oneiric", "moto")

from tests.support.peers import clouds  # noqa: E402

KEY = "sk-canary-of-the-team-0123456789"
ROLES = ("team", "ana", "ben", "keeper")
_RUN_TIMEOUT_S = 180


@dataclass(frozen=True)
class Team:
    """The server, the provider that all use, and a home for each role; `team` owns the database."""

    server: ExternalServer
    provider: ProviderStub
    homes: dict[str, Command]

    def sql(self, *statements: str, database: str = "team") -> None:
        """Run statements as the superuser."""
        asyncio.run(self.server.execute(*statements, database=database))

    def ask(self, who: str, client: str, *script: Use) -> list[tuple[str, bool]]:
        """Let a member's client do what the script says; returns what the tools answered."""
        home = self.homes[who]
        self.provider.script = script
        self.provider.asked.clear()
        words = {
            "claude": ("claude", "--allowedTools", "mcp__mahavishnu"),
            # Qwen Code asks no helper for a key: one that is not exported is handed over at its start.
            "qwen": (str(PROGRAM), "ai", "run", "work", "--", "qwen", "--approval-mode", "yolo"),
        }
        done = subprocess.run(
            [*words[client], "-p", "Do as the script says."],
            env={**home.environ(), "TERM": "dumb", "LANG": "C.UTF-8",
                 "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"},
            cwd=home.home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_RUN_TIMEOUT_S,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done
        turns = self.provider.turns
        assert all(each.headers["authorization"] == f"Bearer {KEY}" for each in turns)
        assert {each.body["model"] for each in turns} <= {"large", "small"}
        return max((each.results for each in turns), key=len)

    def contents(self, who: str) -> list[str]:
        """Return the memories that a member sees."""
        listed = self.homes[who]("memory", "list", "--json").json["memories"]
        return sorted(each["content"] for each in listed)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A database that its owner prepared, and two members who are set up by the commands alone."""
    folder = tmp_path_factory.mktemp("team")
    trusting = trusting_pgvector(folder / "programs")
    cloud = clouds.FaultyAws(values={"team/llm": json.dumps({"WORK": KEY})})
    with (
        served(ExternalServer(newest_binaries(), folder / "server"), trusting) as server,
        cloud.serve() as aws,
        provider_stub() as (provider, url),
    ):
        homes = {name: member(folder / name, name, server, aws) for name in ROLES}
        made = Team(server, provider, homes)
        roles = [f"CREATE ROLE {name} LOGIN PASSWORD '{server.secret}'" for name in ROLES]
        made.sql(*roles, "CREATE DATABASE team OWNER team", database="postgres")
        # As the how-to says: a role that sees everything, and changes nothing.
        made.sql("ALTER ROLE keeper BYPASSRLS", "GRANT pg_read_all_data TO keeper")
        assert homes["team"]("db", "init").status == 0
        for name in ("ana", "ben"):
            assert homes["team"]("db", "grant", name).status == 0
        work = {"anthropic_base_url": url, "openai_chat_base_url": f"{url}/v1", "model": "large",
                "small_model": "small", "key": "oneiric:aws/team/llm#WORK"}  # fmt: skip
        (folder / "profiles").mkdir()
        (folder / "profiles/work.yaml").write_text(yaml.safe_dump(work))
        yield made


def member(home: Path, name: str, server: ExternalServer, aws: str) -> Command:
    """Return a home whose settings name the team's server, profiles and keys."""
    home.mkdir()
    place_programs(home / "bin")
    path = f"{home / 'bin'}:{os.defpath}"
    found = Command(home, {"MAHAVISHNU_EMBEDDING_PROVIDER": "none", **UNMEASURED, **clouds.CREDENTIALS,
                           "AWS_EC2_METADATA_DISABLED": "true", "PATH": path})  # fmt: skip
    settings: dict[str, Any] = {
        "postgresql": {"dsn": server.dsn("team", name)},
        "ai_environments": {"shared_profiles": [str(home.parent / "profiles")]},
        "secrets": {"oneiric": {"aws": {"main": {"region": "eu-west-1", "endpoint_url": aws}}}},
    }
    found.settings.write_text(yaml.safe_dump(settings))
    return found


@pytest.mark.verifies("Claude Code and Qwen Code of two people on one PostgreSQL")
def test_two_clients_share_what_their_users_choose(team: Team) -> None:
    for who, folder, client in (("ana", ".claude", "claude-code"), ("ben", ".qwen", "qwen")):
        (team.homes[who].home / folder).mkdir()
        assert team.homes[who]("ai", "switch-llm", "work", "--client", client).status == 0
        assert team.homes[who]("ai", "mcp", "install", "--client", client).status == 0
    private, shared = "Ana's kiln fires at 1240 degrees.", "The team's kiln fires at 1300 degrees."
    store, find = "mcp__mahavishnu__store_memory", "mcp__mahavishnu__search"
    question = {"query": "How hot does the kiln fire?"}
    results = team.ask(
        "ana", "claude",
        Use(store, {"content": private}), Use(store, {"content": shared, "visibility": "shared"}), Use(find, question),
    )  # fmt: skip
    assert [failed for _, failed in results] == [False] * 3, results
    assert private in results[2][0] and shared in results[2][0]
    identifier = json.loads(results[1][0])["id"]
    forget = {"ids": [identifier], "confirm": True}
    own = {"content": "Ben's kiln is cold.", "visibility": "shared"}
    found, forgotten, stored = (
        text
        for text, _ in team.ask(
            "ben", "qwen",
            Use(find, question), Use("mcp__mahavishnu__forget_memory", forget), Use(store, own),
        )
    )  # fmt: skip
    assert shared in found and private not in found
    assert identifier in forgotten and '"count":0' in forgotten.replace(" ", "")
    assert '"created":true' in stored.replace(" ", "")
    listed = team.homes["ana"]("memory", "list", "--json").json["memories"]
    assert {each["content"]: each["owner"] for each in listed} == {
        private: "ana", shared: "ana", own["content"]: "ben",
    }  # fmt: skip
    assert team.contents("ben") == sorted([shared, own["content"]])
    for who in ("ana", "ben"):
        kept = [path for path in team.homes[who].home.rglob("*") if path.is_file()]
        assert not [path for path in kept if KEY.encode() in path.read_bytes()]


def test_a_role_of_least_privilege_backs_up_and_restores(team: Team) -> None:
    ana, ben, keeper = (team.homes[who] for who in ("ana", "ben", "keeper"))
    assert ana("memory", "store", "Ana's note.").status == 0
    assert ben("memory", "store", "Ben's word to all.", "--shared").status == 0
    before = {who: team.contents(who) for who in ("ana", "ben")}
    assert ana("backup", "create", "--json").error["code"] == "backup.rights"

    assert keeper("backup", "create").status == 0
    assert keeper("backup", "verify").status == 0
    assert keeper("backup", "drill", "--json").error["code"] == "backup.create_rights"
    refused = keeper("memory", "store", "The keeper's.", "--json")
    assert refused.error["code"] == "database.rights"

    team.sql("ALTER ROLE keeper CREATEDB", "GRANT team TO keeper")
    assert keeper("backup", "drill").status == 0
    assert ana("memory", "forget", "--since", "2026-01-01", "--yes").status == 0
    since = team.contents("ana")
    assert since != before["ana"]
    restored = keeper("backup", "restore", "--yes")
    assert restored.status == 0, restored
    assert {who: team.contents(who) for who in ("ana", "ben")} == before
    # Each is an author and a member as before, also of tables that come later.
    assert ana("memory", "store", "Ana goes on.").status == 0
    rights = team.homes["team"].sql(
        "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    )
    assert rights == "team"
    assert keeper("backup", "create").status == 0 and keeper("backup", "drill").status == 0
    assert keeper("backup", "restore", "--undo", "--yes").status == 0
    assert team.contents("ana") == since
