"""Batches for training: which pictures, in what shape, made in threads ahead of the net.

Batch ``k`` is a pure function of (set, recipe, seed, k): threads change when it is made, never what
it is, and training that was stopped goes on with the batch that would have come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from training import augment, damage
from training.augment import Pair, Size
from training.data import Deal, PictureSet

# Pictures that come before always the same wall: only ever laid over another background.
CUT_OUTS = frozenset({"cutout", "viton", "econ"})
ANIMALS = "no person, animals"


@dataclass(frozen=True)
class Recipe:
    """What the feed mixes. Weights: how often a source's (or source/kind's) pictures come in an epoch
    (default 1)."""

    weights: Mapping[str, float] = field(
        default_factory=lambda: {
            # Truth by people counts more than a teacher's; animals and groups are the hardest.
            "voc": 4.0, "hsd": 2.0, "fudan": 2.5, "ccp": 1.2, "eg1800": 1.2, "cutout": 1.5,
            "lspet": 1.0, "frames": 2.0, "wtd": 1.6, "viton": 0.4, "ccp2": 0.6, "muk": 1.0, "mask": 0.6,
            "prajna": 0.6, "cele": 0.8, "gsa": 0.8, "background": 1.0,
            # The second season: masks by people are few and of kinds that were lacking; boxes are many.
            "boxes": 0.9, "sports": 0.8, "bsds": 3.0, "coco128": 3.0, "minicoco": 3.0, "voc2": 4.0,
            # Half of the animals kept out of training were taken for persons; of the rooms, one in fifty.
            f"background/{ANIMALS}": 2.5,
            "background/animals, things": 2.5,
        }
    )  # fmt: skip
    # A person moved to another background; another one beside that one; then a third.
    composite: float = 0.22
    company: float = 0.12
    third: float = 0.25
    # Somebody wears something uncommon: a badge, a print, a garment of another colour.
    dressed: float = 0.2
    # Cloth hangs behind people, or where there is nobody: what is cloth need not be somebody's.
    hung: float = 0.18
    # Whole pictures turned by 90, 180 or 270 degrees: cameras held on their side, people who lie.
    turned: float = 0.05
    # Moved people who stand far off; backgrounds behind moved people that hold animals.
    far: float = 0.25
    animals: float = 0.65
    # Places without people, alone or behind them, seen from so near that only a part of a car or a cow is there. With
    # 0.35 of them no fewer cars were taken for people who come in (LOG.md, 21).
    near: float = 0.06
    # Instead of one picture, two to four frames of a scene whose layers move, each its own way. How often.
    sequences: float = 0.0
    # (height, width) and how often, from portrait to 16:9: about the area that is used, for a third of the
    # batches 30 % less, which costs 30 % less, and for a ninth 40 % more, as single pictures are looked at.
    shapes: tuple[tuple[Size, float], ...] = (
        ((256, 256), 0.15), ((288, 224), 0.20), ((224, 288), 0.12), ((192, 352), 0.17),
        ((352, 192), 0.06), ((224, 224), 0.08), ((256, 192), 0.12), ((160, 288), 0.10), ((224, 416), 0.06),
        ((320, 288), 0.06),
    )  # fmt: skip


Batch = tuple[NDArray[np.uint8], NDArray[np.uint8]]


class Feed:
    """Makes batches: ``feed.batch(k)`` is ``(pictures, truths)``.

    pictures: uint8 ``(n, h, w, 3)`` RGB; truths: uint8 ``(n, h, w, 3)``: alpha, known, rim. With sequences or a
    teacher there is a fourth channel, 255 where the batch's next picture is the next frame, and with a teacher a
    fifth, what it sees in the pictures, 0..255.
    """

    def __init__(
        self, pictures: PictureSet, recipe: Recipe, batch_size: int, seed: int,
        teacher: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
    ) -> None:  # fmt: skip
        self.pictures, self.recipe, self.teacher = pictures, recipe, teacher
        self.batch_size, self.seed = batch_size, seed
        self.deal = Deal(pictures.rows, recipe.weights, seed)
        self._empty = [i for i, row in enumerate(pictures.rows) if not row.matte]
        self._animals = [i for i in self._empty if pictures.rows[i].kind == ANIMALS]
        self._people = [i for i, row in enumerate(pictures.rows) if row.matte]
        self._chances = np.array([chance for _, chance in recipe.shapes])

    def batch(self, k: int) -> Batch:
        rng = np.random.default_rng([self.seed, 1, k])
        shapes = self.recipe.shapes
        size = shapes[rng.choice(len(shapes), p=self._chances / self._chances.sum())][0]
        first = k * self.batch_size
        numbers = [self.deal[first + i] for i in range(self.batch_size)]
        pairs: list[Pair] = []
        follows: list[bool] = []
        for number in numbers:
            room = self.batch_size - len(pairs)
            if room > 1 and rng.random() < self.recipe.sequences:
                frames = self.sequence(number, size, min(room, int(rng.integers(2, 5))), rng)
                pairs += frames
                follows += [True] * (len(frames) - 1) + [False]
            elif room:
                pairs.append(self.sample(number, size, rng))
                follows.append(False)
        pictures = np.stack([picture for picture, _ in pairs])
        truths = np.stack([self.finished(truth) for _, truth in pairs])
        if self.recipe.sequences or self.teacher:
            marks = np.array(follows, np.uint8)[:, None, None, None] * np.uint8(255)
            truths = np.concatenate([truths, np.broadcast_to(marks, (*truths.shape[:3], 1))], axis=-1)
        if self.teacher:
            truths = np.concatenate([truths, self.teacher(pictures)[..., None]], axis=-1)
        return pictures, truths

    def finished(self, truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The truth as the loss wants it: uint8 ``(h, w, 3)``, alpha, known and rim."""
        return np.dstack([truth, augment.rim(truth[..., 0])])

    def sample(self, number: int, size: Size, rng: np.random.Generator) -> Pair:
        """One training picture made around picture ``number`` of the set."""
        return self._shown(number, size, rng, lambda layer: layer, 0)

    def sequence(self, number: int, size: Size, frames: int, rng: np.random.Generator) -> list[Pair]:
        """``frames`` pictures of one scene around picture ``number``: its layers move, each its own way."""
        seed = int(rng.integers(1 << 62))
        shown = []
        for frame in range(frames):
            moved = partial(augment.drift, frame=frame, rng=np.random.default_rng([seed, 1]))
            shown.append(self._shown(number, size, np.random.default_rng([seed, 0]), moved, frame))
        return shown

    def _shown(
        self, number: int, size: Size, rng: np.random.Generator, moved: Callable[[Pair], Pair], frame: int
    ) -> Pair:
        """The scene of ``rng`` in its frame ``frame``; each layer is where ``moved`` takes it."""
        source = self.pictures.rows[number].source
        person = bool(self.pictures.rows[number].matte)
        apart = person and bool(self._empty) and (
            source in CUT_OUTS or rng.random() < self.recipe.composite
        )  # fmt: skip
        if apart:
            # Over an empty place mostly, sometimes before other people
            # (those of cut-outs have a wall only: a set may have no others).
            crowd = [] if rng.random() < 0.85 else self._whole()
            back = self._draw(crowd or self._backdrops(rng), rng)
            scene = moved(self._cropped(back, size, rng))
            far = bool(rng.random() < self.recipe.far)
            front = moved(augment.place(self.pictures[number], size, rng, small=far))
            scene = augment.over(front, scene, rng)
        else:
            turns = int(rng.integers(1, 4)) if rng.random() < self.recipe.turned else 0
            scene = moved(self._cropped(number, size, rng, turns))
        if person and rng.random() < self.recipe.company:
            for _ in range(2 if rng.random() < self.recipe.third else 1):
                guest = self.pictures[self._draw(self._people, rng)]
                small = rng.random() < 0.6
                scene = augment.over(moved(augment.place(guest, size, rng, small=small)), scene, rng)
        if self._people and rng.random() < self.recipe.hung:
            scene = augment.hang(scene, self.pictures[self._draw(self._people, rng)], rng)
        if person and rng.random() < self.recipe.dressed:
            scene = augment.dress(scene, self.pictures[self._draw(self._empty or self._people, rng)][0], rng)
        return damage.disturb(scene, rng, frame)

    def stream(self, start: int, threads: int = 1, ahead: int = 8) -> Generator[Batch]:
        """Batches ``start``, ``start`` + 1, ... without end, ``ahead`` of them made in advance."""
        with ThreadPoolExecutor(threads, thread_name_prefix="feed") as pool:
            waiting: deque[Future[Batch]] = deque()
            k = start
            try:
                while True:
                    while len(waiting) < ahead:
                        waiting.append(pool.submit(self.batch, k))
                        k += 1
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _cropped(self, number: int, size: Size, rng: np.random.Generator, turns: int = 0) -> Pair:
        """A frame of picture ``number``, which is turned by ``turns`` times 90 degrees first."""
        whole = augment.turn(self.pictures[number], turns) if turns else self.pictures[number]
        if self.pictures.rows[number].matte:
            return augment.crop(whole, size, rng)
        return augment.crop(whole, size, rng, self.recipe.near)

    def _backdrops(self, rng: np.random.Generator) -> list[int]:
        return self._animals if self._animals and rng.random() < self.recipe.animals else self._empty

    def _whole(self) -> list[int]:
        return [i for i in self._people if self.pictures.rows[i].source not in CUT_OUTS]

    @staticmethod
    def _draw(numbers: list[int], rng: np.random.Generator) -> int:
        return numbers[int(rng.integers(len(numbers)))]
