"""
What went wrong with a cloud, as an error of ours.

The clouds' libraries share no base of their errors, whose texts may hold a key: of one, its type and the
code of the answer are looked at, and nothing else of it is kept or passed on.
"""

from mahavishnu.base.errors import Corrupt, Forbidden, MahavishnuError, Unavailable

_THROTTLED = frozenset(
    {
        "ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded",
        "RequestThrottled", "SlowDown", "ResourceExhausted", "TooManyRequests", "429",
    }
)  # fmt: skip
# Also what is being deleted (AWS), and a version that is disabled or destroyed (GCP).
_MISSING = frozenset(
    {
        "ResourceNotFoundException",
        "InvalidRequestException",
        "NotFound",
        "FailedPrecondition",
        "404",
    }
)
_DENIED = frozenset(
    {
        "AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "ExpiredTokenException",
        "InvalidSignatureException", "InvalidClientTokenId", "IncompleteSignature", "NotAuthorized",
        "MissingAuthenticationToken", "DecryptionFailure", "OptInRequired",
        "PermissionDenied", "Forbidden", "Unauthenticated", "Unauthorized", "401", "403",
    }
)  # fmt: skip
_NO_CREDENTIALS = frozenset(
    {
        "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound",
        "TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError",
        "DefaultCredentialsError", "RefreshError", "MalformedError", "FileNotFoundError", "PermissionError",
    }
)  # fmt: skip


def failure_of(error: BaseException, store: str, *, timeout_s: float) -> MahavishnuError:
    """Return the error to raise instead of a library's, which is not chained to it."""
    if isinstance(error, MahavishnuError):
        return error
    if isinstance(error, TimeoutError):
        return timed_out(store, timeout_s)
    names = _names_of(error)
    if "UnicodeDecodeError" in names:
        return Corrupt(
            f"The secret in {store} is not text.",
            hint="Store the key as text, not as binary.",
            code="secret.malformed",
        )
    if found := _among(names, _THROTTLED):
        return Unavailable(
            f"{store} is asked too often ({found}).",
            hint="Try again in a minute. A running daemon (mahavishnu up) asks once in five minutes.",
            code="secret.throttled",
        )
    if found := _among(names, _DENIED):
        return Forbidden(
            f"{store} does not give the key to these credentials ({found}).",
            hint="Let them read this secret, or sign in again.",
            code="secret.denied",
        )
    if found := _among(names, _NO_CREDENTIALS):
        return Forbidden(
            f"There are no credentials for {store} ({found}).",
            hint="Sign in by the provider's own program, where this runs: aws configure, or"
            " gcloud auth application-default login",
            code="secret.no_credentials",
        )
    return Unavailable(
        f"{store} cannot be asked ({names[0]}).",
        hint="Check the network and the store's settings; see: mahavishnu ai secrets check",
        code="secret.store_failed",
    )


def is_missing(error: BaseException) -> bool:
    """
    Tell whether the store answered that it has no such secret.

    Oneiric's own way to ask that (`allow_missing`) takes every error for one with 404 in its text, as in
    the number of a port or an account.
    """
    return not isinstance(error, MahavishnuError) and bool(_among(_names_of(error), _MISSING))


def timed_out(store: str, timeout_s: float) -> Unavailable:
    """Return that a store did not answer in time."""
    return Unavailable(
        f"{store} did not answer within {timeout_s:g} seconds.",
        hint="Try again; secrets.oneiric.timeout says how long to wait.",
        code="secret.timeout",
    )


def _names_of(error: BaseException) -> list[str]:
    """Return the code of the answer, where there is one, and the names of the error's types."""
    names = [kind.__name__ for kind in type(error).__mro__]
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore's
        code = response.get("Error", {}).get("Code")
        return [str(code), *names] if _is_code(code) else names
    status = getattr(response, "status_code", None)  # httpx's
    return [str(status), *names] if isinstance(status, int) else names


def _is_code(code: object) -> bool:
    return isinstance(code, str) and code.isidentifier() and len(code) <= 64


def _among(names: list[str], known: frozenset[str]) -> str:
    return next((name for name in names if name in known), "")
