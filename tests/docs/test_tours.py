"""The tours of README and tutorial run as they stand: every command succeeds and says what is shown."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.test_docs import DOCS, ROOT
from tests.support.command import PROGRAM
from tests.support.weights import packaged_model

README = ROOT / "README.md"
TUTORIAL = DOCS / "tutorial" / "first-memories.md"
# They install, fetch from a network, need an extra, or remove what the test looks at afterwards.
LEFT_OUT = (
    "make ", "uv ", "pip ", "ollama ", "export PATH=", "cd && rm ", "mahavishnu repo ",
)  # fmt: skip
DOWNLOAD = "mahavishnu model download"
_BLOCK = re.compile(r"^```(sh|console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{8}\b")
_END = "@@ended@@"


@dataclass(frozen=True)
class Step:
    """A command of a page and the output that is shown for it, "" where none is; a program says something."""

    command: str
    shown: str
    says_something: bool = False


def steps_of(page: Path) -> Iterator[Step]:
    """Yield the commands of a page in order; what needs an installation or a network is left out."""
    for kind, code in _BLOCK.findall(page.read_text("utf-8")):
        if kind == "sh":
            found = [Step(line, "") for line in code.splitlines()]
        elif kind == "python":
            command = f"'{sys.executable}' - <<'END'\n{code}END"
            found = [Step(command, "", says_something=True)]
        else:
            parts = code.removeprefix("$ ").split("\n$ ")
            found = [Step(*part.partition("\n")[::2]) for part in parts]
        yield from (step for step in found if not step.command.startswith(LEFT_OUT))


class Shell:
    """One bash that keeps folder and variables from command to command."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, command: str) -> tuple[int, str]:
        """Return status and everything that was said."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f'{{ {command}\n}} 2>&1 </dev/null; echo "{_END}$?"\n')
        self._process.stdin.flush()
        said = ""
        for line in self._process.stdout:
            before, end, status = line.partition(_END)
            said += before
            if end:
                return int(status), said
        raise AssertionError(f"the shell is gone after: {command}\n{said}")


@contextmanager
def opened_shell(home: Path, folder: Path) -> Iterator[Shell]:
    """Open a shell in `folder` that knows only `home`, and no Ollama."""
    environ = {
        "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "TMPDIR": str(home),
        "MAHAVISHNU_HOME": str(home / "mahavishnu"),
        "MAHAVISHNU_PG_IDLE_TIMEOUT": "2",
        "OLLAMA_HOST": "127.0.0.1:1",
        "MAHAVISHNU_PORT": "0",  # 8680 may be somebody's own
    }
    with subprocess.Popen(
        ["bash"], env=environ, cwd=folder, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        shell = Shell(process)
        try:
            yield shell
        finally:
            shell.run("mahavishnu down")  # a failed tour leaves its daemon


def stable_words(text: str) -> set[str]:
    """Return the words that are the same in every run: none with a digit, none that is cut off."""
    return {word for word in text.split() if not re.search(r"\d|…", word)}


def follow(steps: Iterator[Step], shell: Shell, model: Path) -> list[str]:
    """Run the steps, later ones with the ids that earlier ones gave; returns what was said."""
    ids: dict[str, str] = {}
    outputs = []
    for step in steps:
        command = step.command
        for shown, real in ids.items():
            command = command.replace(shown, real)
        if command.startswith(DOWNLOAD):
            command = f"mahavishnu model import '{model}'"
        status, said = shell.run(command)
        assert status == 0 and (said.strip() or not step.says_something), f"{command}\n{said}"
        missing = stable_words(step.shown) - set(said.split())
        assert not missing, f"{command}\n{said}"
        ids |= dict(zip(_ID.findall(step.shown), _ID.findall(said), strict=False))
        outputs.append(said)
    return outputs


def clone(folder: Path) -> Path:
    """Return the repository with a short history, which is all imported, and the docs as they are."""
    source = ROOT.as_uri()
    subprocess.run(["git", "clone", "--quiet", "--depth", "20", source, folder], check=True)
    shutil.copytree(DOCS, folder / "docs", dirs_exist_ok=True)
    return folder


@pytest.mark.postgres
@pytest.mark.parametrize("page", [README, TUTORIAL], ids=lambda page: page.stem)
def test_a_tour_runs_as_it_stands(page: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".claude").mkdir(parents=True)  # who reads it has Claude Code
    model = packaged_model(tmp_path)
    folder = clone(tmp_path / "clone") if page == README else home
    with opened_shell(home, folder) as shell:
        outputs = follow(steps_of(page), shell, model)
        assert len([output for output in outputs if output]) >= 9


def test_a_tour_that_shows_something_else_is_noticed(tmp_path: Path) -> None:
    with opened_shell(tmp_path, tmp_path) as shell:
        follow(
            iter([Step("cd / && A=1", ""), Step("echo $PWD $A abc", "/ 2 abc\n")]), shell, tmp_path
        )
        for wrong in (Step("echo one", "two\n"), Step("false", "")):
            with pytest.raises(AssertionError):
                follow(iter([wrong]), shell, tmp_path)
