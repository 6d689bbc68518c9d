"""training.data and training.feed: what is dealt, in what order, and that nothing held out is in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from streamseg.errors import OptionError, SourceError
from streamseg.segment.known_models import OWN
from streamseg.segment.person import Person
from streamseg.source.arrays import frame_of
from tests.training.sets import people_set, save
from training import data
from training.data import Deal, PictureSet, Row, background_rows, held_out, training_rows
from training.feed import Feed, Recipe
from training.teacher import Teacher

SHAPES = (((64, 96), 0.5), ((96, 64), 0.5))


def rows_of(counts: dict[str, int]) -> list[Row]:
    return [Row(f"{source}/{i}.png", "m", source, "train", "", "people", 9, 9)
            for source, count in counts.items() for i in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("set")
    people_set(made, {"train": 12, "val": 3}, backgrounds=20)
    return made


def feed(folder: Path, seed: int = 1, **recipe: float) -> Feed:
    rows = training_rows(folder)
    return Feed(PictureSet(folder, rows), Recipe(shapes=SHAPES, **recipe), batch_size=4, seed=seed)


# --- Deal -------------------------------------------------------------------------------------

def test_without_weights_an_epoch_deals_every_picture_exactly_once() -> None:
    deal = Deal(rows_of({"a": 7, "b": 10}), {}, seed=3)
    assert deal.per_epoch == 17
    for epoch in range(3):
        assert sorted(deal[epoch * 17 + i] for i in range(17)) == list(range(17))


def test_weights_say_how_often_a_source_comes_and_the_total_is_exact() -> None:
    rows = rows_of({"twice": 5, "half": 10, "never": 4})
    deal = Deal(rows, {"twice": 2.0, "half": 0.5, "never": 0.0}, seed=3)
    assert deal.per_epoch == 15
    total: Counter[int] = Counter()
    for epoch in range(40):
        dealt = Counter(deal[epoch * 15 + i] for i in range(15))
        assert [dealt[i] for i in range(5)] == [2] * 5
        assert max(dealt[i] for i in range(5, 15)) == 1
        total += dealt
    assert sum(total[i] for i in range(5, 15)) == 40 * 5
    assert min(total[i] for i in range(5, 15)) > 0
    assert not any(total[i] for i in range(15, 19))


def test_a_kind_of_a_source_may_have_a_weight_of_its_own() -> None:
    rows = [replace(row, kind="animals") if i < 4 else row for i, row in enumerate(rows_of({"a": 10}))]
    deal = Deal(rows, {"a": 0.0, "a/animals": 2.0}, seed=1)
    assert Counter(deal[i] for i in range(deal.per_epoch)) == dict.fromkeys(range(4), 2)


def test_the_order_is_the_seeds_and_changes_with_the_epoch() -> None:
    rows = rows_of({"a": 30})
    first, same, other = (Deal(rows, {}, seed) for seed in (1, 1, 2))
    order = [first[i] for i in range(60)]
    assert order == [same[i] for i in range(60)]
    assert order != [other[i] for i in range(60)]
    assert order[:30] != order[30:]
    # from anywhere, without what came before: a resumed run asks so
    assert Deal(rows, {}, 1)[47] == order[47]


# --- held out ---------------------------------------------------------------------------------

def test_a_tenth_of_the_backgrounds_is_held_out_and_no_more_than_the_limit(
        folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = data.read_index(folder, "train")
    assert len(held_out(rows)) == 2
    assert held_out(rows) == held_out(reversed(rows))
    assert {row.image for row in background_rows(folder, "val")} == held_out(rows)
    assert not held_out(rows) & {row.image for row in training_rows(folder)}
    assert len(training_rows(folder)) == 12 + 18
    monkeypatch.setattr(data, "HELD_OUT", 1)
    assert len(held_out(rows)) == 1


def test_val_backgrounds_are_taken_where_there_are_any(tmp_path: Path) -> None:
    rows = people_set(tmp_path, {"train": 2, "val": 1}, backgrounds=3)
    moved = Row(rows[-1].image, "", "background", "val", "", "", 64, 64)
    data.write_index(tmp_path, [*rows[:-1], moved])
    assert background_rows(tmp_path, "val") == [moved]


def test_the_feed_never_touches_what_is_held_out(folder: Path) -> None:
    made = feed(folder, composite=1.0, company=1.0)
    reached: set[str] = set()
    read = made.pictures._read

    def spy(row: Row) -> object:
        reached.add(row.image)
        return read(row)

    made.pictures._read = spy  # type: ignore[method-assign, assignment]
    for k in range(40):
        made.batch(k)
    assert len(reached) == 30
    assert not reached & held_out(data.read_index(folder, "train"))


def test_backgrounds_that_hold_people_are_no_empty_pictures(tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row(f"background/{i}.png", "", "background", "train", "", "", 64, 64) for i in range(20)]
    data.write_index(tmp_path, rows)
    one, other = sorted(held_out(rows))
    monkeypatch.setattr(data, "PEOPLED", {Path(one).stem})
    assert [row.image for row in background_rows(tmp_path, "val")] == [other]


def test_small_holes_in_the_sets_that_have_them_by_mistake_are_unknown(tmp_path: Path) -> None:
    matte = np.zeros((60, 80), np.uint8)
    matte[10:50, 20:70] = 255       # 2,000 pixels
    matte[15:19, 30:34] = 0         # a badge
    matte[25:45, 45:65] = 0         # an arm on a hip
    matte[48:60, 60:64] = 0         # open to below: no hole
    holes = data.small_holes(matte, 0.05)
    assert np.array_equal(np.argwhere(holes).min(axis=0), [15, 30])
    assert np.count_nonzero(holes) == 16
    save(tmp_path / "p.png", np.zeros((60, 80, 3), np.uint8))
    save(tmp_path / "m.png", matte)
    for source, split, unknown in (("hsd", "train", 16), ("hsd", "val", 0), ("eg1800", "train", 0)):
        row = Row("p.png", "m.png", source, split, "", "people", 80, 60)
        assert np.count_nonzero(PictureSet(tmp_path, [row])[0][1][..., 1] == 0) == unknown


# --- the feed ---------------------------------------------------------------------------------

def test_a_batch_depends_on_the_seed_and_its_number_only(folder: Path) -> None:
    one, other = feed(folder), feed(folder)
    later = other.batch(5)
    for k in (0, 5):
        for mine, same in zip(one.batch(k), other.batch(k), strict=True):
            assert np.array_equal(mine, same)
    assert np.array_equal(later[0], one.batch(5)[0])
    assert not np.array_equal(one.batch(0)[0], feed(folder, seed=2).batch(0)[0])
    assert not np.array_equal(one.batch(0)[0], one.batch(1)[0])


def test_a_set_whose_people_are_all_cut_outs_lays_them_over_its_backgrounds(folder: Path) -> None:
    rows = [replace(row, source="cutout") if row.matte else row for row in training_rows(folder)]
    made = Feed(PictureSet(folder, rows), Recipe(weights={"background": 0.0}, shapes=SHAPES), 4, seed=1)
    for k in range(10):  # one in seven would go before other people
        assert made.batch(k)[1][..., 0].any(axis=(1, 2)).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_the_stream_starts_anywhere_and_keeps_the_order_with_any_threads(folder: Path, threads: int) -> None:
    made = feed(folder)
    stream = made.stream(7, threads, ahead=4)
    for k in range(7, 13):
        for got, wanted in zip(next(stream), made.batch(k), strict=True):
            assert np.array_equal(got, wanted)
    stream.close()


def test_frames_of_a_sequence_show_one_scene_that_moves(folder: Path) -> None:
    made = feed(folder, sequences=1.0)
    moved = 0
    for k in range(12):
        pictures, truths = made.batch(k)
        assert pictures.shape[0] == truths.shape[0] == 4
        assert truths.shape[-1] == 4
        marks = truths[:, 0, 0, 3]
        assert set(np.unique(marks)) <= {0, 255}
        assert marks[0]
        assert not marks[-1]
        assert np.array_equal(truths[..., 3], np.broadcast_to(marks[:, None, None], truths.shape[:3]))
        for i in np.flatnonzero(marks):
            before, after = (truths[j, ..., 0].astype(np.float32) for j in (i, i + 1))
            if before.mean() < 10:
                continue
            assert np.minimum(before, after).sum() > 0.6 * np.maximum(before, after).sum()
            moved += not np.array_equal(before, after)
    assert moved > 4
    assert feed(folder).batch(0)[1].shape[-1] == 3


def test_a_teacher_sees_the_very_pictures_that_are_trained_on(folder: Path) -> None:
    rows = training_rows(folder)
    taught = Feed(PictureSet(folder, rows), Recipe(shapes=SHAPES), 4, 1, teacher=lambda seen: seen[..., 1])
    pictures, truths = taught.batch(3)
    plain_pictures, plain_truths = feed(folder).batch(3)
    assert np.array_equal(pictures, plain_pictures)
    assert np.array_equal(truths[..., :3], plain_truths)
    assert not truths[..., 3].any()  # no picture is another one's next frame
    assert np.array_equal(truths[..., 4], pictures[..., 1])


def test_the_teacher_is_the_mean_of_what_the_shipped_nets_see() -> None:
    shown = frame_of(skimage.data.astronaut(), 0, 1)
    method = Person(model="large", roi=False, threads=1)
    alpha = method.segment([shown])[0].alpha
    method.close()
    pictures = shown.rgb(alpha.shape[::-1])[None]
    medium, large, both = (Teacher(names)(pictures)[0] / 255 for names in (["medium"], ["large"], ["medium", "large"]))
    assert np.abs(OWN.stretched(large.astype(np.float32)) - alpha).mean() < 0.01
    assert np.abs(medium - large).max() > 0.1
    assert np.abs(both - (medium + large) / 2).max() < 0.01
    with pytest.raises(OptionError, match="nobody"):
        Teacher(["nobody.tflite"])


def test_batches_have_the_shapes_of_the_recipe_and_a_truth_of_three(folder: Path) -> None:
    made, shapes = feed(folder), set()
    for k in range(12):
        pictures, truths = made.batch(k)
        assert pictures.dtype == truths.dtype == np.uint8
        assert pictures.shape == truths.shape == (4, *pictures.shape[1:3], 3)
        shapes.add(pictures.shape[1:3])
    assert shapes == {(64, 96), (96, 64)}


def test_pictures_are_decoded_once_and_unknown_is_told_apart_from_background(tmp_path: Path) -> None:
    rows = people_set(tmp_path, {"train": 1})
    matte = np.zeros((64, 64), np.uint8)
    matte[:, 20:40], matte[:, 40:] = 128, 255
    save(tmp_path / rows[0].matte, matte)
    pictures = PictureSet(tmp_path, rows)
    truth = pictures[0][1]
    assert [truth[0, x].tolist() for x in (0, 30, 50)] == [[0, 255], [0, 0], [255, 255]]
    (tmp_path / rows[0].image).unlink()
    assert pictures[0][1] is truth


def test_what_finds_no_room_in_memory_is_read_every_time_and_is_the_same(tmp_path: Path) -> None:
    rows = people_set(tmp_path, {"train": 3})
    whole, short = PictureSet(tmp_path, rows), PictureSet(tmp_path, rows, memory=64 * 64 * 5 * 2)
    for i in (0, 1, 2, 2, 0):
        for one, other in zip(whole[i], short[i], strict=True):
            assert np.array_equal(one, other)
    assert [short[i][0] is short[i][0] for i in range(3)] == [True, True, False]


def test_a_matte_of_another_size_is_an_error(tmp_path: Path) -> None:
    rows = people_set(tmp_path, {"train": 1})
    save(tmp_path / rows[0].matte, np.zeros((9, 9), np.uint8))
    with pytest.raises(SourceError, match="train000_matte"):
        PictureSet(tmp_path, rows)[0]
