"""Tells somebody else's server how a job ended: signed, and tried again where nobody answers."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

from ..fetch import Fetcher
from ..refusals import Refusal

TRIES = 6
FIRST_WAIT = 2.0  # seconds, three times as long after each failure


def signature(secret: str, body: bytes, at: int) -> str:
    """The header X-Streamseg-Signature: ``t=SECONDS,v1=HEX``, the HMAC-SHA256 of "SECONDS." and the body."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


async def send(fetcher: Fetcher, secret: str, url: str, told: dict[str, Any]) -> bool:
    """Send a job's end. -> whether the other side took it (2xx)."""
    body = json.dumps(told).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "streamseg",
               "X-Streamseg-Event": f"job.{told['state']}",
               "X-Streamseg-Signature": signature(secret, body, int(time.time()))}
    try:
        status = await fetcher.post(url, body, headers)
    except Refusal:
        return False
    return 200 <= status < 300


def wait(tries: int) -> float:
    """Seconds before the next try, after so many."""
    return FIRST_WAIT * 3.0 ** max(0, tries - 1)
