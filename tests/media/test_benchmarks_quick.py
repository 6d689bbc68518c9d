"""Every benchmark runs in its tiny form, as its command is typed: what it tells, never how fast."""

from __future__ import annotations

import csv
import importlib
import json
import math
import re
import shutil
from collections.abc import Callable, Iterator
from glob import glob
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import pytest

from benchmarks import common, offline, scenes, table
from streamseg.core.opencv import cv2
from streamseg.errors import DeviceError
from streamseg.segment.built_in import built_in
from tests import clips

from .test_benchmarks import ROOT, run

pytestmark = pytest.mark.slow  # measures, or starts whole benchmarks

# what a result must hold: paths to numbers above 0; * is every key or every item
FIGURES = {
    "against": ("rows/*/new/wall_s/median", "rows/*/old/cpu_s/median", "rows/*/ratio/cpu_s/median",
                "rows/photos/new/pictures_a_second/median", "rows/help/ratio/wall_s/median"),
    "area": ("outputs/*/whole/median", "outputs/*/roi/median", "outputs/*/ratio/median"),
    "demo": ("frames", "ways/*/hat_least", "ways/*/hat_mean"),
    "edges": ("edges/people worn/*/iou", "edges/hair worn/*/boundary_f", "colour_error/*/ours", "ms/*"),
    "limits": ("rows/*/fps/median", "rows/run to a file/ratio/median", "rows/method/ratio/median"),
    "live": ("streamseg/report/fps", "streamseg/report/latency_ms/p95", "streamseg/rss_mib/at_the_end",
             "usual loop/fps", "usual loop/latency_ms/p50"),
    "memory": ("peak_rss_mib/short", "peak_rss_mib/long", "ratio"),
    "micro": ("ms/*/wall", "ms/composite, solid/times_floor", "ms/smooth, flow/times_floor",
              "ms/small picture/times_floor", "ms/guided alpha from them/times_floor"),
    "offline": ("rows/*/fps/median", "rows/blur/ratio/median", "rows/matte alone, FFV1/ratio/median",
                "rows/*/long_fps/median", "rows/blur/own_long_ratio/median",
                "rows/composite + matte + cutout/ratio/median", "start_s/median"),
    "peers": ("rows/*/fps/median", "rows/*/cpu_ms/median", "rows/ffmpeg alone, chroma key/ours_is_times/median"),
    "quality": ("val/*/sets/painted/mad", "val/*/ms", "scenes/*/far/mad", "scenes/*/far/dtssd",
                "rows/person-medium, no closer look/scenes/iou", "rows/person-medium + flow/scenes/iou",
                "rows/selfie_256x256/scenes/ms", "rows/streamseg run/scenes/ms"),
    "scaling": tuple(f"curves/{curve}/figures/*/rss_mib/median"
                     for curve in ("size", "threads", "batch", "length", "files", "persons")),
    "serve": ("one/own_ms/p50", "one/request_ms/p50", "many/ratio", "soak/rss_mib_first", "idle/rss_mib", "kill/whole",
              "watch/outputs", "fuzz/uploads"),
    "smoothing": ("methods/flow/ms_a_frame", "methods/*/scenes/iou", "methods/*/scenes/lag_frames_worst",
                  "fewer/*/computed", "fewer/*/scenes/dtssd"),
}
PLOTS = {"quality": "quality.png", "scaling": "scaling.png"}
TOOLS = {"scenes", "table"}  # commands that measure nothing
# Those that need more than the test extra are run in their tiny form elsewhere
ELSEWHERE = {"live_tab": "tests/browser/test_benchmark_live_tab.py",
             "cluster": "tests/cluster/test_benchmark_cluster.py"}
ON_GPU = ("limits", "live", "offline", "peers", "quality", "scaling")
needs_no_gpu = pytest.mark.skipif(bool(glob("/dev/nvidia[0-9]*")), reason="this machine has a GPU")


def numbers(result: Any, path: str) -> Iterator[float]:
    """The numbers that stand at a path of FIGURES. Raises KeyError, with the place, where there is none."""
    key, _, rest = path.partition("/")
    held = dict(enumerate(result)) if isinstance(result, list) else result
    if not isinstance(held, dict) or not held.keys() & ({key} if key != "*" else held.keys()):
        raise KeyError(f"no {path}")
    for value in held.values() if key == "*" else [held[key]]:
        if rest:
            yield from numbers(value, rest)
        elif isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise KeyError(f"{path} is {value!r}")
        else:
            yield value


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A val picture, a cut-out and a background, as training/data.py has them."""
    folder = tmp_path_factory.mktemp("corpus")
    (rgb, alpha), = scenes.render(scenes.SCENES["still"], scenes.Material(), (160, 90), 1)
    cv2.imwrite(str(folder / "a.png"), rgb[..., ::-1])
    cv2.imwrite(str(folder / "a.matte.png"), alpha)
    with (folder / "index.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["image", "matte", "source", "split", "kind", "truth_by", "width", "height"])
        lines.writerow(["a.png", "a.matte.png", "painted", "val", "portrait", "people", 160, 90])
        lines.writerow(["a.png", "a.matte.png", "cutout", "train", "cutout", "people", 160, 90])
        lines.writerow(["a.png", "", "background", "train", "background", "", 160, 90])
    return folder


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in the place of a peer's."""
    path = tmp_path_factory.mktemp("models") / "selfie_256x256.tflite"
    return Path(shutil.copy(built_in(), path))


@pytest.fixture
def more(corpus: Path, peer: Path) -> Callable[[str], list[str]]:
    """The words that a benchmark needs to measure all it can."""
    data, models = ["--data", str(corpus)], ["--models", str(peer.parent)]
    words = {"against": ["HEAD", "--no-install", "--only", "solid", "photos", "help"], "edges": data,
             "quality": [*data, *models], "peers": ["--no-install", *models], "live": ["--selfie", str(peer)]}
    return lambda name: words.get(name, [])


