"""Fetch a pinned model from the Hugging Face hub into the store: once, resumable, checked."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

from mahavishnu.base.errors import Corrupt, NotFound, Unavailable, UsageError
from mahavishnu.base.files import digest_file
from mahavishnu.embedding.known_models import DOWNLOADS, PinnedDownload, PinnedFile, find_download
from mahavishnu.embedding.model_import import install
from mahavishnu.embedding.models import StoredModel, find_model, locked_store

HUB = "https://huggingface.co"
# Pauses between tries of one file; each try goes on where the last one broke off.
BACKOFF_S = (1.0, 2.0, 4.0, 8.0)
_SPARE_BYTES = 64 * 2**20
_HINT = (
    "Download it elsewhere and run: mahavishnu model import PATH;"
    " or use Ollama: ollama pull nomic-embed-text"
)

type DownloadProgress = Callable[[int, int], None]


def require_download(name: str) -> PinnedDownload:
    """Return the pinned download of a model; raises `NotFound` "embedding.no_download"."""
    download = find_download(name)
    if download is None:
        offered = ", ".join(d.name for d in DOWNLOADS)
        raise NotFound(
            f"There is no pinned download of {name}.",
            hint=f"Offered: {offered}. Any other: mahavishnu model import PATH",
            code="embedding.no_download",
        )
    return download


def fetch(
    download: PinnedDownload,
    store: Path,
    *,
    environ: Mapping[str, str],
    progress: DownloadProgress | None = None,
    backoff_s: Sequence[float] = BACKOFF_S,
) -> StoredModel:
    """
    Return the stored model, downloaded unless it is there; another process is waited for.

    `progress` gets (bytes there, bytes in all), also for what an earlier run had fetched. Takes the
    hub's address from HF_ENDPOINT and obeys HF_HUB_OFFLINE. A break loses nothing: the next call
    resumes. Plain httpx, because huggingface_hub deletes an unfinished file. Raises `UsageError`
    "embedding.bad_url", `Unavailable` "embedding.download_failed" or "embedding.no_space",
    `Corrupt` "embedding.checksum_mismatch".
    """
    with locked_store(store) as staging:
        try:
            return find_model(store, download.name)
        except NotFound:
            pass
        if environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
            raise _failed(download, "HF_HUB_OFFLINE forbids the network")
        hub = _address_of_hub(environ)
        folder = staging / f"download-{download.revision}"
        _reserve(download, folder)
        total = sum(file.size_bytes for file in download.files)
        base_url = f"{hub}/{download.repository}/resolve/{download.revision}/"
        before = 0
        # Redirects lead to the hub's storage hosts; no credentials are sent to anyone.
        with httpx.Client(timeout=30.0, follow_redirects=True) as client:
            for file in download.files:

                def report(done: int, before: int = before) -> None:
                    if progress is not None:
                        progress(before + done, total)

                _fetch_file(client, base_url, download, file, folder, report, backoff_s)
                before += file.size_bytes
        source = f"{hub}/{download.repository} at {download.revision}"
        model = install(folder, store, name=download.name, source=source)
        shutil.rmtree(folder, ignore_errors=True)
        return model


def _address_of_hub(environ: Mapping[str, str]) -> str:
    """Return the hub's address without a slash at its end; raises `UsageError` for anything else."""
    address = environ.get("HF_ENDPOINT", "").rstrip("/") or HUB
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(
            "HF_ENDPOINT is not the address of a hub.",
            hint=f"Write http://HOST or https://HOST, or unset it for {HUB}",
            code="embedding.bad_url",
        )
    return address


def _reserve(download: PinnedDownload, folder: Path) -> None:
    """Make the folder and raise `Unavailable` unless the rest of the download fits on the disk."""
    folder.mkdir(exist_ok=True)
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    needed = sum(file.size_bytes for file in download.files) - there + _SPARE_BYTES
    if shutil.disk_usage(folder).free < needed:
        raise Unavailable(
            f"The disk of {folder} has no room for {needed >> 20} MiB more.",
            code="embedding.no_space",
        )


def _fetch_file(
    client: httpx.Client,
    base_url: str,
    download: PinnedDownload,
    file: PinnedFile,
    folder: Path,
    report: Callable[[int], None],
    backoff_s: Sequence[float],
) -> None:
    """Bring one file to `folder`, resuming its `.part`, and check it."""
    target = folder / file.path
    if target.exists():
        report(file.size_bytes)
        return
    target.parent.mkdir(exist_ok=True)
    part = target.with_name(target.name + ".part")
    for pause_s in (*backoff_s, None):
        try:
            _continue_part(client, base_url + file.path, part, file, report)
            break
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            if pause_s is None or (status < 500 and status != 429):
                raise _failed(download, f"the hub answered {status}") from error
        except httpx.TransportError as error:
            if pause_s is None or isinstance(error, httpx.UnsupportedProtocol):
                raise _failed(download, f"the hub cannot be reached: {error}") from error
        time.sleep(pause_s)
    if digest_file(part) != file.sha256:
        part.unlink()
        raise Corrupt(
            f"The hub's {file.path} of {download.name} is not the pinned one; it was discarded.",
            hint=_HINT,
            code="embedding.checksum_mismatch",
        )
    part.rename(target)


def _continue_part(
    client: httpx.Client, url: str, part: Path, file: PinnedFile, report: Callable[[int], None]
) -> None:
    """Append to `part` what it lacks. Raises httpx's errors, keeping what has come in."""
    there = part.stat().st_size if part.exists() else 0
    if there >= file.size_bytes:
        if there == file.size_bytes:
            return
        part.unlink()
        there = 0
    headers = {"Range": f"bytes={there}-", "Accept-Encoding": "identity"} if there else {}
    with client.stream("GET", url, headers=headers) as response:
        response.raise_for_status()
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        with part.open("ab" if resumed else "wb") as stream:
            for piece in response.iter_bytes(1 << 18):
                stream.write(piece)
                report(stream.tell())


def _failed(download: PinnedDownload, why: str) -> Unavailable:
    return Unavailable(
        f"{download.name} could not be downloaded: {why}.",
        hint=_HINT,
        code="embedding.download_failed",
    )
