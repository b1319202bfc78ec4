"""
Write the generated pages of `docs/reference`: commands, settings, and the table of error codes.

`--check` writes nothing and exits with 1 where a page is not what the code would give.
"""

import argparse
import ast
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mahavishnu.base import errors
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.settings.keys import BOUNDS, describe_settings, setting_keys
from mahavishnu.base.settings.legacy import LEGACY_KEYS
from mahavishnu.base.settings.section import SECRET_KEYS
from mahavishnu.base.settings.sources import ENVIRONMENT, OTHER_ENVIRONMENT
from mahavishnu.database.errors import CONSTRAINTS, STATES
from mahavishnu.interfaces.cli.root import cli
from scripts.interfaces import render_http, render_mcp

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
BEGIN = "<!-- generated: begin (make docs) -->"
END = "<!-- generated: end -->"
CLASSES: dict[str, type[MahavishnuError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, MahavishnuError)
}
# Read by libraries or by parts of ours that settings do not pass through.
FURTHER_ENVIRONMENT = {
    "MAHAVISHNU_HOME": "Absolute path of the folder that holds settings, data and state.",
    "MAHAVISHNU_AGE_IDENTITY": "Path of the identity that opens age files; `age-identity.txt` beside the "
    "user's settings by default.",
    "OLLAMA_HOST": "Address of Ollama where `embedding.ollama_base_url` is not set.",
    "HF_ENDPOINT": "Address of the hub that `mahavishnu model download` asks.",
    "HF_HUB_OFFLINE": "`1` forbids `mahavishnu model download` the network.",
}
assert FURTHER_ENVIRONMENT.keys() >= OTHER_ENVIRONMENT


@dataclass(frozen=True)
class Raised:
    """One place that makes an error: its class, its code, and what it says, `…` for values."""

    kind: str
    code: str
    message: str
    status: int | None = None  # where it is not the class that says it