def test_every_benchmark_is_run_here() -> None:
    commands = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "\ndef main(" in path.read_text()}
    assert commands - TOOLS - ELSEWHERE.keys() == FIGURES.keys()
    for name, place in ELSEWHERE.items():
        assert f"benchmarks.{name}" in (ROOT / place).read_text()
    named = re.findall(r"`python -m benchmarks\.(\w+)", (ROOT / "benchmarks/README.md").read_text())
    assert commands == set(named)


@pytest.mark.parametrize("name", FIGURES)
def test_a_benchmark_tells_its_figures_and_its_tables_can_be_written(
        name: str, tmp_path: Path, more: Callable[[str], list[str]]) -> None:
    if name == "against" and not (ROOT / ".git").exists():
        pytest.skip("this is no checkout: there is no other commit to measure against")
    done = run(f"benchmarks.{name}", "--quick", *more(name), "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.json", PLOTS.get(name, f"{name}.json")}
    result = json.loads((tmp_path / f"{name}.json").read_text())
    assert result["command"].startswith(f"python -m benchmarks.{name} --quick")
    assert result["hardware"]["cores"] > 0
    assert "commit" in result
    for path in FIGURES[name]:
        assert min(numbers(result, path)) > 0, path
    for part, made in importlib.import_module(f"benchmarks.{name}").tables(result).items():
        assert part.partition(".")[0] == name
        assert made.rows
        assert all(len(line) == len(made.head) for line in made.rows)
        assert table.table_of(part, tmp_path).startswith("| ")
    for plot in tmp_path.glob("*.png"):
        assert cv2.imread(str(plot)) is not None


@pytest.mark.parametrize(("result", "said"), [
    ({}, "no rows"), ({"rows": {}}, "no "), ({"rows": {"a": {"ms": None}}}, "ms is None"),
    ({"rows": {"a": {"ms": 1.0}, "b": {}}}, "no ms"), ({"rows": {"a": {"ms": math.nan}}}, "ms is nan")],
    ids=["empty", "no row", "none", "one lacks", "no number"])
def test_a_result_that_lacks_a_figure_is_found_out(result: Any, said: str) -> None:
    with pytest.raises(KeyError, match=said):
        list(numbers(result, "rows/*/ms"))


def test_every_scene_is_made_with_its_truth(tmp_path: Path) -> None:
    done = run("benchmarks.scenes", str(tmp_path / "made"), "--quick")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split("\n")) == len(scenes.SCENES) + 1
    for video in done.stdout.split():
        for path in (video, video.replace(".mkv", ".matte.mkv")):
            with av.open(path) as container:
                shown = [(picture.width, picture.height) for picture in container.decode(video=0)]
                assert container.streams.video[0].codec.name == "ffv1"
            assert shown == [(160, 90)] * 4


# --- on a GPU ---------------------------------------------------------------------------------

@needs_no_gpu
@pytest.mark.parametrize("words", [
    ("streamseg", "bench", "--seconds", "0.2", "--repeats", "1", "--methods", "person"),
    ("benchmarks.limits", "--quick", "--out", "{out}")], ids=["bench", "limits"])
def test_a_gpu_that_is_not_there_is_told_in_a_line(words: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*(word.format(out=tmp_path) for word in words), "--device", "gpu")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "error: " in last
    assert "streamseg[gpu]" in last
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ON_GPU)
def test_a_gpu_is_looked_for_before_anything_is_measured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(method: str, *, device: str) -> None:
        raise DeviceError(f"{method} finds no {device}")

    monkeypatch.setattr(common.segment, "create_segmenter", nowhere)
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # so that what it sets is put back
    with pytest.raises(DeviceError, match="person finds no gpu"):
        importlib.import_module(f"benchmarks.{name}").main(["--quick", "--device", "gpu"])


@needs_no_gpu
def test_decoding_and_encoding_that_the_gpu_lacks_is_named_and_not_left_out(tmp_path: Path) -> None:
    clip = clips.video(tmp_path / "clip.mp4", size=(160, 120), frames=4)
    there, missing = offline.tried(offline.ON_GPU, offline.Stand(tmp_path, {"1080p": clip}, "cpu"))
    assert not there
    assert list(missing) == ["solid background, NVDEC", "solid background, NVDEC and NVENC"]
    assert all("hwaccel" in why for why in missing.values())
    fps, start = {"median": 9.0}, {"median": 0.5, "min": 0.5, "max": 0.5}
    lines = offline.tables({"rows": {"transcode": {"fps": fps}}, "start_s": start, "not_here": missing})
    assert [row[:2] for row in lines["offline"].rows[1:]] == [(name, "not measured") for name in missing]


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_batches_are_measured_beside_the_largest_matrix_product(tmp_path: Path) -> None:
    """What a GPU is measured with, here on the CPU; with another net beside ours."""
    other = shutil.copy(built_in("keras"), tmp_path / "other.keras")
    done = run("benchmarks.limits", "--quick", "--batches", "2", "--nets", str(other),
               "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    batches = json.loads((tmp_path / "limits.json").read_text())["batches"]
    assert list(batches["nets"]) == ["person-medium", "other"]
    for net in batches["nets"].values():
        assert net["gflop"] > 0.1
        for precision, product in batches["product_gflops"].items():
            (batch, row), = net[precision].items()
            assert batch == "2"
            share = row["pictures_a_second"] * net["gflop"] / product
            assert 0 < row["of_product"] == pytest.approx(share, rel=0.05, abs=0.002)
    assert "| other | float16 | 2 |" in table.table_of("limits.batches", tmp_path)
