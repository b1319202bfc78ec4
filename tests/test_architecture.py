"""The dependency rule and the five habits that separate good codebases, read from the imports."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from mahavishnu.ai.clients.table import PACKAGES, facts_of
from mahavishnu.interfaces.cli.root import cli

ROOT = Path(__file__).parent.parent / "mahavishnu"
# Each layer may import those after it, and within itself only what its own tree allows.
LAYERS = (
    "interfaces",
    "doctor",
    "daemon",
    "operations",
    "app",
    "factories",
    "engines",
    "knowledge",
    "memory",
    "services",
    "gateway",
    "embedding",
    "ai",
    "database",
    "base",
)
# What is inside some of them, from the top: each row may import those below its own.
ROOMS = {
    "interfaces": (("cli", "python"), ("stdio",), ("http",), ("mcp",)),
    "ai": (
        ("sessions",),
        ("bindings",),
        # A profile goes one way: from `profiles.delivery` to `plan`, `apply` and the file.
        ("switching.launch", "switching.restore"),
        ("switching.switch", "switching.status", "switching.undo"),
        ("switching.drift",),
        ("switching.apply",),
        ("switching",),
        ("profiles",),
        ("clients",),
        ("secrets", "foreign_files"),
    ),
}
# Imported by users, and above all others: their modules load what they offer on first use.
PUBLIC = ("__init__.py", "__main__.py", "ai/__init__.py", "services/__init__.py")
SETTINGS_READERS = (
    "interfaces",
    "doctor",
    "daemon",
    "operations.ai",
    "operations.units",
    "operations.service",
    "app",
    "factories",
)
BROAD_ALLOWED = {
    "interfaces/cli/root.py",
    "interfaces/cli/guard.py",  # what it does not understand stops the session
    "database/embedded/keeper.py",  # the root of a process: leaves the reason in a file
    "interfaces/mcp/edge.py",  # what a client may not see ends here
    "interfaces/http/guard.py",  # and here
    "daemon/background.py",  # and here: the daemon goes on
    "interfaces/stdio/bridge.py",  # and here: the session goes on
    "interfaces/http/endpoints.py",  # hands it to who waits
    "embedding/in_process.py",  # onnxruntime's errors share no other base
    "embedding/tokenizer.py",  # nor do those of tokenizers
    "gateway/translation.py",  # nor do those of LiteLLM
    "ai/secrets/oneiric/providers.py",  # nor do those of the clouds' libraries
    "services/health.py",  # what one component meets is how it is
    "doctor/run.py",  # what one check meets becomes a finding, and the others are made
    "services/supervision/runner.py",  # the root of a process: says why to who started it
    "services/backends/chosen.py",  # raised where it was asked for
    "services/supervision/supervisor.py",  # a fault of one unit stops no other; or it is raised where one asked
    "embedding/openai.py",  # closes what it opened, also where it is cancelled, and raises again
    "embedding/ollama.py",  # and this
}
# Which modules and folders outside of a client's own name it, or import from there.
NAMES_CLIENTS = {
    "ai/clients/table.py": "the table",
    "ai/profiles/presets.py": "profiles that are for one client, or called as it is",
    "ai/profiles/profile.py": "hosts that do not exist, and that early samples named",
    "ai/profiles/importing/claude_code.py": "a provider is imported from Claude Code's settings",
    "operations/ai/profile_imports.py": "as above",
    "operations/ai/claude_settings.py": "the operations on Claude Code's own settings, such as permissions",
    "interfaces/cli/ai/claude_file.py": "their commands",
    **{
        f"interfaces/cli/ai/{group}/": "as above"
        for group in ("env", "hooks", "permissions", "plugins", "statusline")
    },
    "gateway/wire.py": "headers that have the name of a client pass",
    "operations/service_states.py": "its sessions are the service `claude`",
    "interfaces/cli/ai/restart.py": "Claude's desktop application is restarted as well",
}  # fmt: skip
# Started by name or by path, not imported, as pyproject.toml, `database/embedded/server.py` and
# `services/session_buddy/unit.py` say.
STARTED = {
    "mahavishnu",
    "mahavishnu.__main__",
    "mahavishnu.interfaces.cli.guard",
    "mahavishnu.interfaces.cli.key",
    "mahavishnu.database.embedded.keeper",
    "mahavishnu.services.alerts.notifier",
    "mahavishnu.services.session_buddy.launcher",
    "mahavishnu.services.supervision.runner",
    "mahavishnu.engines.agno",  # imported by users, as the next ones are
    "mahavishnu.engines.llamaindex",
    "mahavishnu.engines.prefect",
}
MAX_LINES = 400
MAX_IMPORTS_INSIDE = 63


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def layer_of(dotted: str) -> str | None:
    parts = dotted.split(".")
    if parts[0] != "mahavishnu" or len(parts) == 1:
        return None
    if parts[1:3] == ["base", "settings"]:
        return "settings"
    return parts[1] if parts[1] in LAYERS else None


def room_of(dotted: str) -> tuple[int, str] | None:
    """Return the row and the name of the room that a module is in."""
    layer, _, rest = dotted.removeprefix("mahavishnu.").partition(".")
    rooms = {name: row for row, names in enumerate(ROOMS.get(layer, ())) for name in names}
    known = [name for name in rooms if f"{rest}.".startswith(f"{name}.")]
    return max(((rooms[name], name) for name in known), key=lambda each: len(each[1]), default=None)


def dotted_of(path: Path) -> str:
    """Return the name that a module is imported by."""
    parts = ("mahavishnu", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {dotted_of(path): path for path in modules()}
FOLDERS = {name.rpartition(".")[0] for name in MODULES}


def imports_of(path: Path) -> list[tuple[str, int, bool]]:
    """
    Return (dotted name, line, inside a function or for types alone) of every import.

    The name is b of `from a import b`, if that is a module.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(function, ast.If) and getattr(function.test, "id", "") == "TYPE_CHECKING")
        for node in ast.walk(function)
    }
    package = dotted_of(path.with_name("__init__.py")).split(".")
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            names = {f"{source}.{alias.name}" for alias in node.names}
            known = (names & (MODULES.keys() | FOLDERS)) or {source}
        elif isinstance(node, ast.Import):
            known = {alias.name for alias in node.names}
        else:
            continue
        found += [(name, node.lineno, id(node) in inner) for name in sorted(known)]
    return found


