"""
Infisical as its API is documented, behind the client that Oneiric's adapter speaks to.

The adapter posts to a route that only lists, and looks for the value where the answer has it not. Here its
request becomes `GET /api/v3/secrets/raw/NAME`, and the answer what it looks for.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

import httpx

_TIMEOUT_S = 5.0


class Noting(Protocol):
    """Where the date of the version that was read is noted."""

    last: datetime | None


class Reply:
    """An answer as the adapter reads one."""

    def __init__(self, response: httpx.Response, values: Mapping[str, Any]) -> None:
        self.status_code = response.status_code
        self._response = response
        self._values = values

    def json(self) -> Mapping[str, Any]:
        """Return the members that the adapter looks at."""
        return self._values

    def raise_for_status(self) -> None:
        """Raise httpx's error for a status that is none of success."""
        self._response.raise_for_status()


class InfisicalWire:
    """
    Asks for one secret by its name; follows no redirect, with which the token would travel.

    With `proxies` it goes by those that the environment names.
    """

    def __init__(self, dates: Noting, *, proxies: bool = True) -> None:
        self._dates = dates
        self._client = httpx.AsyncClient(
            timeout=_TIMEOUT_S, follow_redirects=False, trust_env=proxies
        )

    async def post(self, url: str, *, json: Mapping[str, Any], headers: Mapping[str, str]) -> Reply:
        """Answer the adapter's one request."""
        query = {
            "environment": json["environment"],
            "secretPath": json["secretPath"],
            **({"workspaceId": json["projectId"]} if "projectId" in json else {}),
        }
        response = await self._client.get(
            f"{url}/{json['secretName']}", params=query, headers=headers
        )
        secret = response.json().get("secret", {}) if response.is_success else {}
        self._dates.last = _date(secret.get("updatedAt"))
        return Reply(response, {"secretValue": secret.get("secretValue")})

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _date(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
