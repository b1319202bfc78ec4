"""Failover without the gateway: what clients wrote down, a provider that is asked, and switches that follow."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.bindings.location import copy_of, path_in
from mahavishnu.ai.bindings.match import identify
from mahavishnu.ai.bindings.store import Binding, Bindings, render
from mahavishnu.ai.routes.change import change_routes
from mahavishnu.ai.routes.intent import intent_in, read_intent, write_intent
from mahavishnu.ai.routes.routes import Link, read_routes
from mahavishnu.ai.switching.answers import AnswerVerdict
from mahavishnu.ai.switching.switch import SwitchOptions, plan_switch, switch
from mahavishnu.base.errors import Corrupt, UsageError
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.base.settings.trust import trust
from mahavishnu.daemon.failover import AutoSwitch
from mahavishnu.operations.ai.auto import AutoStatus, SetAuto, auto_status, set_auto
from mahavishnu.operations.ai.failover import DueSwitch, Failover, failover_folder
from mahavishnu.operations.ai.requests import SwitchLlm
from mahavishnu.operations.ai.results import TrialBody
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.ai.switching import make_switch
from mahavishnu.services.events.journal import Event, EventJournal
from mahavishnu.services.schedule.pause import Pause, PauseFile

NAMES = ("one", "two", "three")
SETTINGS = """
ai_environments:
  fallback: [one, two, three]
  llm_profiles:
    one: {anthropic_base_url: "https://one.example", key: "env:ONE_KEY"}
    two: {anthropic_base_url: "https://two.example", key: "env:TWO_KEY"}
    three: {anthropic_base_url: "https://three.example", key: "env:THREE_KEY"}
"""
CLAUDE = ("one", "two", "three", "claude")


class Home:
    """A home with Claude Code in it; each `look` is one of the daemon's, a minute after the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            "HOME": str(folder), "MAHAVISHNU_HOME": str(folder), "PATH": "",
            **{f"{name.upper()}_KEY": f"sk-canary-{name}" for name in NAMES},
        }  # fmt: skip
        (folder / "config").mkdir()
        (folder / "config/mahavishnu.yaml").write_text(SETTINGS)
        (folder / ".claude").mkdir()
        self.loaded = load_settings(environ=self.environ, folder=folder)
        self.events = EventJournal(folder / "state")
        self.pause = PauseFile(folder / "state")
        self.time = datetime(2026, 1, 1, tzinfo=UTC)  # before any file was written
        self.answers: dict[str, tuple[AnswerVerdict, datetime | None]] = {}
        self.asked: list[str] = []
        self.want("on")
        self.begin()

    def begin(self) -> None:
        """Begin, or begin again, as a daemon does."""
        folder = failover_folder(self.folder / "state")
        app: Any = self
        self.auto = AutoSwitch(app, Failover(folder, self.ask, lambda: self.time))

    def want(self, intent: Any) -> None:
        write_intent(intent_in(self.folder / "state"), intent)

    def ask(self, profile: Any) -> list[TrialBody]:
        self.asked.append(profile.name)
        verdict, until = self.answers.get(profile.name, ("ok", None))
        trial = {"profile": profile.name, "verdict": verdict, "resets_at": until, "code": ""}
        rest: dict[str, Any] = {
            "protocol": None, "url": "", "model": None, "status": 529, "detail": "", "duration_s": 0.0,
            "meaning": "",
        }  # fmt: skip
        return [TrialBody(**trial, **rest)]

    def switch(self, name: str) -> None:
        make_switch(self.environments, SwitchLlm(name=name, confirm=True))

    def bind(self, name: str) -> Path:
        bound = self.folder / "bound"
        bound.mkdir()
        row = Binding(name, identify(bound.resolve()), {}, "2026-11-21T00:00:00+00:00")
        for path in (path_in(self.folder / "state"), copy_of(path_in(self.folder / "state"))):
            path.write_bytes(render(Bindings((row,))))
        return bound

    @property
    def environments(self) -> Environments:
        return Environments.outside_projects(self.loaded)

    @property
    def profile(self) -> str | None:
        [client] = auto_status(self.environments, AutoStatus()).clients
        return client.profile

    def write(self, status: int, *, cwd: str = "/elsewhere", times: int = 1) -> None:
        """Let a session write down that requests failed, or with 200 that one was answered."""
        path = self.folder / ".claude/projects/-x/s.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        line: dict[str, Any] = {"timestamp": self.time.isoformat(), "cwd": cwd, "type": "assistant"}
        if status == 200:
            line |= {"message": {"model": "m"}}
        else:
            line |= {
                "type": "system",
                "subtype": "api_error",
                "error": {"status": status, "message": str(status)},
            }
        with path.open("a") as stream:
            stream.write(f"{json.dumps(line)}\n" * times)

    async def look(self, minutes: float = 1) -> list[Event]:
        """Return the events of the next look."""
        before = len(self.events.read(limit=999))
        self.time += timedelta(minutes=minutes)
        await self.auto.look()
        return self.events.read(limit=999)[before:]

    async def fail(self, verdict: AnswerVerdict = "overload", status: int = 529) -> list[Event]:
        """Let the profile of now fail until something follows, at most for three looks."""
        self.answers[self.profile or ""] = (verdict, None)
        found: list[Event] = []
        for _ in range(3):
            self.time += timedelta(seconds=1)
            self.write(status)
            found += await self.look(0.3)
        return found


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.switch("one")
    return made


