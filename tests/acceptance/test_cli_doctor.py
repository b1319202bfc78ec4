"""`mahavishnu doctor`, installed: a clean home, every kind of damage, and what --fix mends."""

import hashlib
import json
import os
import re
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mahavishnu
from tests.support.command import PROGRAM, ROOT, Answer, Command, close_to_others, leave_root
from tests.support.external import ExternalServer, free_port, newest_binaries, served
from tests.support.weights import packaged_model

pytestmark = pytest.mark.postgres

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "json-output.md"


@pytest.fixture
def patient(alone: Command) -> Command:
    """The command in a home of its own, which wants no certain port of this machine."""
    return replace(alone, environment=alone.environment | {"MAHAVISHNU_PORT": "0"})


def snapshot(folder: Path) -> dict[str, str]:
    """Return kind, mode and content of everything below `folder`."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        content = path.read_bytes() if stat.S_ISREG(mode) else b""
        link = os.readlink(path) if stat.S_ISLNK(mode) else ""
        digest = hashlib.sha256(content).hexdigest()
        found[str(path.relative_to(folder))] = f"{stat.filemode(mode)} {link} {digest}"
    return found


def findings(answer: Answer) -> dict[str, dict[str, Any]]:
    """Return the findings of a `doctor --json` by name; checks shape, status and exit code."""
    body = json.loads(answer.out)
    assert list(body) == ["schema", "findings", "mended", "status"]
    found = {finding["name"]: finding for finding in body["findings"]}
    statuses = {finding["status"] for finding in body["findings"]}
    assert len(found) == len(body["findings"])
    order = ("error", "warning", "info", "skipped", "ok")
    assert body["status"] == next(status for status in order if status in statuses)
    assert answer.status == (1 if "error" in statuses else 0), answer
    return found


def mended(answer: Answer) -> dict[str, bool]:
    return {each["name"]: each["done"] for each in json.loads(answer.out)["mended"]}


def of_status(found: dict[str, dict[str, Any]], *statuses: str) -> set[str]:
    return {name for name, finding in found.items() if finding["status"] in statuses}


DATABASE = {
    *("server_version", "pgvector", "schema", "visibility", "database_clock"),
    *("memory", "storage", "times", "model_identity", "waiting", "sync", "backup"),
}


def test_a_clean_home_is_told_of_and_left_clean(patient: Command) -> None:
    answer = patient("doctor", "--json")
    found = findings(answer)
    assert of_status(found, "error", "warning") <= {"command"}, found
    assert of_status(found, "skipped") == DATABASE | {"model_probe"}
    assert "first memory" in found["database"]["summary"]
    assert answer.err == "" and not patient.root.exists()
    after = findings(patient("doctor", "--fix", "--json"))
    for each in (found, after):  # how much is free, which other programs change, and the minute
        del each["disk"]["summary"], each["clock"]["summary"]
    assert after == found and not patient.root.exists()


def test_people_see_a_line_a_finding_in_words(patient: Command) -> None:
    close_to_all(patient.settings.parent)
    answer = patient("doctor", "--no-database")
    assert answer.status == 1 and answer.err == ""
    lines = answer.out.splitlines()
    assert re.search(r"^\+ ok      python +CPython 3", answer.out, re.MULTILINE)
    assert re.search(r"^- skipped database +Not opened, as asked", answer.out, re.MULTILINE)
    [place] = [i for i, line in enumerate(lines) if line.startswith("x error   config_folder")]
    assert lines[place].endswith("[fix]")
    assert lines[place + 1].strip() == f"chmod 700 {patient.settings.parent}"
    assert "1 error" in lines[-2] and lines[-1].endswith("mahavishnu doctor --fix")
    assert answer.out.isascii()


def close_to_all(folder: Path) -> None:
    folder.chmod(0o777)


def test_the_whole_life_of_a_home(patient: Command, tmp_path: Path) -> None:
    """A model is there, texts are stored with and without it, and its vectors are changed."""
    local = {"MAHAVISHNU_EMBEDDING_PROVIDER": "in-process"}
    assert patient("model", "import", packaged_model(tmp_path / "weights")).status == 0
    for text in ("The ports are forwarded by the router", "Ana likes tea"):
        assert patient("memory", "store", text, **local).status == 0
    found = findings(patient("doctor", "--json", **local))
    assert of_status(found, "error", "warning", "skipped") <= {"command"}, found
    assert "all-MiniLM-L6-v2" in found["model"]["summary"]
    assert re.search(r"cosines (0\.9999|1\.0000)", found["model_probe"]["summary"])

    assert patient("memory", "store", "Stored without a model").status == 0
    before = snapshot(patient.root / "data" / "models")
    found = findings(patient("doctor", "--json", **local))
    assert found["waiting"]["status"] == "warning" and found["waiting"]["fixable"]
    assert found["waiting"]["hint"] == "mahavishnu memory embed"
    assert not findings(patient("doctor", "--json"))["waiting"]["fixable"]  # there is no embedder
    assert patient.sql("SELECT count(*) FROM embedding_queue") == "1"
    assert snapshot(patient.root / "data" / "models") == before
    answer = patient("doctor", "--fix", "--json", **local)
    assert mended(answer) == {"waiting": True} and answer.err == "Mending: waiting\n"
    assert findings(answer)["waiting"]["status"] == "ok"
    assert patient.sql("SELECT count(*) FROM embedding_queue") == "0"

    table = patient.sql("SELECT 'embeddings_' || model_no FROM embedding_models")
    negated = "(SELECT array_agg(-x)::halfvec FROM unnest(embedding::vector::real[]) AS x)"
    patient.sql(f"UPDATE {table} SET embedding = {negated}")
    found = findings(patient("doctor", "--json", **local))
    assert of_status(found, "error") == {"model_probe"}
    assert "-1.0000" in found["model_probe"]["summary"]
    patient.sql("UPDATE embedding_models SET revision = 'another'")
    found = findings(patient("doctor", "--json", **local))
    assert of_status(found, "error") == {"model_identity"}
    assert found["model_identity"]["code"] == "embedding.model_differs"
    assert found["model_probe"]["status"] == "skipped"


def test_what_is_open_stale_or_damaged_is_mended(patient: Command) -> None:
    state, data = patient.root / "state", patient.root / "data"
    patient.settings.write_text("log_level: warning\n")
    patient.settings.chmod(0o664)
    for folder in (state, data, patient.settings.parent):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    (state / "token").write_text("mv-" + "x" * 43)
    (state / "token").chmod(0o644)
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    record = {"pid": gone.pid, "started": "x:1", "version": "1", "since": "then", "port": 8680}
    (data / "daemon.lock").write_text(json.dumps(record))
    (data / "daemon.lock").chmod(0o600)
    before = snapshot(patient.root)
    found = findings(patient("doctor", "--json"))
    bad = {"config_folder", "data_folder", "state_folder", "settings_file", "token", "daemon"}
    assert of_status(found, "warning", "error") - {"command"} == bad
    assert {name for name in found if found[name]["fixable"]} == bad
    assert snapshot(patient.root) == before  # nothing is written unasked
    answer = patient("doctor", "--fix", "--json")
    assert mended(answer) == dict.fromkeys(bad, True)
    assert of_status(findings(answer), "warning", "error") <= {"command"}
    changed = {name for name, value in snapshot(patient.root).items() if before[name] != value}
    paths = {"config", "data", "state", "config/mahavishnu.yaml", "state/token", "data/daemon.lock"}
    assert changed == paths
    assert patient.settings.read_text() == "log_level: warning\n"


def test_nothing_is_written_of_a_home_in_use(patient: Command) -> None:
    assert patient("memory", "store", "a text").status == 0
    with patient.start("db", "shell", stdin=subprocess.PIPE) as shell:  # keeps the server up
        try:
            assert shell.stdin and shell.stdout
            shell.stdin.write(b"SELECT 'connected';\n")
            shell.stdin.flush()
            while b"connected" not in shell.stdout.readline():
                assert shell.poll() is None
            before = snapshot(patient.root)
            assert findings(patient("doctor", "--no-database", "--json"))["home"]["status"] == "ok"
            after = snapshot(patient.root)
            # The server notes every 15 s in its log of changes what runs.
            own = "data/postgres/cluster/pg_wal/"
            assert {name for name in before if after.get(name) != before[name]} <= {
                name for name in before if name.startswith(own)
            } and after.keys() == before.keys()
            marks = "SELECT (SELECT count(*) FROM changes), (SELECT count(*) FROM embedding_models)"
            rows = patient.sql(marks)
            found = findings(patient("doctor", "--json"))
            assert of_status(found, "ok") >= DATABASE - {"waiting", "backup"}
            assert patient.sql(marks) == rows
            after = snapshot(patient.root)
            ours = {name for name in before if not name.startswith("data/postgres/")}
            assert {name: after[name] for name in ours} == {name: before[name] for name in ours}
        finally:
            shell.kill()


def test_what_is_not_ours_is_left_alone(patient: Command, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (elsewhere / "token").write_text("precious")
    (elsewhere / "token").chmod(0o644)
    patient.root.mkdir()
    (patient.root / "state").symlink_to(elsewhere)
    (patient.root / "data").mkdir(mode=0o700)
    (patient.root / "data/daemon.lock").symlink_to(elsewhere / "token")
    patient.settings.parent.chmod(0o700)
    patient.settings.symlink_to(elsewhere / "settings")
    (elsewhere / "settings").write_text("log_level: error\n")
    (elsewhere / "settings").chmod(0o644)
    os.remove(elsewhere / "token")
    (elsewhere / "secret").write_text("precious")
    (elsewhere / "token").symlink_to(elsewhere / "secret")
    before = snapshot(tmp_path)
    answer = patient("doctor", "--fix", "--json")
    found = findings(answer)
    assert mended(answer) == {} and snapshot(tmp_path) == before
    assert of_status(found, "warning", "error") >= {"state_folder", "settings_file", "token"}
    assert of_status(found, "error") == {"token", "daemon"}


def test_unreadable_settings_stop_only_what_needs_them(patient: Command) -> None:
    patient.settings.write_text("postgresql: [\n")
    found = findings(patient("doctor", "--json"))
    assert found["settings"]["code"] == "settings.unparsable"
    assert of_status(found, "ok") >= {"python", "platform", "disk", "package", "clock", "home"}
    skipped = {
        "clients",
        "exported_keys",
        "proxies",
        "port",
        "postgres",
        "database",
        "model",
        "model_probe",
    } | DATABASE
    assert of_status(found, "skipped") == skipped
    assert {found[name]["summary"] for name in skipped - {"model_probe"}} == {
        "Not looked at, because of settings."
    }
    found = findings(patient("--set", "no.such=1", "doctor", "--json"))
    assert of_status(found, "error") == {"settings"}


def test_a_home_that_cannot_be_is_an_error_of_its_own(patient: Command) -> None:
    found = findings(patient("doctor", "--json", MAHAVISHNU_HOME="relative"))
    assert of_status(found, "error") == {"home"}
    assert found["home"]["code"] == "settings.home_not_absolute"
    assert of_status(found, "ok") >= {"python", "package"}


def test_damaged_state_is_named(patient: Command) -> None:
    patient.settings.with_name("trusted.json").write_text("{")
    patient.settings.with_name("trusted.json").chmod(0o600)
    cluster = patient.root / "data/postgres/cluster"
    cluster.mkdir(parents=True, mode=0o700)
    found = findings(patient("doctor", "--json"))
    assert found["trusted_file"]["code"] == "settings.trusted_damaged"
    assert found["database"]["code"] == "database.cluster_damaged"
    assert of_status(found, "error") == {"trusted_file", "database"}


@pytest.mark.skipif(not ROOT, reason="the folder is another's only where root gives it away")
def test_a_folder_that_may_not_be_read_is_named(patient: Command) -> None:
    for name in ("config", "data", "state"):
        (patient.root / name).mkdir(parents=True)
    close_to_others(patient.root / "state", 0o000)
    close_to_others(patient.root / "data", 0o000)
    found = findings(patient("doctor", "--json", preexec=leave_root))
    assert of_status(found, "error") >= {"state_folder", "data_folder", "daemon", "token"}
    assert of_status(found, "ok") >= {"python", "home", "settings"}


def test_switched_off_by_the_settings(patient: Command) -> None:
    found = findings(patient("--set", "postgresql.enabled=false", "doctor", "--json"))
    assert found["database"]["status"] == "info"
    assert found["database"]["code"] == "database.disabled"
    assert of_status(found, "skipped") == DATABASE | {"model_probe"}


def test_a_taken_port_names_its_owner(patient: Command) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        found = findings(patient("doctor", "--no-database", "--json", MAHAVISHNU_PORT=port))
        assert of_status(found, "error") == {"port"}
        assert f"{port} is taken by" in found["port"]["summary"]
        assert f"(pid {os.getpid()}," in found["port"]["summary"]
        assert "--port" in found["port"]["hint"]
    found = findings(patient("doctor", "--no-database", "--json", MAHAVISHNU_PORT=port))
    assert found["port"]["status"] == "ok"


def test_another_mahavishnu_earlier_on_the_path(patient: Command, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "mahavishnu").write_text("#!/bin/sh\n")
    (other / "mahavishnu").chmod(0o755)
    words = ("doctor", "--no-database", "--json")
    path = f"{other}:{PROGRAM.parent}"
    assert findings(patient(*words, PATH=path))["command"]["status"] == "warning"
    path = f"{PROGRAM.parent}:{other}"
    assert findings(patient(*words, PATH=path))["command"]["status"] == "ok"


def test_another_distribution_of_the_name(patient: Command, tmp_path: Path) -> None:
    info = tmp_path / "mahavishnu-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mahavishnu\nVersion: 9\n")
    path = f"{Path(mahavishnu.__file__).parents[1]}:{tmp_path}"
    found = findings(patient("doctor", "--no-database", "--json", PYTHONPATH=path))
    assert of_status(found, "error") == {"package"}
    assert found["package"]["hint"].endswith("uv pip uninstall mahavishnu")


def test_a_server_of_ones_own_that_is_away(patient: Command) -> None:
    dsn = f"postgresql://ana:canary@127.0.0.1:{free_port()}/x"
    answer = patient("doctor", "--json", MAHAVISHNU_PG_DSN=dsn)
    found = findings(answer)
    assert of_status(found, "error") == {"database"}
    assert found["database"]["code"] == "database.unreachable"
    assert of_status(found, "skipped") == DATABASE | {"model_probe"}
    assert "canary" not in answer.out + answer.err


def test_a_server_of_ones_own_stage_by_stage(patient: Command, tmp_path: Path) -> None:
    with served(ExternalServer(newest_binaries(), tmp_path / "server")) as server:
        wrong = server.dsn("postgres", secret="wrong")
        found = findings(patient("doctor", "--json", MAHAVISHNU_PG_DSN=wrong))
        assert found["database"]["code"] == "database.password"
        found = findings(patient("doctor", "--json", MAHAVISHNU_PG_DSN=server.dsn("none")))
        assert found["database"]["code"] == "database.missing"
        dsn = server.dsn("postgres")
        found = findings(patient("doctor", "--json", MAHAVISHNU_PG_DSN=dsn))
        assert found["pgvector"]["status"] == "info" and found["visibility"]["status"] == "warning"
        assert found["schema"]["code"] == "database.not_initialised"
        assert found["memory"]["status"] == "skipped"
        assert patient("db", "init", MAHAVISHNU_PG_DSN=dsn).status == 0
        answer = patient("doctor", "--json", MAHAVISHNU_PG_DSN=dsn)
        assert of_status(findings(answer), "ok") >= DATABASE - {"backup", "visibility"}
        assert server.secret not in answer.out


def test_the_keys_are_those_of_the_page(patient: Command) -> None:
    [section] = re.findall(
        r"^## `doctor`\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    keys = set(re.findall(r"`([a-z_]+)`", section))
    close_to_all(patient.settings.parent)
    body = json.loads(patient("doctor", "--fix", "--no-database", "--json").out)
    real = {"findings", "status", "mended", *body["findings"][0], *body["mended"][0]}
    assert keys - {"ok", "info", "warning", "error", "skipped"} == real


# Takes 5 s: what is advised is done, and that are three commands.
def test_what_the_check_of_the_database_advises_fixes_it(settled: Command, tmp_path: Path) -> None:
    settled("memory", "store", "A kettle is red.")
    assert settled("db", "check").out.startswith("Everything fits together.")
    settled.sql("DELETE FROM postings")
    found = settled("db", "check", "--json")
    assert found.status == 7
    [damage] = json.loads(found.out)["findings"]
    assert damage["name"] == "without_words"
    for words in damage["hint"].split(" && "):
        command = words.replace("FILE", str(tmp_path / "export.jsonl")).split()[1:]
        assert settled(*command).status == 0
    assert settled("db", "check", "--json").json["findings"] == []
    assert "A kettle" in settled("memory", "search", "kettle").out
