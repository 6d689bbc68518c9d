"""Clustering: the colours fall into groups; the groups that the border shows are background."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.frames import Frame
from ...core.opencv import cv2
from ...errors import OptionError
from ..api import param
from ..elapsed import ElapsedFrames
from .base import BLUR_HELP, POLARITY_HELP, SIZE_HELP, Alpha, Classical, Picture, lab_picture
from .polarity import KEEP, inside_excess

Points = npt.NDArray[Any]  # float32 (n, d)
# k=0 tries 2 to 6 groups: more than six colours is texture, which clustering does not solve.
MOST_GROUPS = 6
# Two groups nearer than this in L*a*b* are one colour and its noise: an empty wall has no subject.
LEAST_DISTANCE = 6.0


@dataclass(kw_only=True)
class Clustering(Classical):
    """What k-means and mean shift share: centres in L*a*b* that are carried from frame to frame.

    A cluster keeps its number and its role because each frame starts from the last frame's centres, and
    because the role (how much more of the inside than of the border it fills) is averaged over frames.
    """

    polarity: str = param("auto", POLARITY_HELP, choices=("auto", "light", "dark"))
    _centres: Points | None = field(default=None, init=False, repr=False)
    _roles: npt.NDArray[np.float64] | None = field(default=None, init=False, repr=False)
    _elapsed: ElapsedFrames = field(default_factory=ElapsedFrames, init=False, repr=False)

    def _alpha(self, frame: Frame) -> Alpha:
        picture = lab_picture(frame, self.size, self.blur)
        self._update(picture)
        assert self._centres is not None
        points = picture.reshape(-1, 3).astype(np.float32)
        distances = squared_distances(points, self._centres)
        labels = distances.argmin(axis=1).reshape(picture.shape[:2])
        subject = self._subject(inside_excess(labels, len(self._centres)), self._elapsed.since_last(frame))
        return soft_membership(distances, subject).reshape(picture.shape[:2])

    def _update(self, picture: Picture) -> None:
        """Move ``_centres`` (and reorder ``_roles`` with them) to fit this picture, uint8 (h, w, 3)."""
        raise NotImplementedError

    def _subject(self, excess: npt.NDArray[np.float64], elapsed: int) -> npt.NDArray[np.bool_]:
        """bool (k,): which clusters are the subject's. ``elapsed``: frames of the film since the last."""
        assert self._centres is not None
        keep = KEEP ** elapsed
        self._roles = excess if self._roles is None else keep * self._roles + (1 - keep) * excess
        if self.polarity == "auto":
            found = self._roles > 0
            return found & ~self._like_background(found)
        lightness = self._centres[:, 0]
        middle = (lightness.min() + lightness.max()) / 2
        return lightness > middle if self.polarity == "light" else lightness < middle

    def _like_background(self, subject: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """bool (k,): clusters that differ from one of the background by no more than noise does."""
        assert self._centres is not None
        if subject.all():
            return ~subject
        return squared_distances(self._centres, self._centres[~subject]).min(axis=1) < LEAST_DISTANCE ** 2

    def reset(self) -> None:
        """Forget the centres and their roles."""
        self._centres = self._roles = None
        self._elapsed.reset()


@dataclass(kw_only=True)
class KMeans(Clustering):
    """k-means over the colours (L*a*b*) of a small picture. Deterministic: the first centres come from
    an own generator with a fixed seed, so no library's global random state is read or set."""

    k: int = param(2, "Number of colour groups; 0: found on the first frame (silhouette).", low=0, high=16)
    engine: str = param("opencv", "opencv: cv2.kmeans; sklearn: MiniBatchKMeans.",
                        choices=("opencv", "sklearn"))
    size: int = param(192, SIZE_HELP, low=16, high=4096)
    blur: int = param(5, BLUR_HELP, low=1, high=99, odd=True)

    summary: ClassVar[str] = "Divides the colours into k groups; groups that fill the picture's border are background."
    source: ClassVar[str] = ("cv2.kmeans, sklearn.cluster.MiniBatchKMeans; start: Arthur and Vassilvitskii "
                             "2007 (k-means++).")
    good_for: ClassVar[str] = "A subject with other colours than a plain background, also of equal brightness."
    bad_for: ClassVar[str] = "Backgrounds of many colours; subjects that share a colour with the background."

    def __post_init__(self) -> None:
        if self.k == 1:
            raise OptionError("k is 1; allowed is 0 (chosen by itself) or 2 to 16: one group divides nothing")

    def _update(self, picture: Picture) -> None:
        points = picture.reshape(-1, 3).astype(np.float32)
        if self._centres is None:
            self._centres = starting_centres(points, self.k) if self.k else best_centres(points)
        self._centres = (_lloyd(points, self._centres) if self.engine == "opencv"
                         else _minibatch(points, self._centres))


@dataclass(kw_only=True)
class MeanShift(Clustering):
    """Mean shift over the colours (L*a*b*) of a very small picture: as many groups as the colours have
    peaks. Later frames start from the old centres and from the bins that hold new colours."""

    bandwidth: float = param(0.0, "Radius of the kernel, in units of L*a*b*; 0: estimated on the first frame.",
                             low=0, high=255)
    quantile: float = param(0.2, "Quantile of the distances between pixels, from which the bandwidth is estimated.",
                            low=0.01, high=1.0)
    reduced: int = param(48, "Long side, in pixels, of the picture in which the peaks are searched.", low=16, high=512)
    size: int = param(192, SIZE_HELP, low=16, high=4096)
    blur: int = param(5, BLUR_HELP, low=1, high=99, odd=True)
    _width: float = field(default=0.0, init=False, repr=False)

    summary: ClassVar[str] = "Finds the peaks among the colours; those that fill the picture's border are background."
    source: ClassVar[str] = ("sklearn.cluster.MeanShift with bin seeding and estimate_bandwidth; Comaniciu "
                             "and Meer 2002, 'Mean shift'.")
    good_for: ClassVar[str] = "A subject of several colours in front of a plain background."
    bad_for: ClassVar[str] = "Speed; gradients and textures, in which peaks merge."

    def _update(self, picture: Picture) -> None:
        from sklearn.cluster import MeanShift as Peaks
        from sklearn.cluster import estimate_bandwidth
        scale = min(1.0, self.reduced / max(picture.shape[:2]))
        size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        points = _unmixed(small)
        # Thousands of queries of microseconds each: on one thread ten times as fast as on two.
        with _one_thread():
            if self._centres is None:
                # Below 8 units noise makes peaks of its own.
                self._width = self.bandwidth or max(8.0, float(estimate_bandwidth(
                    points, quantile=self.quantile, n_samples=400, random_state=0)))
            seeds = self._seeds(points)
            peaks = Peaks(bandwidth=self._width, seeds=seeds).fit(points)
        self._adopt(peaks.cluster_centers_.astype(np.float32))

    def _seeds(self, points: Points) -> Points:
        """The old centres, and bins of the points that are no old centre's: a bin near one may hold points
        that are not, and every seed must have some."""
        if self._centres is None:
            return _bins(points, self._width)
        fresh = points[squared_distances(points, self._centres).min(axis=1) > self._width ** 2]
        return np.concatenate([self._centres, _bins(fresh, self._width)])

    def _adopt(self, found: Points) -> None:
        """Take the new centres over; each inherits the role of an old centre that is near enough."""
        if self._centres is not None and self._roles is not None:
            distances = squared_distances(found, self._centres)
            nearest = distances.argmin(axis=1)
            near = distances.min(axis=1) < self._width ** 2
            # A new colour has no history: 0 is neither side, the frame at hand decides.
            self._roles = np.where(near, self._roles[nearest], 0.0)
        self._centres = found

    def reset(self) -> None:
        """Forget the centres, their roles and the estimated bandwidth."""
        super().reset()
        self._width = 0.0


def _bins(points: Points, width: float) -> Points:
    """The centres of the cells of a grid of ``width`` that hold points.

    As sklearn's get_bin_seeds, which warns the user where each point has a cell of its own (a picture of
    a few pixels): nothing is wrong with that.
    """
    return (np.unique(np.round(points / width), axis=0) * width).astype(np.float32)


def _unmixed(picture: Picture) -> Points:
    """The pixels that lie on no edge: those on one are mixtures, and would make peaks of colours that
    nothing has. All of them, if the picture is so full of edges that less than a quarter is left."""
    edges = cv2.morphologyEx(picture, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max(axis=2)
    flat = picture[edges <= 24]
    chosen = flat if 4 * len(flat) >= edges.size else picture.reshape(-1, 3)
    return chosen.astype(np.float32)


def squared_distances(points: Points, centres: Points) -> Points:
    """float32 (n, k) of points (n, d) to centres (k, d)."""
    return np.stack([np.square(points - centre).sum(axis=1) for centre in centres], axis=1)


def soft_membership(distances: Points, subject: npt.NDArray[np.bool_]) -> Alpha:
    """float32 (n,): 1 near a centre of the subject, 0 near one of the background, a ramp between.

    A pixel on the rim is a mixture: its distances to the two nearest centres are in the mixture's
    ratio. The ramp covers the middle half, so that noise within a group does not show.
    """
    if not subject.any() or subject.all():
        return np.full(len(distances), float(subject.all()), np.float32)
    near = np.sqrt(distances[:, subject].min(axis=1))
    far = np.sqrt(distances[:, ~subject].min(axis=1))
    ratio = far / np.maximum(near + far, np.float32(1e-6))
    return np.clip((ratio - 0.25) * 2, 0, 1).astype(np.float32)


def starting_centres(points: Points, k: int) -> Points:
    """float32 (k, d): k-means++ with a fixed seed on at most 2000 points, the best of four tries."""
    generator = np.random.default_rng(0)
    sample = points[:: max(1, len(points) // 2000)]
    best, lowest = None, np.inf
    for _ in range(4):
        centres = sample[generator.integers(len(sample))][None]
        while len(centres) < k:
            weight = squared_distances(sample, centres).min(axis=1).astype(np.float64)
            total = weight.sum()
            pick = (generator.choice(len(sample), p=weight / total) if total > 0
                    else generator.integers(len(sample)))
            centres = np.concatenate([centres, sample[pick][None]])
        centres = _lloyd(sample, centres)
        inertia = float(squared_distances(sample, centres).min(axis=1).sum())
        if inertia < lowest:
            best, lowest = centres, inertia
    assert best is not None
    return best


def best_centres(points: Points) -> Points:
    """Centres for the k of 2..6 with the highest simplified silhouette (Hruschka et al. 2004): the mean
    over points of (b - a) / b, a = distance to the own centre, b = to the next."""
    tries = [starting_centres(points, k) for k in range(2, MOST_GROUPS + 1)]
    return max(tries, key=lambda centres: _silhouette(points, centres))


def _silhouette(points: Points, centres: Points) -> float:
    nearest = np.sqrt(np.sort(squared_distances(points, centres), axis=1)[:, :2])
    return float(np.mean(1 - nearest[:, 0] / np.maximum(nearest[:, 1], 1e-6)))


def _lloyd(points: Points, centres: Points) -> Points:
    """k-means from given centres, which keep their order. Reads no random state."""
    k = len(centres)
    labels = squared_distances(points, centres).argmin(axis=1).astype(np.int32)
    # OpenCV would move some far point into an empty group; keeping the old centre keeps its role.
    used = np.unique(labels)
    if len(used) < 2:
        return centres
    compact = np.searchsorted(used, labels).astype(np.int32).reshape(-1, 1)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 10, 0.5)
    _, _, moved = cv2.kmeans(points, len(used), compact, stop, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    if len(used) == k:
        return moved
    result = centres.copy()
    result[used] = moved
    return result


def _minibatch(points: Points, centres: Points) -> Points:
    """The same by scikit-learn's mini-batch k-means, which refuses fewer points than groups."""
    if len(points) < len(centres):
        return centres
    from sklearn.cluster import MiniBatchKMeans
    # reassignment_ratio 0: a group that is small just now keeps its centre instead of jumping.
    model = MiniBatchKMeans(len(centres), init=centres, n_init=1, max_iter=10, batch_size=2048,
                            random_state=0, reassignment_ratio=0.0, compute_labels=False)
    with _one_thread():
        return model.fit(points).cluster_centers_.astype(np.float32)


def _one_thread() -> AbstractContextManager[Any]:
    """scikit-learn's OpenMP held to one thread, of calls from this thread alone. BLAS is left as it is: its number of
    threads is the whole process's, and is of no weight here (same times, 2 cores)."""
    from threadpoolctl import threadpool_limits  # here: it looks for libraries as it is imported
    return threadpool_limits(1, user_api="openmp")
