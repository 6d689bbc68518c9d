"""The person model, and anybody's model file in its place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ..core.frames import Frame, Matte
from ..core.geometry import (
    BUDGETS,
    STILL_BUDGETS,
    Box,
    Size,
    letterbox,
    letterbox_box,
    nearest_size,
    net_size,
)
from ..core.thread_budget import Threads
from ..errors import OptionError, SegmentError
from . import turns
from .api import Capabilities, ParameterSegmenter, param
from .built_in import BUILT_IN, PRECISIONS, built_in
from .known_models import OWN
from .model_file import spec_of
from .model_spec import ModelSpec
from .passes import agreed, groups_of_one_size, inside
from .postprocess import decided, without_doubtful, without_half_seen
from .roi import RegionOfInterest, separate_regions
from .runtimes import Net, State
from .runtimes.pool import NetPool
from .second_look import SecondLook

# Pixels of the pass of each over a single picture. Two passes of either, and smaller and larger ones, gave no better
# mattes for three times the work (training/LOG.md, 18).
_LARGE_PASS, _MEDIUM_PASS = 67_584, 93_184


@dataclass(kw_only=True)
class Person(ParameterSegmenter):
    """Finds people with a neural network, or runs the network in a model file.

    The built-in models, and others of this family that training.export wrote, take each picture at its own aspect
    ratio. Where people are small in it they see only that part of the picture (the region of interest, roi.py). Any
    other model takes what its file or its model spec says, or what is known of it (model_file.py).
    """

    model: str | None = param(None, "Built-in model (medium; small: faster; large, both: slower, better), or a "
                              "model file (.tflite, .onnx, .keras). Default: medium; for pictures both.")
    model_spec: str | None = param(None, "JSON file that describes the model: size, range, mean, std, channel, "
                                   "activation, and more. Default: what the model file says itself.")
    classes: str | None = param(None, "For a model of many classes: those that are the subject, as "
                                "person,bicyclist. Their probabilities are added.")
    device: str = param("auto", "Where the model runs. auto: the CPU; for a .keras model a GPU, if there is "
                        "one.", choices=("auto", "cpu", "gpu"))
    runtime: str = param("auto", "Library that runs the model. auto: by the file's extension.",
                         choices=("auto", "litert", "keras", "onnx"))
    precision: str = param("auto", "What a built-in model computes with in LiteRT: float, or int8 (8 bits, twice as "
                           "fast on processors made for it). auto: what is faster here, measured once.",
                           choices=("auto", *PRECISIONS))
    threads: int | None = param(None, "Threads for all libraries together; the model takes half of them. "
                                "Default: the number of cores.", low=1, high=1024)
    detail: str = param("high", "Input size of a built-in model but small: high is about 67,584 pixels, medium 46,080, "
                        "low 28,672. Smaller is faster.", choices=tuple(BUDGETS))
    roi: bool = param(True, "Region of interest: where people are small, show the model only that part of the "
                      "picture (built-in models only).")
    stills: bool = param(False, "The input is single pictures: built-in models make several passes over "
                         "each, at several sizes and mirrored, and the results are averaged. Default: true for "
                         "pictures.")
    second_look: bool | None = param(None, "Where the medium model is in doubt in a film, ask the large one, once in "
                                     "24 frames at most, and remember what it says. Default: true for medium in "
                                     "LiteRT, but with detail low.")
    _reduced: bool = field(default=False, init=False, repr=False)
    _path: Path = field(init=False, repr=False)
    _spec: ModelSpec = field(init=False, repr=False)
    _nets: NetPool = field(init=False, repr=False)
    _net: Net = field(init=False, repr=False)
    _memory: tuple[Size | None, State | None] = field(default=(None, None), init=False, repr=False)
    _large: Net | None = field(default=None, init=False, repr=False)  # beside medium, for single pictures
    _turns: dict[int, int] = field(default_factory=dict, init=False, repr=False)  # of the call's turned frames, by id
    _roi: RegionOfInterest | None = field(init=False, repr=False)
    _second: SecondLook | None = field(default=None, init=False, repr=False)

    summary: ClassVar[str] = "Finds people with a neural network. The default."
    source: ClassVar[str] = ("U-Net on a MobileNetV2 encoder (Ronneberger et al. 2015, Sandler et al. 2018), "
                             "trained in training/; see weights/MODEL_CARD.md.")
    good_for: ClassVar[str] = "People in front of any background, sitting, standing or moving, in any light."
    bad_for: ClassVar[str] = "Subjects other than people; objects that people hold; animals next to people."

    def __post_init__(self) -> None:
        if self.model is None or self.model in BUILT_IN:
            if self.model_spec is not None:
                raise OptionError("model_spec describes a model file: give --model FILE with it, or leave "
                                  "it out")
            if self.classes is not None:
                raise OptionError(f"classes is {self.classes!r}, but the built-in models know persons only: "
                                  "give --model FILE of a many-class model, or leave --classes out")
            self._path = built_in(self.runtime, self.device, self.model or "medium", self.precision)
        else:
            if self.precision != "auto":
                raise OptionError(f"precision is {self.precision!r}, but a model file has its own: leave precision "
                                  "out, or --model")
            self._path = Path(self.model)
            if not self._path.suffix and not os.path.isfile(self._path):  # unlike Path's it raises nothing
                raise OptionError(f"model is {self.model!r}; allowed are: {', '.join(BUILT_IN)}, or the path "
                                  "of a .tflite, .onnx or .keras file")
        self._spec = OWN if self.model in (None, *BUILT_IN) else spec_of(self._path, self.model_spec, self.runtime)
        if self.classes is not None:
            self._spec = self._spec.of_classes(self.classes)
        if self.second_look:
            if self.model not in (None, "medium"):
                raise OptionError(f"second_look asks the large model where medium is in doubt, but model is "
                                  f"{self.model!r}: leave one of the two out")
            built_in(self.runtime, self.device, "large", self.precision)  # raises where there is none
        self._nets = NetPool(self.runtime, self.device, Threads.of(self.threads).net)
        self._begin()

    def session(self, *, stills: bool) -> Person:
        """Another one that shares the loaded nets, for another input at the same time: what it remembers is its
        own. Its ``close`` frees the nets of both. ``stills``: as the parameter."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.stills, twin._reduced, twin._large = stills, False, None
        twin._begin()
        return twin

    def _begin(self) -> None:
        """Open what is not open, with nothing remembered."""
        self._net = self._nets.open(self._path, self._spec)
        if self.model == "both" or (
                self.model is None and self.stills and self.detail == "high" and self._path.suffix == ".tflite"):
            # what is asked for by name and cannot be is refused
            runtime, device = (self.runtime, self.device) if self.model else ("auto", "auto")
            self._large = self._nets.open(built_in(runtime, device, "large", self.precision), OWN)
        self._memory, self._turns = (None, None), {}
        # The state of a net belongs to one part of the picture: a net with states sees the whole every time.
        use_roi = self.roi and self._own and not self._spec.states
        self._roi = RegionOfInterest(self._alphas) if use_roi else None
        self._second = SecondLook(self._by_large) if self._looks_twice and not self.stills else None

    @property
    def _looks_twice(self) -> bool:
        """Whether the large model is asked where medium is in doubt."""
        if self.second_look is not None:
            return self.second_look
        return self.model in (None, "medium") and self.detail != "low" and self._path.suffix == ".tflite"

    @property
    def _own(self) -> bool:
        return self._spec.own

    @property
    def capabilities(self) -> Capabilities:
        """A built-in model's size can be reduced; a foreign one's is its own. A net with states must be given every
        frame, and is not reduced: at another size it would have nothing to remember."""
        stateful = bool(self._spec.states)
        # A model file may be large, and Keras's threads are the process's.
        return Capabilities(expensive=True, stateful=stateful, reducible=self._own and not stateful,
                            copies=self._own and self._path.suffix == ".tflite", runs_on=self._net.runs_on)

    def reduce(self, on: bool) -> None:
        """Let a built-in model see as few pixels as ``detail`` low does (True), or as ``detail`` says (False)."""
        self._reduced = on and self.capabilities.reducible

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._nets.closed

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte a frame, at the network's size for the frame's aspect."""
        self._turns.clear()
        mattes: list[Matte] = []
        for group in groups_of_one_size(frames):
            mattes += self._roi(group) if self._roi else map(Matte, self._alphas(group))
        if self._second and not self._reduced:
            return [self._second(frame, matte) for frame, matte in zip(frames, mattes, strict=True)]
        return mattes

    def separate(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte a picture. Those that go into the net at the same sizes go through it together."""
        self.reset()
        if self._spec.states and not self.stills:  # a net that would remember the picture before
            return super().separate(frames)
        if self._roi:
            return list(map(Matte, separate_regions(self._each, frames)))
        return list(map(Matte, self._each(frames, [None] * len(frames))))

    def reset(self) -> None:
        """Forget where people were, and what a net with states remembers."""
        self._memory = None, None
        self._turns.clear()
        if self._roi:
            self._roi.reset()
        if self._second:
            self._second.reset()

    def trim(self) -> None:
        """Free the nets' working memory."""
        self._nets.trim()

    def close(self) -> None:
        """Free the nets."""
        self._nets.close()

    def _alphas(self, frames: Sequence[Frame], part: Box | None = None) -> list[npt.NDArray[np.float32]]:
        """The nets' alphas of frames of one size, or of a part of each."""
        return self._each(frames, [part] * len(frames))

    def _each(self, frames: Sequence[Frame], parts: Sequence[Box | None]) -> list[npt.NDArray[np.float32]]:
        """The nets' alphas of frames of any sizes, or of a part of each."""
        groups: dict[tuple[int, tuple[tuple[Net, Size], ...]], list[int]] = {}
        for number, (frame, part) in enumerate(zip(frames, parts, strict=True)):
            turn = self._turns.get(id(frame), 0)
            groups.setdefault((turn, tuple(self._passes(turns.shown_as(part or frame, turn)))), []).append(number)
        found: dict[int, npt.NDArray[np.float32]] = {}
        for (turn, passes), numbers in groups.items():
            shown = [frames[number] for number in numbers], [parts[number] for number in numbers]
            if not self._own:
                found.update(zip(numbers, self._foreign(shown[0]), strict=True))
                continue
            looks = [self._look(net, size, *shown, turn) for net, size in passes]
            for number, *seen in zip(numbers, *looks, strict=True):
                if self._large and self.stills and not turn and parts[number] is None and turns.doubtful(seen):
                    found[number] = self._turned(frames[number], seen)
                else:
                    found[number] = np.rot90(self._matte(seen), -turn)
        return [np.ascontiguousarray(found[number]) for number in range(len(frames))]

    def _turned(self, frame: Frame, seen: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """The alpha of a single picture that may lie on its side. ``seen``: its passes as it is."""
        assert self._large is not None
        looks = []
        for turn in range(4):
            shown = turns.shown_as(frame, turn)
            looks.append([self._look(net, self._size(shown, net, turns.PIXELS), [frame], [None], turn)[0]
                          for net in (self._large, self._net)])
        turn = turns.clearest(looks)
        if not turn:
            return self._matte(seen)
        self._turns[id(frame)] = turn
        return self._each([frame], [None])[0]

    def _look(self, net: Net, size: Size, frames: Sequence[Frame], parts: Sequence[Box | None],
              turn: int) -> npt.NDArray[np.float32]:
        """float32 (n, h, w), what one pass of a net sees in frames, or in a part of each, after quarter turns."""
        prepared = [self._prepare(frame, size, part, turn)[0] for frame, part in zip(frames, parts, strict=True)]
        pictures = np.ascontiguousarray(prepared[0])[None] if len(prepared) == 1 else np.stack(prepared)
        seen = self._spec.probability(self._run(net, pictures))
        if self.stills:
            mirrored = np.ascontiguousarray(pictures[:, :, ::-1])
            seen = (seen + self._spec.probability(self._run(net, mirrored))[:, :, ::-1]) / np.float32(2)
        return seen

    def _matte(self, seen: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Of the passes over a picture. The mean comes before the ends are cut off: where passes differ, the ends
        still tell."""
        alpha = without_doubtful(self._spec.stretched(agreed(seen)))
        if not self.stills:
            return alpha
        return decided(without_half_seen(alpha, seen) if self._large else alpha)

    def _by_large(self, frame: Frame) -> npt.NDArray[np.float32]:
        """The large model's alpha of a frame; where people are small, of their part of it."""
        net = self._nets.open(built_in(name="large", precision=self.precision), OWN)

        def infer(frames: Sequence[Frame], parts: Sequence[Box | None]) -> list[npt.NDArray[np.float32]]:
            sizes = [self._size(part or shown, net, BUDGETS[self.detail])
                     for shown, part in zip(frames, parts, strict=True)]
            return [self._matte(list(self._look(net, size, [shown], [part], 0)))
                    for shown, part, size in zip(frames, parts, sizes, strict=True)]

        return separate_regions(infer, [frame])[0] if self.roi else infer([frame], [None])[0]

    def _foreign(self, frames: Sequence[Frame]) -> list[npt.NDArray[np.float32]]:
        """Anybody's model's alphas."""
        [(_, size)] = self._passes(frames[0])
        prepared = [self._prepare(frame, size, None) for frame in frames]
        output = self._run(self._net, np.stack([picture for picture, _ in prepared]))
        try:
            alphas = self._spec.alpha(output)
        except (OptionError, SegmentError) as error:
            shape = ", ".join(map(str, output.shape[1:]))
            raise type(error)(f"{self._path.name}, whose output is [height, width, channels] = [{shape}]: "
                              f"{error}") from error
        return [inside(alpha, box, size) for alpha, (_, box) in zip(alphas, prepared, strict=True)]

    def _run(self, net: Net, pictures: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The net's output of consecutive pictures. What a net with states remembers is of pictures of the same size,
        and of a film: single pictures have nothing to do with each other."""
        if not self._spec.states:
            return net.run([pictures])[0][0]
        size = pictures.shape[1], pictures.shape[2]
        if self.stills:
            return np.concatenate([net.run([pictures[i : i + 1]])[0][0] for i in range(len(pictures))])
        known, state = self._memory
        [output], state = net.run([pictures], state if known == size else None)
        self._memory = size, state
        return output

    def _passes(self, shown: Frame | Box) -> list[tuple[Net, Size]]:
        """Which of the nets see a picture, and at which sizes, the largest last."""
        if not self._own:
            return [(self._net, self._size(shown, self._net, self._spec.pixels or BUDGETS[self.detail]))]
        if self.model == "small" or self._reduced:
            passes = [(self._net, BUDGETS["low"])]
        elif self._large and self.stills:
            passes = [(self._large, _LARGE_PASS), (self._net, _MEDIUM_PASS)]
        elif self._large:
            passes = [(net, BUDGETS[self.detail]) for net in (self._large, self._net)]
        elif self.stills and self.detail == "high":
            passes = [(self._net, budget) for budget in STILL_BUDGETS]
        else:
            passes = [(self._net, BUDGETS[self.detail])]
        return list(dict.fromkeys((net, self._size(shown, net, budget)) for net, budget in passes))

    def _size(self, shown: Frame | Box, net: Net, budget: int) -> Size:
        if net.sizes:
            return nearest_size(shown.height, shown.width, net.sizes, budget)
        return self._spec.size or net_size(shown.height, shown.width, budget)

    def _prepare(self, frame: Frame, size: Size, part: Box | None,
                 turn: int = 0) -> tuple[npt.NDArray[np.float32], Box | None]:
        """float32 (h, w, 3) in the model's range, after quarter turns, and where the picture lies in it if not
        everywhere."""
        box = None
        if self._spec.fit == "letterbox":
            box = letterbox_box(frame.height, frame.width, size)
            picture, _ = letterbox(frame.rgb((box.width, box.height)), size)
        else:
            picture = np.rot90(frame.rgb(size if turn % 2 else (size[1], size[0]), part), turn)
        return self._spec.normalised(picture), box
