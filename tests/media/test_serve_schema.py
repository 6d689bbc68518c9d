"""Requests that are made from the OpenAPI document: none is answered 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import serve_tools
from tests.serve_tools import Client

schemathesis = pytest.importorskip("schemathesis", reason="the extra [test] is not installed")
hypothesis = pytest.importorskip("hypothesis", reason="the extra [test] is not installed")

pytestmark = pytest.mark.slow
EXAMPLES = 12  # of each operation
ALLOWED = {503, 507}  # busy, full: they are no defects


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serve_tools.running(tmp_path_factory.mktemp("serve"), time_limit=10, max_jobs=5) as client:
        yield client


def operations(client: Client) -> list[Any]:
    """Every operation of the document but the live tab's, which has tests of its own."""
    text = client.get("/openapi.json").text
    document = json.loads(text.replace("application/offset+octet-stream", "application/octet-stream"))  # it knows that
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=client.base)
    found = [result.ok() for result in schema.get_all_operations()]
    return [operation for operation in found if not operation.path.startswith("/v1/live")]


def test_the_document_tells_of_every_route(client: Client) -> None:
    paths = {operation.path for operation in operations(client)}
    assert {"/v1/pictures", "/v1/jobs", "/v1/jobs/{id}", "/v1/jobs/{id}/upload", "/v1.0/removebg", "/v1.0/videos",
            "/api/remove", "/healthz", "/readyz", "/metrics"} <= paths


def statuses_of(operation: Any) -> set[int]:
    """The statuses of EXAMPLES requests, none of which may be a 500."""
    seen: set[int] = set()

    @hypothesis.settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
                         suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        answer = case.call(timeout=serve_tools.WAIT)
        seen.add(answer.status_code)
        assert answer.status_code < 500 or answer.status_code in ALLOWED, (case.as_curl_command(), answer.text)

    ask()
    return seen


def test_no_request_is_answered_500(client: Client) -> None:
    seen = {f"{operation.method.upper()} {operation.path}": statuses_of(operation) for operation in operations(client)}
    assert client.get("/healthz").status_code == 200
    assert seen["POST /v1/pictures"] & {400, 415}
    assert seen["GET /healthz"] == {200}


def test_a_made_up_file_is_refused_like_any_other(client: Client, tmp_path: Path) -> None:
    for path, name in (("/v1/pictures", "file"), ("/v1.0/removebg", "image_file"), ("/api/remove", "file"),
                       ("/v1/jobs", "file"), ("/v1.0/videos", "video_file")):
        for data in (b"", b"\0", b"\xff" * 100, b"\x89PNG\r\n\x1a\n" + b"\xff" * 64, b"RIFF\xff\xff\xff\xffWEBPVP8X"):
            answer = client.post(path, files={name: ("a", data)})
            assert answer.status_code in (400, 413, 415, 422), (path, data, answer.text)