def modules_imported_by(path: Path) -> set[str]:
    """Return the modules of the package that one imports, with the packages that these are in."""
    found = {name for name, _, _ in imports_of(path)}
    return {".".join(name.split(".")[:n]) for name in found for n in range(2, 9)} & MODULES.keys()


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_what_is_below_it(path: Path) -> None:
    relative = path.relative_to(ROOT)
    own = layer_of(dotted_of(path))
    if own is None or str(relative) in PUBLIC or "migrations" in relative.parts:
        return
    for name, line, _ in imports_of(path):
        other = layer_of(name)
        if other is None or own == other:
            here, there = room_of(dotted_of(path)), room_of(name)
            if here and there and here != there:
                assert here[0] <= there[0], f"{relative}:{line} imports {name}"
        elif other == "settings":
            readers = tuple(f"mahavishnu.{each}" for each in SETTINGS_READERS)
            assert dotted_of(path).startswith(readers), f"{relative}:{line} reads settings"
        elif own == "settings":
            assert other in ("base", "database"), f"{relative}:{line} {name}"
        else:
            assert LAYERS.index(own) < LAYERS.index(other), f"{relative}:{line} imports {name}"


def test_the_decision_page_shows_the_folders() -> None:
    page = (ROOT.parent / "docs/decisions/0024-house.md").read_text(encoding="utf-8")
    shown, path = set(), [""]
    for line in page.split("```")[1].splitlines()[2:]:
        name, level = line.split()[0], (len(line) - len(line.lstrip())) // 2
        path = [*path[:level], name]
        shown.add("".join(path[1:]))
    folders = {
        f"{p.relative_to(ROOT)}/" for p in ROOT.rglob("*") if p.is_dir() and p.name != "__pycache__"
    }
    assert shown == folders | {"app.py", "factories.py"}


def test_engines_are_leaves_imported_where_they_are_used() -> None:
    """Nobody but the application and operations imports an engine, inside a function; none imports another."""
    for path in modules():
        relative = path.relative_to(ROOT)
        for name, line, inside in imports_of(path):
            if layer_of(name) == "engines" and relative.parts[0] != "engines":
                assert relative.parts[0] in ("app.py", "factories.py", "operations"), (
                    f"{relative}:{line} {name}"
                )
                assert inside, f"{relative}:{line} imports {name} where nobody may need it"
            elif layer_of(name) == "engines" and relative.name != "__init__.py":
                other = name.split(".")[2]
                assert other in (relative.parts[1], "background"), f"{relative}:{line} {name}"


def test_ai_environments_need_no_database() -> None:
    for path in (ROOT / "ai").rglob("*.py"):
        others = {layer_of(name) for name, _, _ in imports_of(path)}
        assert others <= {None, "ai", "base"} or str(path.relative_to(ROOT)) in PUBLIC, path


def test_the_environment_is_read_in_known_places_only() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for path in modules()
        if "os.environ" in path.read_text(encoding="utf-8")
    }
    assert (
        readers
        <= {
            "base/settings/sources.py",
            "interfaces/cli/db/shell.py",  # hands it on to psql
            "interfaces/cli/key.py",  # hands it on to the store of `env:`
            "interfaces/cli/guard.py",  # compares it with what a bound directory asks for
            "interfaces/cli/doctor.py",  # hands it on to the checks, which go on without readable settings
            "gateway/litellm_library.py",  # tells LiteLLM to fetch nothing
            "database/embedded/server.py",  # hands a few names on to the keeper
            "knowledge/git.py",  # hands it on to git
            "services/session_buddy/launcher.py",  # takes it away from Session-Buddy
        }
    )


