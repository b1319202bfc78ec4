"""Files that start the daemon at login: what they say, and that a foreign one is left alone."""

import plistlib
import re
import shlex
from pathlib import Path

import pytest

from mahavishnu.base.errors import Conflict, UsageError
from mahavishnu.base.paths import Locations
from mahavishnu.daemon.login import LoginBackend, LoginPlan, install, plan_login, uninstall
from mahavishnu.interfaces.cli.service.login import show_entry
from mahavishnu.services.backends.launchd import render_plist
from mahavishnu.services.backends.owned_files import is_ours, sealed
from mahavishnu.services.backends.supervisord_files import find_settings, render_program
from mahavishnu.services.units.unit import Unit

ENVIRON = {"MAHAVISHNU_HOME": "/srv/m", "PATH": "/bin", "MAHAVISHNU_PG_PASSWORD": "canary"}


@pytest.fixture
def locations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Locations:
    """A home with nothing in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return Locations(*(tmp_path / name for name in ("config", "data", "state")))


def plan(locations: Locations, backend: LoginBackend = "launchd") -> LoginPlan:
    return plan_login(backend, locations, ENVIRON, drain_s=10)


def test_a_property_list_says_what_the_unit_is(tmp_path: Path) -> None:
    unit = Unit(
        name="odd", command=("/bin/echo", "<&>", "ü"), environment=("A=b=c",), restart="never"
    )
    text = sealed(render_plist(unit, label="com.example.odd", log=tmp_path))
    read = plistlib.loads(text.encode())
    assert read["Label"] == "com.example.odd"
    assert read["ProgramArguments"] == ["/bin/echo", "<&>", "ü"]
    assert read["EnvironmentVariables"] == {"A": "b=c"}
    assert (read["RunAtLoad"], read["KeepAlive"], read["AbandonProcessGroup"]) == (
        True,
        False,
        False,
    )
    assert is_ours(text) and not is_ours(text.replace("odd", "other", 1))


def test_no_key_of_the_environment_is_written(locations: Locations) -> None:
    text = plan(locations).text
    assert "/srv/m" in text and "canary" not in text
    entry = install(plan(locations), locations, ENVIRON, dry_run=True)
    assert entry.unseen == ["MAHAVISHNU_PG_PASSWORD"]


def test_systemd_tries_no_more_where_it_is_no_use(locations: Locations) -> None:
    text = plan(locations, "systemd").text
    assert f"RestartPreventExitStatus={UsageError.exit_code} {Conflict.exit_code}\n" in text


def test_a_dry_run_writes_nothing(locations: Locations) -> None:
    for entry in (
        install(plan(locations), locations, ENVIRON, dry_run=True),
        uninstall(plan(locations), dry_run=True),
    ):
        assert entry.dry_run and not entry.changed and not Path(entry.path).exists()
    assert list(locations.data.parent.iterdir()) == []


def test_what_was_written_is_removed_and_nothing_else(locations: Locations) -> None:
    done = install(plan(locations), locations, ENVIRON, dry_run=False)
    assert done.changed and done.to_run[0].startswith("launchctl bootstrap")
    assert not install(plan(locations), locations, ENVIRON, dry_run=False).changed
    removed = uninstall(plan(locations), dry_run=False)
    assert removed.changed and not Path(done.path).exists()
    assert not uninstall(plan(locations), dry_run=False).changed


def test_people_read_what_was_done_and_what_is_left(
    locations: Locations, capsys: pytest.CaptureFixture[str]
) -> None:
    show_entry(install(plan(locations), locations, ENVIRON, dry_run=True))
    dry = capsys.readouterr().out
    assert f"Would write {plan(locations).path}" in dry and "<key>Label</key>" in dry
    show_entry(install(plan(locations), locations, ENVIRON, dry_run=False))
    done = capsys.readouterr().out
    assert f"Wrote {plan(locations).path}" in done and "Run: launchctl bootstrap" in done
    assert "MAHAVISHNU_PG_PASSWORD" in done and "canary" not in dry + done
    show_entry(uninstall(plan(locations), dry_run=True))
    show_entry(uninstall(plan(locations), dry_run=False))
    show_entry(uninstall(plan(locations), dry_run=False))
    removed = capsys.readouterr().out
    for words in ("Would remove ", "Removed ", "There is no ", "Run: launchctl bootout"):
        assert words in removed


@pytest.mark.parametrize("how", ["foreign", "edited", "link"])
def test_a_file_of_others_is_neither_replaced_nor_removed(locations: Locations, how: str) -> None:
    path = plan(locations).path
    path.parent.mkdir(parents=True)
    if how == "link":
        (path.parent / "elsewhere").write_text(plan(locations).text)
        path.symlink_to("elsewhere")
    else:
        text = plan(locations).text.replace("Umask", "Nice") if how == "edited" else "<plist/>"
        path.write_text(text)
    before = path.read_bytes()
    for act in (
        lambda: install(plan(locations), locations, ENVIRON, dry_run=False),
        lambda: uninstall(plan(locations), dry_run=False),
        lambda: install(plan(locations), locations, ENVIRON, dry_run=True),
    ):
        with pytest.raises(Conflict) as refused:
            act()
        assert refused.value.code == "service.foreign_file"
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[unix_http_server]\nfile=/run/s.sock\n",
        "[include]\nfiles=conf.d/*.conf\n",
        "[unix_http_server]\nfile=/run/s.sock\n[include]\nfiles=*/one.conf\n",
        "[unix_http_server]\nfile=%(ENV_HOME)s/s.sock\n[include]\nfiles=conf.d/*.conf\n",
        "no section",
    ],
)
def test_settings_of_supervisord_that_lead_nowhere_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "supervisord.conf").write_text(text)
    with pytest.raises(UsageError) as refused:
        find_settings(tmp_path / "supervisord.conf")
    assert refused.value.code == "service.supervisord_config"


def test_the_socket_and_the_folder_of_supervisord_are_found(tmp_path: Path) -> None:
    (tmp_path / "supervisord.conf").write_text(
        "[unix_http_server]\nfile=%(here)s/s.sock ; its socket\nusername=u\npassword=canary\n"
        "[include]\nfiles = conf.d/*.ini other/*.conf\n"
    )
    found = find_settings(tmp_path / "supervisord.conf")
    assert found.socket == tmp_path / "s.sock"
    assert found.file_of("web") == tmp_path / "conf.d/web.ini"
    assert found.username == "u" and "canary" not in repr(found)


def test_no_word_of_a_program_of_supervisord_is_cut_as_a_comment() -> None:
    unit = Unit(name="x", command=("/bin/echo", "a ;b", "#c d #e"))
    [line] = re.findall(r"^command=.*$", render_program(unit, log=Path("/log")), re.MULTILINE)
    assert not re.search(r"\s[;#]", line)
    assert tuple(shlex.split(line.partition("=")[2])) == unit.command


@pytest.mark.parametrize(
    "wrong",
    [
        Unit(name="x", command=("a",), stop_command=("b",)),
        Unit(name="x", command=("a\nb",)),
        Unit(name="x", command=("a",), environment=("A=b ;c",)),
        Unit(name="x", command=("a",), environment=("A=\"'",)),
    ],
)
def test_what_a_program_of_supervisord_cannot_say_is_refused(wrong: Unit) -> None:
    with pytest.raises(UsageError) as refused:
        render_program(wrong, log=Path("/log"))
    assert refused.value.code == "service.backend_cannot"
