"""Which of a model's files is taken: the faster one, if that is worth it, measured once on a machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from streamseg.errors import OptionError
from streamseg.segment.built_in import built_in
from streamseg.segment.known_models import OWN
from streamseg.segment.person import Person
from streamseg.segment.runtimes import fastest as module
from streamseg.segment.runtimes.fastest import cache_folder, fastest, measured
from streamseg.source.arrays import frame_of
from streamseg.tools.demo import photo


@pytest.fixture(autouse=True)
def nothing_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / f"{name}.tflite" for name in ("float", "int8")}
    for name, path in found.items():
        path.write_bytes(name.encode())
    return found


class Clock:
    """Stands for the measurement: seconds by name, and how often it was asked."""

    def __init__(self, **seconds: float) -> None:
        self.seconds, self.asked = seconds, 0

    def __call__(self, files: Mapping[str, Path], spec: object) -> Mapping[str, float]:
        self.asked += 1
        return self.seconds


@pytest.mark.parametrize(("float_", "int8", "wanted"), [
    (10.0, 5.0, "int8"), (10.0, 9.5, "float"), (5.0, 10.0, "float")])
def test_the_faster_file_is_taken_where_it_is_worth_it(files, float_: float, int8: float, wanted: str) -> None:
    assert fastest(files, OWN, measure=Clock(float=float_, int8=int8)) == wanted


def test_it_is_measured_once(files) -> None:
    clock = Clock(float=10.0, int8=5.0)
    assert [fastest(files, OWN, measure=clock) for _ in range(3)] == ["int8"] * 3
    assert clock.asked == 1


@pytest.mark.parametrize("change", ["file", "processor", "nonsense", "another program's words"])
def test_it_is_measured_anew_where_what_is_known_does_not_fit(files, nothing_remembered: Path, monkeypatch,
                                                              change: str) -> None:
    fastest(files, OWN, measure=Clock(float=10.0, int8=5.0))
    place = nothing_remembered / "fastest.json"
    if change == "file":
        files["int8"].write_bytes(b"other weights")
    elif change == "processor":
        monkeypatch.setattr(module, "_processor", lambda: "another one")
    elif change == "nonsense":
        place.write_text("no JSON")
    else:
        place.write_text('["a list"]')
    clock = Clock(float=5.0, int8=10.0)
    assert fastest(files, OWN, measure=clock) == "float"
    assert clock.asked == 1


def test_it_is_measured_each_time_where_nothing_can_be_kept(files, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "a file"))
    clock = Clock(float=10.0, int8=5.0)
    assert [fastest(files, OWN, measure=clock) for _ in range(2)] == ["int8"] * 2
    assert clock.asked == 2


def test_the_systems_cache_folder_is_taken(monkeypatch) -> None:
    monkeypatch.delenv("STREAMSEG_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    monkeypatch.setattr(module.sys, "platform", "linux")
    assert cache_folder() == Path("/somewhere/streamseg")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/person")
    assert cache_folder() == Path("/home/person/.cache/streamseg")


def test_the_shipped_files_are_measured() -> None:
    files = {name: built_in(precision=name) for name in ("float", "int8")}
    seconds = measured(files, OWN)
    assert set(seconds) == set(files)
    assert all(0 < value < 60 for value in seconds.values())
    assert fastest(files, OWN) in files


def test_both_precisions_give_nearly_the_same_matte() -> None:
    pytest.importorskip("matplotlib", reason="the photo comes with it: pip install -e '.[bench]'")
    frame = frame_of(photo().rgb, 0, 1)
    mattes = {}
    for name in ("float", "int8"):
        person = Person(threads=1, precision=name)
        mattes[name] = person.segment([frame])[0].alpha
        person.close()
    difference = np.abs(mattes["float"] - mattes["int8"])
    assert mattes["float"].mean() > 0.1
    assert 0 < difference.mean() < 0.01


@pytest.mark.parametrize("given", [{"runtime": "keras"}, {"device": "gpu"}, {"model": "other.tflite"}])
def test_a_precision_that_cannot_be_had_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(OptionError, match="precision is 'int8'"):
        Person(precision="int8", **given)