def test_broad_handlers_only_at_the_roots() -> None:
    broad, broadest = [], {"Exception", "BaseException"}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                names = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
                if any(n is None or ast.unparse(n).split(".")[-1] in broadest for n in names):
                    broad.append(str(path.relative_to(ROOT)))
    assert set(broad) <= BROAD_ALLOWED


def names_a_client(path: Path) -> bool:
    """Tell whether a literal has the name, program or folder of a client, or an import is out of its folder."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    docstrings = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, documented)
    }
    said = {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    said = (said - docstrings) | {name for name, _, _ in imports_of(path)}
    words = {
        re.escape(word)
        for client, package in PACKAGES.items()
        if not dotted_of(path).startswith(package)
        for word in (client, facts_of(client).program, package)
    }
    return any(re.search(rf"\b({'|'.join(words)})\b", each) for each in said)


def test_clients_are_named_by_their_table_alone() -> None:
    """A further client is a folder in `ai/clients` and a line of the table: nothing else asks for a name."""
    naming = {str(path.relative_to(ROOT)) for path in modules() if names_a_client(path)}
    folders = {f"{Path(name).parent}/" for name in naming}
    excepted = set(NAMES_CLIENTS)
    assert {name for name in naming if f"{Path(name).parent}/" not in excepted} <= excepted
    assert excepted <= naming | folders, "an exception that is not needed"


def test_a_name_means_one_type() -> None:
    """Classes and aliases that are not a module's own are called what no other one is."""
    homes: dict[str, list[str]] = {}
    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.TypeAlias):
                name = node.name if isinstance(node, ast.ClassDef) else node.name.id
                homes.setdefault(name, []).append(str(path.relative_to(ROOT)))
    twice = {name: paths for name, paths in homes.items() if len(paths) > 1 and name[0] != "_"}
    assert twice == {}


def test_no_module_is_too_long() -> None:
    sizes = {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8").count("\n") for p in modules()}
    assert {name: size for name, size in sizes.items() if size > MAX_LINES} == {}


def test_few_imports_are_inside_functions_and_each_says_why() -> None:
    """What is imported at the top is what a module costs; the exceptions are slow or optional."""
    inside = {
        f"{path.relative_to(ROOT)}:{node.lineno} {lines[node.lineno - 1]}"
        for path in modules()
        for lines in [path.read_text(encoding="utf-8").splitlines()]
        for function in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert len(inside) <= MAX_IMPORTS_INSIDE
    assert [each for each in inside if "PLC0415 - " not in each] == []


def test_commands_print_bodies_that_are_made_elsewhere() -> None:
    """No dict reaches the printer of JSON, nor does the command line have a body of its own."""
    for path in (ROOT / "interfaces" / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                assert not any("Struct" in ast.unparse(base) for base in node.bases), path
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                decorators = [ast.unparse(each) for each in node.decorator_list]
                if any(each.startswith("answers(") for each in decorators):
                    returned = ast.unparse(node.returns) if node.returns else ""
                    assert returned and "dict" not in returned and "Any" not in returned, path
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "print_json":
                parts = [part for each in node.args for part in ast.walk(each)]
                assert not any(isinstance(part, ast.Dict | ast.DictComp) for part in parts), path


def test_every_module_says_what_it_is_for() -> None:
    for path in modules():
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def commands_below(group: click.Group, package: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command of a group, after the name of the module that it is to be in."""
    context = click.Context(group)
    for name in group.list_commands(context):
        module, command = f"{package}.{name.replace('-', '_')}", group.get_command(context, name)
        assert command is not None
        yield module, command
        if isinstance(command, click.Group):
            yield from commands_below(command, module)


@cache
def commands() -> dict[str, click.Command]:
    return dict(commands_below(cli, "mahavishnu.interfaces.cli"))


def test_a_command_is_alone_in_the_module_of_its_name() -> None:
    """A group is a folder, so that its commands are imported when they are called."""
    for name, command in commands().items():
        group = isinstance(command, click.Group)
        there = [
            each for each in vars(sys.modules[name]).values() if isinstance(each, click.Command)
        ]
        assert there == ([] if group else [command]), name
        assert group == (MODULES[name].name == "__init__.py"), name


def test_every_module_has_a_caller() -> None:
    """From what is started, every other module is reached: two that import each other alone are not."""
    reached: set[str] = set()
    following = STARTED | {name for name in MODULES if ".migrations" in name}
    while following:
        reached |= following
        texts = [MODULES[name].read_text(encoding="utf-8") for name in following]
        named = {name for name in MODULES if any(f'"{name}"' in text for text in texts)}
        named |= commands().keys()
        imported = set().union(*(modules_imported_by(MODULES[name]) for name in following))
        following = (imported | named) - reached
    assert sorted(MODULES.keys() - reached) == []


_HEAVY = ("asyncpg", "sqlalchemy", "numpy", "httpx", "mcp", "click")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [("mahavishnu", (*_HEAVY, "msgspec", "asyncio")), ("mahavishnu.ai", _HEAVY)],
)
def test_importing_the_package_is_light(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import {module}, sys; print([m for m in {heavy!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
