"""Work out and check the addresses of embedding servers. Pure, standard library only."""

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from mahavishnu.base.errors import UsageError
from mahavishnu.base.hosts import is_this_machine
from mahavishnu.base.masking import mask_url

_OLLAMA_PORT = 11434


def resolve_ollama_url(configured: str | None, environ: Mapping[str, str]) -> str:
    """
    Return the address to use: `configured`, else OLLAMA_HOST, else this machine's usual port.

    Takes the forms Ollama takes (`host`, `host:port`, `:port`, a URL), and turns an address to
    listen at (0.0.0.0) into one to connect to. Raises `UsageError` "embedding.bad_url".
    """
    given = (configured or environ.get("OLLAMA_HOST") or "127.0.0.1").strip()
    url = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or "127.0.0.1"
    except ValueError as error:
        raise _bad(given) from error
    if (
        parts.scheme not in ("http", "https")
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        raise _bad(given)
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    if port is None and "://" not in given:
        port = _OLLAMA_PORT
    host = f"[{host}]" if ":" in host else host
    netloc = host if port is None else f"{host}:{port}"
    return SplitResult(parts.scheme, netloc, parts.path.rstrip("/"), "", "").geturl()


def require_openai_url(base_url: str) -> None:
    """
    Check the address of an OpenAI-compatible server.

    Raises:
        UsageError: "embedding.bad_url"; "embedding.insecure_url", where texts would travel in the open.
    """
    try:
        parts = urlsplit(base_url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise UsageError(
            "The embedding server's address is not a URL.", code="embedding.bad_url"
        ) from error
    if parts.scheme not in ("http", "https") or not host or port == 0 or "@" in parts.netloc:
        raise UsageError(
            "The embedding server's address must be an http or https URL without a password.",
            code="embedding.bad_url",
        )
    if parts.scheme == "http" and not is_this_machine(host):
        raise UsageError(
            f"Texts and the key would travel unencrypted to {host}.",
            hint="Use https, or a tunnel that ends on this machine.",
            code="embedding.insecure_url",
        )


def _bad(given: str) -> UsageError:
    return UsageError(
        f"This is not an address of Ollama: {mask_url(given)}",
        hint="For example: http://127.0.0.1:11434",
        code="embedding.bad_url",
    )
