"""A net that remembers runs in every runtime, is given every frame, and forgets when it must."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg.errors import OptionError
from streamseg.live.adaptive_quality import LADDER
from streamseg.live.segment_stage import SegmentStage
from streamseg.segment.model_spec import ModelSpec
from streamseg.segment.person import Person
from streamseg.segment.runtimes import Net, open_net
from streamseg.source.arrays import frame_of
from tests.unit.fakes import FakeSink
from tests.unit.live_fakes import control
from tests.unit.recurrent_files import KINDS, SPEC, expected, running_mean
from tests.unit.test_live_segment_stage import shots

GREYS = (51, 255, 0, 204, 102, 153)
SIZE = (32, 64)


@pytest.fixture(params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The net's file, with its spec beside it."""
    made = running_mean(request.param, tmp_path, SIZE)
    made.with_suffix(".json").write_text(json.dumps(SPEC))
    return made


@pytest.fixture
def tflite(tmp_path: Path) -> Path:
    made = running_mean("tflite of sizes", tmp_path, SIZE)
    made.with_suffix(".json").write_text(json.dumps(SPEC))
    return made


def net_of(path: Path) -> Net:
    return open_net(path, ModelSpec.of(SPEC), "auto", "cpu", 1)


def pictures(greys: Sequence[int], size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    return [np.full((*size, 3), grey, np.uint8) for grey in greys]


def values(greys: Sequence[int]) -> list[float]:
    return expected([grey / 255 for grey in greys])


def means(path: Path, source: Any, **options: Any) -> list[float]:
    told = {"model": str(path)} if "method" not in options else {}
    return [float(matte.alpha.mean()) for _, matte in streamseg.mattes(source, smooth="none", **told, **options)]


# The runtimes


@pytest.mark.parametrize("batch", [1, 2, 6])
def test_the_state_goes_from_picture_to_picture_and_from_run_to_run(path: Path, batch: int) -> None:
    net, state, found = net_of(path), None, []
    given = np.stack(pictures(GREYS)).astype(np.float32) / 255
    for first in range(0, len(given), batch):
        [mattes], state = net.run([given[first : first + batch]], state)
        assert mattes.shape == (batch, *SIZE, 1)
        found += [float(matte.mean()) for matte in mattes]
        assert state is not None
    assert found == pytest.approx(values(GREYS), abs=1e-6)
    net.close()


def test_each_state_is_its_owners_and_is_not_changed(path: Path) -> None:
    net = net_of(path)
    light, dark = (np.full((1, *SIZE, 3), value, np.float32) for value in (1.0, 0.0))
    _, bright = net.run([light])
    assert bright is not None
    kept = [value.copy() for value in bright]
    for _ in range(2):  # again from the same state: the same answer
        [alpha], _ = net.run([dark], bright)
        assert float(alpha.mean()) == pytest.approx(0.25, abs=1e-6)
        for value, before in zip(bright, kept, strict=True):
            np.testing.assert_array_equal(value, before)
    [alpha], _ = net.run([dark], None)
    assert float(alpha.mean()) == 0
    net.close()


def test_several_threads_have_each_their_own_state(path: Path) -> None:
    net = net_of(path)

    def walk(shift: int) -> list[float]:
        state, found = None, []
        for picture in pictures([grey // (shift + 1) for grey in GREYS]):
            [alpha], state = net.run([picture[None].astype(np.float32) / 255], state)
            found.append(float(alpha.mean()))
        return found

    with ThreadPoolExecutor(4) as pool:
        for shift, found in enumerate(pool.map(walk, range(4))):
            assert found == pytest.approx(values([grey // (shift + 1) for grey in GREYS]), abs=1e-6)
    net.close()


@pytest.mark.parametrize(("changes", "message"), [
    ({"states": [["memori", "remembered"]]}, r"names 'memori' as a state's input, but net\.\w+ has .*'memory'"),
    ({"states": [["memory", "kept"]]}, r"names 'kept' as a state's output, but net\.\w+ has .*'remembered'"),
    ({"output": "beta"}, r"names 'beta' as output, but net\.\w+ has .*'alpha'"),
    ({"input": "image"}, r"names 'image' as input, but net\.\w+ has .*'picture'"),
    ({"states": []}, r"takes 2 inputs: 'memory' .*\"states\": \[\[INPUT, OUTPUT\]\]")])
def test_a_spec_that_does_not_fit_the_file_is_refused(path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        open_net(path, ModelSpec.of({**SPEC, **changes}), "auto", "cpu", 1)


def test_a_constant_goes_in_with_every_picture(path: Path) -> None:
    """The same file with its memory held at 1/2."""
    net = open_net(path, ModelSpec.of({"output": "alpha", "constants": {"memory": 0.5}}), "auto", "cpu", 1)
    for _ in range(2):
        [alpha], state = net.run([np.ones((1, *SIZE, 3), np.float32)])
        assert (float(alpha.mean()), state) == (0.75, None)
    net.close()


# The method


@pytest.mark.parametrize("batch", [1, 4])
def test_a_run_gives_it_every_frame(path: Path, batch: int) -> None:
    assert means(path, pictures(GREYS), batch=batch) == pytest.approx(values(GREYS), abs=2e-3)
    report = streamseg.run(pictures(GREYS), FakeSink(), model=str(path), batch=batch)
    assert report.mattes == {"computed": len(GREYS), "carried": 0, "kept": 0}


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_at_a_cut_it_forgets(tflite: Path, batch: int) -> None:
    scenes = [np.kron(np.random.default_rng(seed).integers(0, 256, (4, 8, 1)), np.ones((8, 8, 3))).astype(np.uint8)
              for seed in range(2)]
    found = means(tflite, [scenes[0]] * 4 + [scenes[1]] * 4, batch=batch)
    for scene, part in zip(scenes, (found[:4], found[4:]), strict=True):
        assert part == pytest.approx(expected([scene.mean() / 255] * 4), abs=3e-3)


def test_another_size_another_memory(tflite: Path) -> None:
    method = Person(model=str(tflite))
    wide, tall = pictures([255, 255, 255]), pictures([255, 255], (SIZE[1], SIZE[0]))
    frames = [frame_of(picture, i, 1) for i, picture in enumerate([*wide, *tall, *wide[:1]])]
    found = [float(matte.alpha.mean()) for matte in method.segment(frames)]
    assert found == pytest.approx([0.5, 0.75, 0.875, 0.5, 0.75, 0.5], abs=2e-3)
    method.reset()
    assert float(method.segment(frames[:1])[0].alpha.mean()) == pytest.approx(0.5, abs=2e-3)
    method.close()


def test_single_pictures_have_nothing_to_do_with_each_other(tflite: Path) -> None:
    method = Person(model=str(tflite), stills=True)
    frames = [frame_of(picture, i, 1) for i, picture in enumerate(pictures([255] * 3))]
    for group in (frames, frames[:1], frames[:1]):
        found = [float(matte.alpha.mean()) for matte in method.segment(group)]
        assert found == pytest.approx([0.5] * len(group), abs=2e-3)
    method.close()


def test_it_says_that_it_is_stateful(path: Path, tmp_path: Path) -> None:
    method = Person(model=str(path))
    assert method.capabilities.stateful
    assert method.capabilities.expensive
    assert not method.capabilities.reducible
    method.close()


@pytest.mark.parametrize(("options", "named"), [({"every": "3"}, "every is 3"), ({"skip_still": 40.0},
                                                                                "skip_still is 40")])
def test_frames_are_never_left_out_in_silence(tflite: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError, match=rf"{named}.*keeps a state from frame to frame"):
        streamseg.run(pictures(GREYS), FakeSink(), model=str(tflite), **options)


def test_an_own_net_with_a_memory_sees_the_whole_picture_every_time(tmp_path: Path) -> None:
    """A memory belongs to one part of the picture: where people are small, no part of it is shown alone."""
    path = running_mean("tflite of sizes", tmp_path, SIZE)
    path.with_suffix(".json").write_text(json.dumps({**SPEC, "kind": "streamseg-person", "range": [0, 1.04]}))
    picture = np.zeros((320, 640, 3), np.uint8)
    picture[120:200, 300:340] = 255  # somebody small, of whom it is sure after a few frames
    method, shown = Person(model=str(path)), []
    run = method._net.run
    method._net.run = lambda inputs, state=None: (shown.append(float(inputs[0].mean())), run(inputs, state))[1]
    for index in range(9):
        alpha = method.segment([frame_of(picture, index, 1)])[0].alpha
    assert alpha.max() > 0.9
    assert shown == pytest.approx([1.04 * picture.mean() / 255] * 9, rel=0.05)
    method.close()


def test_live_gives_it_every_frame_at_every_step(tflite: Path) -> None:
    from streamseg.core.frames import Frame

    state, method = control(), Person(model=str(tflite))
    state.step = LADDER[-1]
    stage = SegmentStage(method, state)
    frames: list[Frame] = [frame_of(picture, i, 1) for i, picture in enumerate(pictures([255] * 5))]
    found = [float(item.matte.alpha.mean()) for item in stage(iter(shots(frames, cut_at=-1)))
             if item.matte is not None]
    assert found == pytest.approx(values([255] * 5), abs=2e-3)
    stage.close()


def test_one_model_for_two_films_at_once_keeps_their_memories_apart(tflite: Path) -> None:
    with streamseg.load_model(tflite) as model, ThreadPoolExecutor(2) as pool:
        films = [pictures(GREYS), pictures([255 - grey for grey in GREYS])]
        found = list(pool.map(lambda film: means(tflite, film, method=model), films))
    for film, alphas in zip(films, found, strict=True):
        assert alphas == pytest.approx(values([int(picture[0, 0, 0]) for picture in film]), abs=2e-3)
