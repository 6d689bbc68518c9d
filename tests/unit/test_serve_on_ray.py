"""What the server's films on Ray are refused for. No cluster here: see tests/cluster."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra [serve] is not installed")

from streamseg.cli import cli
from streamseg.errors import MissingDependencyError, OptionError
from streamseg.serve.app import create_app
from streamseg.serve.jobs.process import ProcessRunner
from streamseg.serve.jobs.ray_runner import SIGNS, RayRunner
from streamseg.serve.jobs.ray_worker import FilmWorker
from streamseg.serve.options import ServeOptions


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # an import of it then fails


@pytest.mark.parametrize("on", ["dask", "rays", "head:10001", ""])
def test_another_engine_is_refused(on: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["serve", "--folder", str(tmp_path / "home"), "--on", on]) == 2
    assert "on is " in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("given", [{"cpus_per_worker": 0}, {"gpus_per_worker": -1.0}])
def test_numbers_that_are_not_allowed_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(given))):
        ServeOptions(**given)


@pytest.mark.parametrize("given", [{"cpus_per_worker": 4}, {"gpus_per_worker": 1.0}])
def test_what_is_of_ray_says_nothing_without_it(given: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="which says something of Ray only: give --on ray"):
        ServeOptions(**given)
    assert ServeOptions(on="ray", **given)


@pytest.mark.parametrize(("on", "wanted"), [("local", ProcessRunner), ("ray", RayRunner),
                                            ("ray://head:10001", RayRunner)])
def test_who_does_the_films(on: str, wanted: type, tmp_path: Path) -> None:
    app = create_app(ServeOptions(folder=str(tmp_path), on=on))
    assert type(app.state.jobs._runner) is wanted


@pytest.mark.usefixtures("no_ray")
def test_without_ray_the_remedy_is_said(tmp_path: Path) -> None:
    made = RayRunner(ServeOptions(folder=str(tmp_path), on="ray"))
    with pytest.raises(MissingDependencyError, match=r"pip install 'streamseg\[cluster\]'"):
        asyncio.run(made.open())
    asyncio.run(made.close())


@pytest.mark.usefixtures("no_ray")
def test_the_server_does_not_start_without_ray(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["serve", "--port", "0", "--folder", str(tmp_path / "home"), "--on", "ray"]) == 1
    assert "pip install 'streamseg[cluster]'" in capsys.readouterr().err


def test_a_worker_says_whether_it_sees_the_folder(tmp_path: Path) -> None:
    signs = tmp_path / SIGNS
    assert not FilmWorker(1).hello(str(signs), "1-abc").sees
    signs.write_text("2-def\n")  # another server's, of a folder of the same name
    assert not FilmWorker(1).hello(str(signs), "1-abc").sees
    signs.write_text("1-abc\n2-def\n")
    assert FilmWorker(1).hello(str(signs), "1-abc").sees