async def test_a_profile_that_fails_is_left_and_returned_to_when_it_answers(home: Home) -> None:
    home.answers["two"] = ("unreachable", None)
    [event] = await home.fail()
    assert home.profile == "three" and (event.result, event.code) == ("failed", "ai.failed_over")
    assert event.what == "ai.auto claude-code" and event.why == "one fails: overload."
    assert event.before == "one"
    assert await home.look(0.2) == []  # it is not asked before its time
    home.answers["one"] = ("ok", None)
    [event] = await home.look(2)
    assert home.profile == "one" and event.result == "done"
    assert await home.look() == [] and "sk-canary" not in home.events.path.read_text()


async def test_a_quota_waits_until_its_reset(home: Home) -> None:
    home.answers["one"] = ("quota", home.time + timedelta(hours=2))
    home.time += timedelta(seconds=1)
    home.write(429)
    assert [e.code for e in await home.look()] == ["ai.failed_over"] and home.profile == "two"
    asked = home.asked.count("one")
    home.begin()  # the daemon was restarted
    assert await home.look(60) == [] and home.asked.count("one") == asked
    home.answers["one"] = ("ok", None)
    assert [e.result for e in await home.look(70)] == ["done"] and home.profile == "one"


@pytest.mark.parametrize(
    ("verdict", "status", "codes"), [("auth", 401, ["ai.key_refused"]), ("not_found", 404, [])]
)
async def test_a_refused_key_and_the_clients_own_errors_are_never_failed_over(
    home: Home, verdict: AnswerVerdict, status: int, codes: list[str]
) -> None:
    assert [each.code for each in await home.fail(verdict, status)] == codes
    assert home.profile == "one"


async def test_errors_that_the_provider_does_not_confirm_switch_nothing(home: Home) -> None:
    for _ in range(5):
        home.time += timedelta(seconds=1)
        home.write(529, times=3)
        assert await home.look() == []
    assert home.profile == "one"
    home.asked.clear()
    home.write(200)
    assert await home.look() == [] and home.asked == []  # nobody is asked while all is well


async def test_sessions_in_a_bound_directory_are_no_reason(home: Home) -> None:
    bound = home.bind("one")
    home.answers["one"] = ("overload", None)
    home.time += timedelta(seconds=1)
    home.write(529, cwd=str(bound / "sub"), times=9)
    assert await home.look() == [] and home.asked == []


async def test_a_sign_in_is_judged_by_what_the_client_wrote_down(home: Home) -> None:
    home.switch("claude")
    home.time += timedelta(seconds=1)
    home.write(529, times=3)
    assert [e.code for e in await home.look()] == ["ai.failed_over"]
    assert home.profile == "one" and "claude" not in home.asked
    assert [e.result for e in await home.look(10)] == ["done"] and home.profile == "claude"


async def test_what_the_user_chose_meanwhile_is_what_counts(home: Home) -> None:
    await home.fail()
    assert home.profile == "two"
    home.switch("three")
    home.answers["one"] = ("ok", None)
    assert await home.look(30) == [] and home.profile == "three"
    await home.fail()
    assert home.profile == "one"  # the next that answers
    home.want("off")
    home.answers.clear()
    assert await home.look(30) == [] and home.profile == "one"
    home.want("on")
    assert [e.result for e in await home.look()] == ["done"] and home.profile == "three"


