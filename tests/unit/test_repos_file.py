"""`repos.yaml`: what it means, and where it is wrong."""

from pathlib import Path

import pytest

from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.knowledge.repos_file import RepositoryEntry, read_repos_file


def read(folder: Path, text: str, known: tuple[str, ...] = ()) -> list[RepositoryEntry]:
    file = folder / "repos.yaml"
    file.write_text(text, encoding="utf-8")
    for name in ("api", "models", "libs/one", "libs/two", "home/web"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return read_repos_file(file, home=folder / "home", known=known)


def test_entries_have_names_groups_dependencies_and_globs(tmp_path: Path) -> None:
    entries = read(
        tmp_path,
        """
repositories:
  - path: api
    groups: [backend]
    depends_on: [data, one]
    include: ["src/**"]
    exclude: [docs]
  - {name: data, path: models, groups: [backend]}
  - path: libs/*
  - path: ~/web
""",
    )
    assert [(each.name, each.path.relative_to(tmp_path).as_posix()) for each in entries] == [
        ("api", "api"), ("data", "models"), ("one", "libs/one"), ("two", "libs/two"), ("web", "home/web"),
    ]  # fmt: skip
    api = entries[0]
    assert (api.depends_on, api.include, api.exclude) == (("data", "one"), ("src/**",), ("docs",))


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("repositories:\n  - pth: api\n", 2, "pth is not known; is path meant"),
        ("repositories:\n  - path: api\n    group: [x]\n", 3, "is groups meant"),
        ("repositories:\n  - path: api\n  - path: models\n    name: api\n", 3, "at line 2"),
        ("repositories:\n  - path: api\n  - path: ./api\n    name: other\n", 3, "at line 2 too"),
        ("repositories:\n  - path: api\n    path: models\n", 3, "path is there twice"),
        ("repositories:\n  - path: api\n    depends_on: [modls]\n  - path: models\n", 2, "is models meant"),
        ("repositories:\n  - path: api\n    depends_on: [api]\n", 2, "depends on itself"),
        ("repositories:\n  - path: api\n    groups: backend\n", 3, "must be a list"),
        ("repositories:\n  - path: api\n    name: 5\n", 3, "in quotes"),
        *((f'repositories:\n  - path: api\n    {key}\n', 3, "must be a line of text")
          for key in ('name: "a\\nb"', 'name: "a\\n"', 'name: "a\\0"', 'groups: ["a\\rb"]')),
        ('repositories:\n  - path: "api\\0"\n', 2, "must be a line of text"),
        ("[" * 6000, 1, "nested too deeply"),
        ("repositories:\n  - path: api\n    include: [../x]\n", 3, "leads out"),
        ("repositories:\n  - path: libs/*\n    name: x\n", 2, "matches 2 folders"),
        ("repositories:\n  - name: api\n", 2, "has no path"),
        ("repositories:\n  - path: nowhere*\n", 2, "matches no folder"),
        ("repositories: api\n", 1, "must be a list"),
        ("- path: api\n", 1, "here must be repositories"),
        ("repositories: [\n", 2, "not valid YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_reported_with_its_line(
    tmp_path: Path, text: str, line: int, problem: str
) -> None:
    with pytest.raises(MahavishnuError) as raised:
        read(tmp_path, text)
    assert raised.value.message.startswith(f"{tmp_path / 'repos.yaml'}, line {line}: ")
    assert problem in raised.value.message


def test_a_dependency_may_be_known_already(tmp_path: Path) -> None:
    text = "repositories:\n  - path: api\n    depends_on: [core]\n"
    with pytest.raises(UsageError, match="core, which is not listed"):
        read(tmp_path, text)
    assert read(tmp_path, text, known=("core",))[0].depends_on == ("core",)
