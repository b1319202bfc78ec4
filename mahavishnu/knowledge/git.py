"""Ask the git command about a repository; nothing of the repository's own configuration runs."""

import asyncio
import codecs
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from mahavishnu.base.errors import NotFound, Unavailable, UsageError

_SAFE = (
    "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false",
    "-c", "core.quotePath=false", "-c", "diff.external=", "-c", "i18n.logOutputEncoding=UTF-8",
    "-c", "core.sshCommand=false", "-c", "protocol.allow=never", "-c", "safe.bareRepository=explicit",
    "-c", "core.pager=cat", "-c", "credential.helper=",
)  # fmt: skip
# The one character that no commit message, name or path can hold. A record is six fields, the last
# of them the paths; the next record's first separator ends it.
_RECORD = _FIELD = "\x00"
_FIELDS = 6
_FORMAT = "%x00" + "%x00".join(("%H", "%an", "%at", "%s", "%b")) + "%x00"


@dataclass(frozen=True)
class Commit:
    """One commit of the history; `files` are the paths it touched, no time where git's is absurd."""

    sha: str
    author: str
    authored_at: datetime | None
    subject: str
    body: str
    files: tuple[str, ...]


async def run_git(folder: Path, *arguments: str) -> str:
    """
    Return what git prints, without the last newline.

    Raises:
        Unavailable: git is not installed.
        UsageError: git refuses; its first line is in the message.
    """
    process = await _start(folder, *arguments)
    output, complaint = await process.communicate()
    _require_success(process.returncode, complaint)
    return output.decode("utf-8", "replace").rstrip("\n")


async def find_top_level(folder: Path) -> Path:
    """Return the top folder of the working tree that `folder` is in; raises `NotFound`."""
    if not folder.is_dir():
        raise NotFound(f"{folder} is not a folder.", code="repository.not_found")
    try:
        return Path(await run_git(folder, "rev-parse", "--show-toplevel"))
    except UsageError as error:
        raise NotFound(
            f"{folder} is not inside a git repository that can be read ({error.message}).",
            hint="Give the path of a checkout of your own.",
            code="repository.not_found",
        ) from error


async def find_repository(folder: Path) -> Path | None:
    """Return the working tree that a folder is in, None outside of any."""
    try:
        return await find_top_level(folder)
    except NotFound:
        return None


@dataclass(frozen=True)
class GitHead:
    """Where the working tree of a folder is, and its last commit, where there is one."""

    top_level: Path
    commit: str | None


async def read_head(folder: Path) -> GitHead | None:
    """Return where a folder is in git, None outside of any working tree; raises `Unavailable` without git."""
    top_level = await find_repository(folder)
    if top_level is None:
        return None
    try:
        commit = await run_git(folder, "rev-parse", "--verify", "HEAD")
    except UsageError:  # there is no commit yet
        commit = None
    return GitHead(top_level, commit)


async def read_history(folder: Path, *, after: str | None) -> AsyncIterator[Commit]:
    """Yield the commits reachable from HEAD but not from `after`, oldest first."""
    wanted = f"{after}..HEAD" if after else "HEAD"
    process = await _start(
        folder,
        "log",
        "--reverse",
        "--name-only",
        "--no-renames",
        f"--format={_FORMAT}",
        wanted,
        "--",
    )
    assert process.stdout is not None and process.stderr is not None
    complaint = asyncio.create_task(process.stderr.read())
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    fields: list[str] = []
    pending = ""
    begun = False
    try:
        while chunk := await process.stdout.read(65_536):
            *ended, pending = (pending + decoder.decode(chunk)).split(_FIELD)
            if ended and not begun:
                ended, begun = ended[1:], True  # what stands before the first separator: nothing
            for field in ended:
                fields.append(field)
                if len(fields) == _FIELDS:
                    yield _parse(_FIELD.join(fields))
                    fields.clear()
        if begun:
            yield _parse(_FIELD.join([*fields, pending]))
        await process.wait()
        _require_success(process.returncode, await complaint)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await complaint


async def is_ancestor(folder: Path, commit: str) -> bool:
    """Tell whether `commit` is there and part of HEAD's history."""
    process = await _start(folder, "merge-base", "--is-ancestor", commit, "HEAD")
    await process.communicate()
    return process.returncode == 0


async def list_unreachable(folder: Path, commit: str) -> set[str]:
    """Return the commits up to `commit` that no branch, tag or HEAD has any more; none if git dropped it."""
    try:
        return set((await run_git(folder, "rev-list", commit, "--not", "--all", "--")).split())
    except UsageError:
        return set()


async def find_root_commit(folder: Path) -> str | None:
    """Return the oldest root of HEAD's history; None in a shallow clone, which has no true root."""
    if await run_git(folder, "rev-parse", "--is-shallow-repository") == "true":
        return None
    roots = (await run_git(folder, "rev-list", "--max-parents=0", "HEAD", "--")).split()
    return roots[-1] if roots else None


async def find_remote(folder: Path) -> str | None:
    """Return the normalised address of the remote `origin`, or None without one, or with a relative one."""
    try:
        address = normalise_remote(await run_git(folder, "config", "--get", "remote.origin.url"))
    except UsageError:
        return None
    return None if address.startswith(".") else address


async def has_commits(folder: Path) -> bool:
    process = await _start(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    await process.communicate()
    return process.returncode == 0


def normalise_remote(address: str) -> str:
    """
    Return host and path of a remote, alike for its ssh, scp-like and https forms; no credentials.

    `git@Host:a/b.git`, `ssh://git@host:22/a/b` and `https://user:key@host/a/b.git` all give
    `host/a/b`. A path on this machine stays as it is.
    """
    text = address.strip()
    if "://" not in text and ":" in text.partition("/")[0]:
        host, _, path = text.partition(":")
        text = f"ssh://{host}/{path.lstrip('/')}"
    if "://" not in text:
        return text.rstrip("/")
    try:
        parts = urlsplit(text)
    except ValueError:  # no address that anything could reach
        return text.rpartition("@")[2]
    host = (parts.hostname or "").lower()
    return f"{host}/{parts.path.strip('/').removesuffix('.git')}"


async def _start(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # A repository can name programs for fetching, and make reading it fetch.
    environment |= {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_SSH_COMMAND": "false",
        "LC_ALL": "C.UTF-8",
    }
    try:
        return await asyncio.create_subprocess_exec(
            "git", "--no-pager", *_SAFE, *arguments,
            cwd=folder, env=environment, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise Unavailable(
            "The git command is not installed.", hint="Install git.", code="git.missing"
        ) from error


def _require_success(status: int | None, complaint: bytes) -> None:
    if status:
        lines = complaint.decode("utf-8", "replace").strip().splitlines()
        raise UsageError(f"git: {lines[0] if lines else status}", code="git.failed")


def _parse(record: str) -> Commit:
    sha, author, seconds, subject, body, files = record.split(_FIELD, _FIELDS - 1)
    try:
        moment = datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        moment = None
    return Commit(
        sha, author, moment, subject, body.strip(), tuple(filter(None, files.split("\n")))
    )