async def test_pinned_and_in_a_pause_failures_are_told_once_and_nothing_is_switched(
    home: Home,
) -> None:
    home.want("pinned")
    assert [(e.result, e.code) for e in await home.fail()] == [("failed", "ai.pinned")]
    home.want("on")
    home.begin()
    home.pause.write(Pause(since=home.time, dry_run=True))
    assert [e.result for e in await home.look(0.1)] == ["skipped"]
    assert await home.look(0.1) == []
    home.pause.write(Pause(since=home.time))
    assert await home.look(0.1) == [] and home.profile == "one"


async def test_a_switch_that_cannot_be_made_is_recorded_once(home: Home) -> None:
    path = home.folder / ".claude/settings.json"
    said = json.loads(path.read_text())
    said["env"]["ANTHROPIC_AUTH_TOKEN"] = (
        "sk-of-the-user"  # drift: what another wrote is not given up
    )
    path.write_text(json.dumps(said))
    found = [each.code for each in await home.fail()]
    assert found in ([], ["ai.plain_key"], ["ai.changed_meanwhile"])
    assert json.loads(path.read_text()) == said and await home.look(0.1) == []


def share(home: Home, url: str) -> None:
    """Let a file of the team have the profile `team`, first among those to fall back to."""
    (home.folder / "config/mahavishnu.yaml").write_text(
        SETTINGS.replace("[one,", "[team, one,").replace(
            "  llm_profiles", "  shared_profiles: [team.yaml]\n  llm_profiles"
        )
    )
    (home.folder / "config/team.yaml").write_text(
        "ai_environments:\n  llm_profiles:\n    team:\n"
        f'      {{anthropic_base_url: "{url}", key: "env:THREE_KEY"}}\n'
    )


async def test_a_shared_profile_that_leads_elsewhere_is_not_asked_with_the_key(home: Home) -> None:
    share(home, "https://team.example")
    home.switch("team")
    await home.fail()
    assert home.profile == "one" and "team" in home.asked
    share(home, "https://elsewhere.example")
    home.asked.clear()
    home.answers.clear()
    await home.look(30)
    assert home.profile == "one" and home.asked == []


def test_a_fallback_counts_as_accepted_with_the_switch_before_it(home: Home) -> None:
    share(home, "https://team.example")
    home.switch("one")
    assert "team" in [each.name for each in home.environments.site.fallback()]
    share(home, "https://elsewhere.example")
    assert "team" not in [each.name for each in home.environments.site.fallback()]


def test_a_projects_settings_do_not_count_for_the_gateway(home: Home) -> None:
    project = home.folder / "project"
    (project / "settings").mkdir(parents=True)
    (project / "settings/mahavishnu.yaml").write_text(
        "gateway: {port: 9}\nai_environments:\n  fallback: [three]\n  llm_profiles:\n"
        '    two: {anthropic_base_url: "https://project.example", key: "env:TWO_KEY"}\n'
    )
    trust(project, home.loaded.locations)
    environments = Environments(load_settings(environ=home.environ, folder=project), folder=project)
    assert environments.loaded.settings.gateway.port == 9
    site, profiles = environments.site, environments.profiles
    assert site.gateway.endswith(":8681")
    assert [each.name for each in site.fallback()] == list(NAMES)
    plan_switch(site, profiles["one"], SwitchOptions(via="gateway"))
    with pytest.raises(UsageError) as caught:
        plan_switch(site, profiles["two"], SwitchOptions(via="gateway"))
    assert caught.value.code == "ai.gateway_option"


def test_a_switch_of_the_user_since_the_look_stands(home: Home) -> None:
    failover = Failover(failover_folder(home.folder / "state"), home.ask, lambda: home.time)
    home.switch("three")
    act = DueSwitch("claude-code", "one", "two", "one fails.")
    assert not failover.carry_out(home.environments, act)
    assert home.profile == "three" and not failover.watched


def test_a_route_of_one_profile_that_a_directory_is_bound_to_stays_so(home: Home) -> None:
    home.bind("one")
    site = home.environments.site
    switch(site, home.environments.profiles["one"], SwitchOptions(via="gateway"))
    change_routes(site.routes, site.locks, chains={"claude-code": [Link("one")]})
    set_auto(home.environments, SetAuto(intent="on"))
    assert read_routes(site.routes)["claude-code"].only_profile == "one"


def test_damaged_routes_are_found_before_failover_is_said_to_be_on(home: Home) -> None:
    home.want("off")
    site = home.environments.site
    site.routes.parent.mkdir(parents=True)
    site.routes.write_text("[")
    with pytest.raises(Corrupt):
        set_auto(home.environments, SetAuto(intent="on"))
    assert read_intent(intent_in(site.state)) == "off"
