"""Who may call, and what answers carry."""

from __future__ import annotations

from pathlib import Path

from tests import serve_tools
from tests.media.serve_pictures.tools import error_of
from tests.serve_tools import Client


def test_a_token_is_asked_for(tmp_path: Path) -> None:
    with serve_tools.running(tmp_path / "home", token="secret-token", ready=False) as client:
        assert client.get("/healthz").status_code == 200
        for headers in ({}, {"X-Api-Key": "wrong"}, {"Authorization": "Bearer wrong"}, {"X-Api-Key": "secret-toke"},
                        {"Authorization": "Basic secret-token"}, {"Cookie": "streamseg_token=wrong"},
                        {"X-Api-Key": "ü".encode()}):
            for path in ("/metrics", "/docs", "/openapi.json", "/nothing"):
                assert client.get(path, headers=headers).status_code == 401
            answer = client.get("/v1.0/account", headers=headers)
            assert (answer.status_code, error_of(answer)["code"]) == (403, "auth_failed")
        for headers in ({"X-Api-Key": "secret-token"}, {"Authorization": "Bearer secret-token"},
                        {"Cookie": "streamseg_token=secret-token"}):
            assert client.get("/v1.0/account", headers=headers).status_code == 200
        assert client.get("/metrics?token=secret-token").status_code == 401  # it would be in every log
        answer = client.get("/?token=secret-token&a=b", allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/?a=b")
        assert "HttpOnly" in answer.headers["Set-Cookie"]
        assert "samesite=strict" in answer.headers["Set-Cookie"].lower()
        assert client.get("/metrics").status_code == 200  # by the cookie


def test_other_names_and_other_pages_are_refused(client: Client) -> None:
    assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 403
    assert client.get("/healthz", headers={"Host": "127.0.0.1.evil.example"}).status_code == 403
    assert client.post("/v1/pictures", headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.post("/v1/pictures", headers={"Origin": "null"}).status_code == 403
    assert client.get("/healthz", headers={"Origin": client.base}).status_code == 200
    assert not any(name.lower().startswith("access-control") for name in client.get("/healthz").headers)


def test_pages_that_are_named_may_call(tmp_path: Path) -> None:
    with serve_tools.running(tmp_path / "home", allow_origin="https://a.example", ready=False) as client:
        answer = client.get("/healthz", headers={"Origin": "https://a.example"})
        assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        answer = client.options("/v1/pictures", headers={"Origin": "https://a.example",
                                                         "Access-Control-Request-Method": "POST"})
        assert answer.status_code == 204
        assert client.get("/healthz", headers={"Origin": "https://b.example"}).status_code == 403


def test_answers_carry_a_strict_policy_and_a_number(client: Client) -> None:
    for path in ("/healthz", "/docs", "/nothing"):
        answer = client.get(path, headers={"X-Request-ID": "my-number-1"})
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Request-ID"] == "my-number-1"
    assert client.get("/healthz", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"] != "a b"


def test_the_page_of_the_api_loads_nothing(client: Client) -> None:
    page = client.get("/docs").text
    assert "src=" not in page
    assert "http" not in page
    assert "/v1.0/removebg" in page
    assert set(client.get("/openapi.json").json()["paths"]) >= {"/v1/pictures", "/v1.0/removebg", "/api/remove"}


def test_metrics_count(client: Client) -> None:
    client.get("/v1.0/account")
    text = client.get("/metrics").text
    assert 'streamseg_requests_total{route="/v1.0/account",status="200"}' in text
    assert "streamseg_pictures_under_way 0.0" in text
