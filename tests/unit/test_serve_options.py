"""What the server and what requests may be told."""

from __future__ import annotations

import errno
import socket
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic", reason="the extra [serve] is not installed")

from streamseg.errors import OptionError
from streamseg.options import Options
from streamseg.serve.options import ServeOptions
from streamseg.serve.parameters import FILM, PICTURE, WITHHELD, FilmOptions, PictureOptions, parsed
from streamseg.serve.refusals import Refusal


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STREAMSEG_TOKEN", raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.3.2.1"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert ServeOptions(host=host).secret_token() is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "host.localhost.example"])
def test_another_address_asks_for_a_token(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="give a token too"):
        ServeOptions(host=host)
    assert ServeOptions(host=host, token="abc").secret_token() == "abc"
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert ServeOptions(host=host, token_file=str(file)).secret_token() == "from-file"
    monkeypatch.setenv("STREAMSEG_TOKEN", "from-environment")
    assert ServeOptions(host=host).secret_token() == "from-environment"


@pytest.mark.parametrize("given", [{"port": -1}, {"port": 65536}, {"queue": 0}, {"max_pixels": 0}, {"token": ""},
                                   {"token": "with space"}, {"token": "ü"}, {"token": "a", "token_file": "b"},
                                   {"token_file": "/nowhere/at/all"}, {"idle": -1}, {"port": "80"}])
def test_values_that_are_not_allowed_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        ServeOptions(**given)


def test_an_empty_token_file_is_no_open_door(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    with pytest.raises(OptionError, match="empty"):
        ServeOptions(token_file=str(tmp_path / "token"))


def test_every_option_of_run_is_either_a_parameter_or_withheld_with_a_reason() -> None:
    names = {item.name for item in fields(Options)}
    assert set(PICTURE) <= set(FILM)
    assert set(FILM) | set(WITHHELD) == names
    assert not set(FILM) & set(WITHHELD)


def test_texts_of_forms_become_options() -> None:
    given = {"erode": "-2.5", "clean": "false", "quality": "80", "set": ["block=15", "c=2"], "background": "#204060",
             "method": "adaptive"}
    options = parsed(PictureOptions, given).options()
    assert options == Options(erode=-2.5, clean=False, quality=80, set={"block": "15", "c": "2"},
                              background="#204060", method="adaptive")
    assert parsed(PictureOptions, {}).options() == Options()


@pytest.mark.parametrize(("given", "says"), [
    ({"nothing": 1}, "nothing is no parameter here; allowed are"), ({"erode": "much"}, "erode is 'much'"),
    ({"erode": 101}, "erode is 101"), ({"edges": "sharp"}, "edges is 'sharp'"), ({"erode": "nan"}, "erode is"),
    ({"smooth": "ema"}, "smooth says nothing of a single picture"), ({"threads": 4}, "it is the server's own"),
    ({"model_spec": "a.json"}, "it is a file"), ({"matte": "a.png"}, "name the output instead"),
    ({"method": "os:system"}, "method is 'os:system'"), ({"model": "/etc/passwd"}, "model is '/etc/passwd'"),
    ({"set": "model=/etc/passwd"}, "set model cannot"), ({"set": "plate=/etc/passwd"}, "set plate cannot"),
    ({"set": {"clip": "/etc/passwd"}}, "set clip cannot"), ({"set": "x"}, "is not NAME=VALUE"),
    ({"method": "plate"}, "method plate"), ({"background": "/etc/passwd"}, "background is '/etc/passwd'"),
    ({"background": "http://10.0.0.1/a.png"}, "background is"), ({"background": "a.mp4"}, "background is"),
    ({"background": "\0"}, "background is"), ({"set": [1, {}]}, "is not NAME=VALUE")])
def test_what_no_request_may_say_is_refused_by_name(given: dict[str, Any], says: str) -> None:
    with pytest.raises((Refusal, OptionError), match=says):
        parsed(PictureOptions, given).options()


@pytest.mark.parametrize("name", ["stats", "x264-params", "x265-params", "passlogfile", "report"])
def test_options_of_encoders_that_name_files_are_refused(name: str) -> None:
    with pytest.raises(OptionError, match="codec_set"):
        parsed(FilmOptions, {"codec_set": {name: "/tmp/x"}}).options()
    assert parsed(FilmOptions, {"codec_set": {"preset": "fast"}}).options().codec_set == {"preset": "fast"}


@pytest.mark.parametrize(("error", "words"), [
    (socket.gaierror(-2, "Name or service not known"), "the name is not known here"),
    (PermissionError(errno.EACCES, "Permission denied"), "ports below 1024"),
    (OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"), "no address of this machine"),
    (OSError(errno.EADDRINUSE, "Address already in use"), "taken by another program")])
def test_why_a_port_does_not_open_is_said(error: OSError, words: str) -> None:
    from streamseg.serve.server import _why

    left = SystemExit(1)
    left.__context__ = error  # uvicorn exits where it has caught it
    assert words in _why(left)


def test_an_address_of_another_machine_and_a_port_that_is_taken_are_told_apart(tmp_path: Path) -> None:
    from streamseg.options import MethodOptions
    from streamseg.serve.server import serve

    own = {"method": MethodOptions(method="threshold")}
    with pytest.raises(OptionError, match="no address of this machine"):
        serve(ServeOptions(host="203.0.113.9", token="x", folder=str(tmp_path / "a")), **own)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OptionError, match="taken by another program"):
        serve(ServeOptions(port=taken.getsockname()[1], folder=str(tmp_path / "b")), **own)
