"""The section `secrets` of settings: prefix and names become references, and what is missing is named."""

from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.secrets.declared import DeclaredSecrets, find_missing, require_present
from mahavishnu.base.errors import Conflict, NotFound, UsageError
from mahavishnu.base.settings.sources import Loaded, load_settings
from mahavishnu.operations.ai.secret_settings import declared_secrets, require_declared
from tests.support.kept_secrets import lines, private, seal, stand_ins


def load(home: Path, text: str, **environ: str) -> Loaded:
    """Load the user's settings of a home."""
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config/mahavishnu.yaml").write_text(text)
    return load_settings(environ={"MAHAVISHNU_HOME": str(home), **environ}, folder=home)


def test_names_and_prefixes_become_references() -> None:
    declared = DeclaredSecrets(
        env_prefix="MAHAVISHNU_", env_keys=("CLAUDE", "CLAUDE", "ZAI"),
        file_path="~/keys.age", file_prefix="P_", file_keys=("QWEN",),
    )  # fmt: skip
    assert [str(each) for each in declared.references()] == [
        "env:MAHAVISHNU_CLAUDE", "env:MAHAVISHNU_ZAI", "file:~/keys.age#P_QWEN",
    ]  # fmt: skip
    assert DeclaredSecrets().references() == ()


@pytest.mark.parametrize(
    "given", [{"env_keys": ("sk-canary",)}, {"env_keys": ("",)}, {"file_keys": ("X",)}]
)
def test_what_can_be_no_name_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        DeclaredSecrets(**given).references()
    assert caught.value.code == "secret.declared" and "canary" not in caught.value.message


def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    environ = stand_ins(tmp_path / "bin", age=f"echo . >> {tmp_path}/opened; cat; echo HERE=k")
    environ |= {"P_HERE": "k", "P_EMPTY": " "}
    path = seal(tmp_path / "keys.age", "")
    declared = DeclaredSecrets(
        env_prefix="P_", env_keys=("HERE", "EMPTY", "GONE"),
        file_path=str(path), file_keys=("HERE", "NOT", "NEITHER"),
    )  # fmt: skip
    identity = private(tmp_path / "identity", "x")
    missing = [str(each) for each in find_missing(declared, environ=environ, identity=identity)]
    names = ["env:P_EMPTY", "env:P_GONE", f"file:{path}#NOT", f"file:{path}#NEITHER"]
    assert missing == names
    assert (tmp_path / "opened").read_text() == ".\n", "decrypted once"
    with pytest.raises(NotFound) as caught:
        require_present(declared, environ=environ, identity=identity)
    assert caught.value.code == "secret.required"
    assert all(name in caught.value.message for name in names)


def test_the_settings_say_what_is_required(tmp_path: Path) -> None:
    text = "secrets: {env: {prefix: MAHAVISHNU_, required_keys: [CLAUDE_API_KEY]}}"
    with pytest.raises(NotFound, match="env:MAHAVISHNU_CLAUDE_API_KEY"):
        require_declared(load(tmp_path, text))
    loaded = load(tmp_path, text, MAHAVISHNU_CLAUDE_API_KEY="sk-fake-canary", MAHAVISHNU_PROT="1")
    require_declared(loaded)
    assert [n for n in loaded.notices if "MAHAVISHNU_CLAUDE_API_KEY" in n] == []
    assert len([n for n in loaded.notices if "MAHAVISHNU_PROT" in n]) == 1
    assert "canary" not in repr(loaded)


def test_a_file_beside_the_settings(tmp_path: Path) -> None:
    environ = stand_ins(tmp_path / "bin")
    text = "secrets: {file: {path: keys.age, encryption: age, prefix: P_, required_keys: [K]}}"
    loaded = load(tmp_path, text, **environ)
    path = tmp_path / "config/keys.age"
    assert declared_secrets(loaded).file_path == str(path)
    with pytest.raises(NotFound, match="There is no file"):
        require_declared(loaded)
    seal(path, lines({"P_K": "k"}))
    private(tmp_path / "config/age-identity.txt", "x")
    require_declared(loaded)
    with pytest.raises(Conflict):
        require_declared(load(tmp_path, text.replace("n: age", "n: gpg"), **environ))


def test_the_identity_may_be_elsewhere(tmp_path: Path) -> None:
    identity = private(tmp_path / "mine", "x")
    environ = stand_ins(tmp_path / "bin") | {"MAHAVISHNU_AGE_IDENTITY": str(identity)}
    seal(tmp_path / "keys.age", lines({"K": "k"}))
    loaded = load(
        tmp_path, f"secrets: {{file: {{path: {tmp_path}/keys.age, required_keys: [K]}}}}", **environ
    )
    assert loaded.notices == ()
    require_declared(loaded)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("secrets: {env: {required_keys: CLAUDE}}", "list of text"),
        ("secrets: {env: {required_keys: [[1]]}}", "list of text"),
        ("secrets: {file: {encryption: none}}", "`age`, `gpg`"),
    ],
)
def test_a_wrong_value_is_told_with_what_it_must_be(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text)
    assert caught.value.code == "settings.invalid_value" and says in caught.value.message


def test_other_stores_have_an_answer(tmp_path: Path) -> None:
    loaded = load(tmp_path, "secrets: {aws: {secret_id: x}, gcp: {required_keys: [A]}}")
    assert [n.partition(" in ")[0] for n in loaded.notices] == [
        "secrets.aws.secret_id", "secrets.gcp.required_keys",
    ]  # fmt: skip
    assert all("oneiric:" in notice for notice in loaded.notices)
