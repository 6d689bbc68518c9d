"""``python -m training.encoders --file deeplabv3_mnv2_257.tflite --size medium --out start.keras``

Reads the MobileNetV2 0.5 encoder (ImageNet, COCO and PASCAL VOC; Apache-2.0) out of the published
DeepLabv3 file into a net of ours, checks that both give the same features, and saves the net: a start
for ``training.train --init``. Without ``--out`` it only checks. No TensorFlow graph is read: LiteRT's
interpreter lists the operations of the file, and their constants are the weights.

The file's batch norms are folded into its convolutions. It keeps stride 8 and looks further apart
instead (dilation) where ours strides on, at two places; the strided net gives the same numbers at
every second, then fourth place.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from streamseg.errors import OptionError
from training import architectures
from training.architectures import deeplab, person
from training.commands import command

# Operations of the file that belong to the encoder, and those the decoder's skips start from.
ENCODER = range(61)
SKIPS = (3, 9, 20, 46, 60)
SIDE = 257
# Largest difference, in parts of the largest feature, that passes for the same: rounding gives 1e-5.
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the file: its kind, its two constants if it is a convolution, its result's number."""

    kind: str
    weights: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    result: int


class DeepLabFile:
    """The operations of ``deeplabv3_mnv2_257.tflite`` in order, and what each gives for a picture."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise OptionError(f"model {str(path)!r} is not there: give --file PATH of "
                              "deeplabv3_mnv2_257.tflite")
        try:
            # Every result kept, no delegate: they are compared one by one.
            self._interpreter: Any = Interpreter(
                str(path), num_threads=1, experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise OptionError(f"model {str(path)!r} is no LiteRT model that loads: {error}") from error
        taken = list(map(int, self._interpreter.get_input_details()[0]["shape"]))
        other = OptionError(f"model {str(path)!r} is not deeplabv3_mnv2_257.tflite: its input is {taken}, or "
                            "its convolutions are others; give --file PATH of that file")
        if taken != [1, SIDE, SIDE, 3]:
            raise other
        try:
            self.operations = [self._operation(item) for item in self._interpreter._get_ops_details()]
        except ValueError:  # a convolution whose kernel is no constant
            raise other from None
        if len(self.operations) <= ENCODER[-1]:
            raise other

    def features(self, picture: NDArray[np.float32]) -> dict[int, NDArray[np.float32]]:
        """operation -> its result ``(1, h, w, c)`` for RGB 0..255 of ``(1, 257, 257, 3)``."""
        given = self._interpreter.get_input_details()[0]["index"]
        self._interpreter.set_tensor(given, picture / np.float32(127.5) - np.float32(1))
        self._interpreter.invoke()
        return {number: self._interpreter.get_tensor(operation.result).copy()
                for number, operation in enumerate(self.operations)}

    def _operation(self, item: dict[str, Any]) -> Operation:
        weights = None
        if item["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            kernel, bias = (self._interpreter.get_tensor(number).copy() for number in item["inputs"][1:3])
            # LiteRT has (out, h, w, in), of depthwise (1, h, w, channels).
            axes = (1, 2, 3, 0)
            weights = kernel.transpose(axes), bias
        return Operation(item["op_name"], weights, int(item["outputs"][0]))


def carry_over(file: DeepLabFile, model: keras.Model) -> list[str]:
    """Sets the encoder of one of our nets (layers ``enc0`` .. ``enc60``); returns the layers set."""
    done = []
    for number in ENCODER:
        weights = file.operations[number].weights
        if weights is None:  # an addition
            continue
        layer = model.get_layer(f"enc{number}")
        if [value.shape for value in weights] != [tuple(value.shape) for value in layer.weights]:
            raise OptionError(f"operation {number} of the file holds weights of {weights[0].shape}; the "
                              f"encoder has {tuple(layer.weights[0].shape)} there: give "
                              "deeplabv3_mnv2_257.tflite")
        layer.set_weights(list(weights))
        done.append(layer.name)
    return done


def difference(file: DeepLabFile, model: keras.Model, picture: NDArray[np.float32]) -> float:
    """The largest difference of any feature at the five skips, in parts of the largest feature there;
    on one picture ``(1, 257, 257, 3)``, RGB 0..255."""
    theirs = file.features(picture)
    layers = [_after(model, number) for number in SKIPS]
    encoder = keras.Model(model.input, [layer.output for layer in layers])
    worst = 0.0
    for number, ours in zip(SKIPS, encoder(picture, training=False), strict=True):
        ours = keras.ops.convert_to_numpy(ours)
        every = round(theirs[number].shape[1] / ours.shape[1])
        wrong = np.abs(theirs[number][:, ::every, ::every] - ours).max()
        worst = max(worst, float(wrong / np.abs(theirs[number]).max()))
    return worst


def whole_deeplab(file: DeepLabFile) -> keras.Model:
    """DeepLabv3 of architectures/deeplab.py with all the file's weights; its layer ``logits`` gives what
    the file's operation 67 gives. The folded batch norms become norms that only add the bias."""
    model = deeplab.build(21, width=0.5, stride=8)
    *folded, joined, last = [item.weights for item in file.operations if item.weights is not None]
    for name, (kernel, bias) in zip([*deeplab.encoder_convolutions(), "aspp_mean", "aspp_near"], folded,
                                    strict=True):
        model.get_layer(name).set_weights([kernel])
        _only_add(model.get_layer("bn_Conv1" if name == "Conv1" else f"{name}_BN"), bias)
    # One convolution over both branches there is the sum of two here.
    half = joined[0].shape[2] // 2
    model.get_layer("join_mean").set_weights([joined[0][:, :, :half]])
    model.get_layer("join_near").set_weights([joined[0][:, :, half:]])
    _only_add(model.get_layer("join_BN"), joined[1])
    model.get_layer("logits").set_weights(list(last))
    return model


def _only_add(norm: keras.layers.BatchNormalization, bias: NDArray[np.float32]) -> None:
    one = np.ones_like(bias)
    norm.set_weights([one, bias, 0 * one, one - norm.epsilon])


def _after(model: keras.Model, number: int) -> keras.Layer:
    """The layer that gives what the file's operation gives: there ReLU6 and additions are part of it."""
    names = {layer.name for layer in model.layers}
    return model.get_layer(next(name for name in (f"enc{number}_relu", f"enc{number}_add", f"enc{number}")
                                if name in names))


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    own = argparse.ArgumentParser(prog="python -m training.encoders", description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("--file", type=Path, required=True, help="deeplabv3_mnv2_257.tflite")
    whole = [name for name, widths in person.SIZES.items() if widths.expand == 6]
    own.add_argument("--size", default="medium", choices=whole, help="the net that takes it; a "
                     "narrower one is trained from a net that did, by `training.train --init`")
    own.add_argument("--out", type=Path, help=".keras to write")
    return own


@command
def main(arguments: list[str] | None = None) -> None:
    args = parser().parse_args(arguments)
    file = DeepLabFile(args.file)
    model = architectures.build(args.size)
    done = carry_over(file, model)
    picture = np.random.default_rng(0).uniform(0, 255, (1, SIDE, SIDE, 3)).astype(np.float32)
    wrong = difference(file, model, picture)
    print(f"{len(done)} convolutions read; features at operations {', '.join(map(str, SKIPS))} differ by "
          f"{wrong:.1e} of the largest at most")
    if not wrong <= TOLERANCE:
        raise OptionError(f"that is more than {TOLERANCE}: {args.file.name} is not the encoder it should be")
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        model.save(args.out)
        print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
