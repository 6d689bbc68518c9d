"""How a film is handed in, and waited for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.serve_tools import Client, until

FAST = {"method": "threshold"}  # no net to load: the jobs are what is looked at


def hand_in(client: Client, film: Path, **data: Any) -> dict[str, Any]:
    answer = client.post("/v1/jobs", files={"file": (film.name, film.read_bytes())}, data={**FAST, **data})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def ended(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    until(lambda: client.get(job["url"]).json()["state"] in ("done", "failed"))
    return dict(client.get(job["url"]).json())