def collect_errors() -> list[Raised]:
    """Return every error that the package can make, by reading its sources and tables."""
    found = [Raised(kind.__name__, code, text) for kind, code, text, _ in _tabled()]
    for path in sorted((ROOT / "mahavishnu").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                found += _read_call(node.func.id, node)
    return found


def _tabled() -> Iterator[tuple[type[MahavishnuError], str, str, str | None]]:
    yield from CONSTRAINTS.values()
    yield from STATES.values()


def _read_call(name: str, call: ast.Call) -> Iterator[Raised]:
    first = call.args[0] if call.args else None
    if name == "unknown_value" and (what := _text(first)):
        yield Raised("UsageError", f"input.{what}", f"Unknown {what}: ….")
    if name == "HttpError":
        status, message = call.args[:2]
        code = next(k.value for k in call.keywords if k.arg == "code")
        if isinstance(status, ast.Constant) and isinstance(code, ast.Constant):
            yield Raised("UsageError", str(code.value), _text(message), int(str(status.value)))
        return
    if name not in CLASSES:
        return
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    given = keywords.get("code")
    if given is None:
        yield Raised(name, CLASSES[name].default_code, _text(first))
    elif isinstance(given, ast.Constant):
        yield Raised(name, str(given.value), _text(first))


def _text(node: ast.expr | None) -> str:
    """Return the literal parts of a message, with `…` where a value is put in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = (str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values)
        return "".join(parts)
    return ""


def render_errors() -> str:
    """Return the tables of classes and of codes."""
    lines = ["| class | default code | exit | HTTP | means |", "|---|---|---|---|---|"]
    lines += [
        _row(f"`{name}`", f"`{kind.default_code}`", kind.exit_code, kind.http_status, _first(kind))
        for name, kind in sorted(CLASSES.items(), key=lambda item: item[1].exit_code)
    ]
    lines += ["", "| code | class | exit | HTTP | says |", "|---|---|---|---|---|"]
    messages: dict[tuple[str, str], list[str]] = {}
    statuses: dict[str, int] = {}
    for raised in collect_errors():
        messages.setdefault((raised.code, raised.kind), []).append(raised.message)
        if raised.status is not None:
            statuses[raised.code] = raised.status
    for (code, name), said in sorted(messages.items()):
        kind = CLASSES[name]
        worded = [m.replace("<", "&lt;") for m in dict.fromkeys(said) if re.search(r"\w", m)]
        lines.append(
            _row(
                f"`{code}`",
                f"`{name}`",
                kind.exit_code,
                statuses.get(code, kind.http_status),
                "<br>".join(worded),
            )
        )
    return "\n".join(lines)


def _first(kind: type[Any]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def render_cli() -> str:
    """Return the page of all commands."""
    parts = [
        "# Commands",
        "Written by `make docs`; do not edit.",
        "Results go to stdout, notes and errors to stderr. The exit codes are those of "
        "[error codes](error-codes.md), and 130 after an interruption. What `--json` prints is "
        "described in [JSON output](json-output.md).",
    ]
    root = click.Context(cli, info_name="mahavishnu")
    parts += [_options(cli, root)]
    for context, command in _walk(cli, root):
        depth = context.command_path.count(" ") + 1
        parts.append(f"{'#' * depth} {context.command_path}")
        parts.append(inspect.cleandoc(command.help or ""))
        if not isinstance(command, click.Group):
            parts.append(f"```\n{' '.join(command.get_usage(context).split()[1:])}\n```")
            parts.append(_options(command, context))
    return "\n\n".join(part for part in parts if part) + "\n"


def _walk(
    group: click.Group, parent: click.Context
) -> Iterator[tuple[click.Context, click.Command]]:
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=parent)
        yield context, command
        if isinstance(command, click.Group):
            yield from _walk(command, context)


def _options(command: click.Command, context: click.Context) -> str:
    records = [
        record
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option) and "--help" not in parameter.opts
        if (record := parameter.get_help_record(context)) is not None
    ]
    if not records:
        return ""
    lines = ["| option | meaning |", "|---|---|"]
    lines += [_row(f"`{names}`", meaning) for names, meaning in records]
    return "\n".join(lines)


def render_settings() -> str:
    """Return the page of settings, environment variables, former and reserved keys."""
    variables: dict[str, list[str]] = {}
    for name, key in ENVIRONMENT.items():
        variables.setdefault(key, []).append(f"`{name}`")
    lines = [
        "# Settings",
        "",
        "Written by `make docs`; do not edit.",
        "",
        "A value comes from the first of these that has it: `--set KEY=VALUE` on the command line "
        "(`flags` of `load_settings`); the environment; `settings/local.yaml`, "
        "then `settings/mahavishnu.yaml` of the nearest folder at or above the working directory, "
        "if that folder is trusted (`mahavishnu config trust`); the user's own `mahavishnu.yaml`; "
        "the default. `mahavishnu config path` prints where the user's file is, "
        "`mahavishnu config show --origin` where each value came from.",
        "",
        "In a file, the dots are levels of a YAML mapping. `${NAME}` in a value stands for an "
        "environment variable, which must be set where the value is in force. An unknown key is an "
        "error with the nearest "
        "known one, and so is a key that stands twice, or beside its former name with another value; "
        "an unknown `MAHAVISHNU_` variable is a note. A file is a regular one of at most 1 MiB. What is "
        "wrong in one profile of `ai_environments.llm_profiles` makes that profile unusable, and is no error "
        "of the other settings.",
        "",
        "Where an address is given both whole (`postgresql.dsn`) and in parts (`postgresql.host` "
        "and so on), the one from the higher source counts; from the same source, the whole one. "
        "`postgresql.direct_dsn` belongs to the address of its own source: beside one from a higher "
        "source it does not count, and alone it is an error.",
        "",
        "| key | type | default | environment | meaning |",
        "|---|---|---|---|---|",
    ]
    for key, kind, default, meaning in describe_settings():
        secret = " Never shown." if key in SECRET_KEYS else ""
        why = f" {BOUNDS[key]}" if key in BOUNDS else ""
        shown = (
            ""
            if default in (None, "", ())
            else f"`{str(default).lower() if default is True else default}`"
        )
        names = ", ".join(variables.get(key, []))
        lines.append(
            _row(
                f"`{key}`", kind.replace(" or nothing", ""), shown, names, f"{meaning}{secret}{why}"
            )
        )
    lines += ["", "## Other environment variables", "", "| variable | meaning |", "|---|---|"]
    lines += [_row(f"`{name}`", meaning) for name, meaning in FURTHER_ENVIRONMENT.items()]
    lines += [
        "",
        "## Former keys",
        "",
        "Keys of earlier sample files load too: with the value carried over, or with an answer "
        "that `mahavishnu config validate` prints. `*` stands for any name.",
        "",
        "| key | what became of it |",
        "|---|---|",
    ]
    lines += [
        _row(f"`{key}`", f"Now `{legacy.now}`." if legacy.now else legacy.answer)
        for key, legacy in LEGACY_KEYS.items()
    ]
    assert {key for key, *_ in describe_settings()} == set(setting_keys())
    return "\n".join(lines) + "\n"


def _row(*cells: object) -> str:
    escaped = (str(cell).replace("\n", " ").replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _put_between_marks(page: Path, generated: str) -> str:
    """Return the text of `page` with what stands between its marks replaced."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{page.name} lacks its marks: {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}"


def render_pages() -> dict[Path, str]:
    """Return the wanted text of every generated page."""
    table = REFERENCE / "error-codes.md"
    return {
        REFERENCE / "cli.md": render_cli(),
        REFERENCE / "settings.md": render_settings(),
        REFERENCE / "mcp.md": render_mcp(),
        REFERENCE / "http-api.md": render_http(),
        table: _put_between_marks(table, render_errors()),
    }


def find_stale() -> list[Path]:
    """Return the pages that are not what the code gives."""
    return [
        page
        for page, wanted in render_pages().items()
        if not page.exists() or page.read_text(encoding="utf-8") != wanted
    ]


def main() -> int:
    """Write the stale pages, or only name them; 1 where `--check` finds any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 when stale")
    check: bool = parser.parse_args().check
    stale = find_stale()
    pages = render_pages()
    for page in stale:
        if not check:
            page.write_text(pages[page], encoding="utf-8")
        sys.stdout.write(f"{page.relative_to(ROOT)} {'is stale' if check else 'written'}\n")
    if check and stale:
        sys.stdout.write("Run: make docs\n")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
