"""Whether a gateway of ours answers at an address of this machine; another listener there is none."""

import http.client

from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.gateway.places import HEALTH

_ANSWERS_WITHIN_S = 1.0


def gateway_answers(address: str) -> bool:
    """Ask it, with no token."""
    origin = origin_of(address)
    connection = http.client.HTTPConnection(origin.host, origin.port, timeout=_ANSWERS_WITHIN_S)
    try:
        connection.request("GET", HEALTH)
        answer = connection.getresponse()
        return answer.status == 200 and answer.getheader("Server") == "mahavishnu"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
