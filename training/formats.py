"""A trained net in the formats that streamseg runs: LiteRT, Keras, ONNX. What export.py is made of."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from streamseg.core import geometry
from streamseg.errors import MissingDependencyError, OptionError
from streamseg.segment.file_formats.tflite import STEPS
from training import architectures
from training.architectures import person

Size = geometry.Size
ONNX_TRIES = 4
Pictures = list[NDArray[np.uint8]]
"""uint8 RGB ``(h, w, 3)`` each, of any sizes."""


def deployed(model: keras.Model) -> keras.Model:
    """The net with its last activation inside: of Keras's own layers only, weights its own.

    Ours is built anew without custom layers; any other is copied and ends in a sigmoid, or in a softmax
    where it has several classes.
    """
    if not model.name.startswith("person-"):
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        last = keras.layers.Activation("softmax" if copy.output_shape[-1] > 1 else "sigmoid", name="alpha")
        return keras.Model(copy.input, last(copy.output), name=model.name)
    size = model.name.removeprefix("person-")
    twin = person.build(size, portable=True)
    left = set(architectures.copy_weights(twin, model)) - set(person.CONSTANT)
    if left:
        raise OptionError(f"the model is not of size {size}: {', '.join(sorted(left))} differ")
    return twin


def to_tflite(model: keras.Model, sizes: list[Size], weights: str = "fp16",
              calibration: Pictures | None = None) -> bytes:
    """A LiteRT file of a net that gives logits: a signature ``HxW`` per size, ``picture`` in, ``alpha`` out.

    Sizes are fixed: in a graph of any size, resizing reads its target from a tensor, and the fast CPU
    kernels then take none of it. A net of our family gets one graph, of the first size, which takes the others by
    streamseg.segment.runtimes.resized; its signature says so. ``weights``: fp32, fp16, or int8 (needs
    ``calibration``; input, output and the last activation stay float32, operations without an 8-bit kernel too).
    """
    import tensorflow as tf

    ours = model.name.startswith("person-")
    net = person.fold(model) if ours else model
    last = tf.identity if ours else tf.sigmoid if model.output_shape[-1] == 1 else tf.nn.softmax
    holder = tf.Module()
    # Only the variables: a tracked Keras model would be saved with an any-size function of its own.
    holder.variables_of_net = [weight.value for weight in net.weights]

    def function(height: int, width: int) -> Any:
        def alpha(picture: Any) -> dict[str, Any]:
            return {"alpha": last(net(picture, training=False))}

        spec = tf.TensorSpec((1, height, width, 3), tf.float32, name="picture")
        return tf.function(alpha).get_concrete_function(spec)

    if ours:
        sizes = sizes[:1]
    signatures = {f"{height}x{width}" + STEPS * ours: function(height, width) for height, width in sizes}
    folder = tempfile.mkdtemp()
    try:
        tf.saved_model.save(holder, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures))
        if weights != "fp32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if weights == "fp16":
            converter.target_spec.supported_types = [tf.float16]
        if weights == "int8":
            from tensorflow.lite.python.convert import mlir_quantize

            converter.representative_dataset = lambda: _samples(calibration or [], signatures, sizes)
            # As TensorFlow's own quantization debugger does it: the last activation is left as it is. From 8-bit
            # logits an 8-bit alpha would know half as many values between 0 and 1.
            converter._experimental_calibrate_only = True
            content = mlir_quantize(converter.convert(), fully_quantize=False, denylisted_ops={"LOGISTIC"})
        else:
            content = converter.convert()
        return without_notes(content)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def without_notes(content: bytes) -> bytes:
    """A LiteRT file whose tensors have no names and no ranges of calibration, which nothing reads: up to a tenth of a
    file. Inputs and outputs keep their names in the signatures."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.name = None
            if tensor.quantization is not None:
                tensor.quantization.min = tensor.quantization.max = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _samples(pictures: Pictures, signatures: Iterable[str],
             sizes: list[Size]) -> Iterator[tuple[str, dict[str, NDArray[np.float32]]]]:
    """What the converter runs to see how large each sum gets: every picture at every size."""
    for name, (height, width) in zip(signatures, sizes, strict=True):
        for picture in pictures:
            yield name, {"picture": net_input(picture, (height, width))}


class _Enlarge(keras.layers.Layer):
    """What a bilinear UpSampling2D does, whose own code cannot be traced while the size is open."""

    def __init__(self, like: keras.layers.UpSampling2D) -> None:
        super().__init__(name=like.name)
        self.factors, self.method = like.size, like.interpolation

    def call(self, x: Any) -> Any:
        import tensorflow as tf

        return tf.image.resize(x, tf.shape(x)[1:3] * self.factors, self.method)


def any_size(twin: keras.Model) -> keras.Model:
    """A copy of a net that can be traced for pictures of any size at once."""

    def copied(layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, keras.layers.UpSampling2D) and layer.interpolation != "nearest":
            return _Enlarge(layer)
        return layer.from_config(layer.get_config())

    copy = keras.models.clone_model(twin, clone_function=copied)
    copy.set_weights(twin.get_weights())
    return copy


def to_onnx(twin: keras.Model, path: Path) -> None:
    """Writes an .onnx of a net with its activation inside: any batch; any size, unless the net has one."""
    try:
        import onnx
        import tf2onnx  # noqa: F401  Keras needs it, and would name neither it nor the remedy
    except ImportError as error:
        raise MissingDependencyError(f"tf2onnx does not load ({error}): pip install tf2onnx, or leave onnx "
                                     "out of --formats") from error
    signature = [keras.InputSpec(shape=twin.input_shape, dtype="float32", name="picture")]
    open_sided = any_size(twin) if None in twin.input_shape[1:] else twin
    # One time in forty tf2onnx leaves out the last Squeeze of an open-sided net with one channel: its
    # optimiser hangs it behind the Reshape that is the graph's output by then (the order of a set decides).
    for _ in range(ONNX_TRIES):
        open_sided.export(path, format="onnx", verbose=False, input_signature=signature)
        [given] = onnx.load(path, load_external_data=False).graph.output
        if len(given.type.tensor_type.shape.dim) == len(twin.output_shape):
            return
    raise OptionError(f"{path.name}: {ONNX_TRIES} times tf2onnx gave a net whose output has not the "
                      f"{len(twin.output_shape)} axes of the net's: take another version of it, or leave "
                      "onnx out of --formats")


def round_weights(twin: keras.Model) -> None:
    """Rounds a net's weights to what 16 bits hold; compressed they then take half the room."""
    for weight in twin.weights:
        value = keras.ops.convert_to_numpy(weight)
        weight.assign(value.astype(np.float16).astype(np.float32))


def save_small(model: keras.Model, path: Path) -> None:
    """Saves a ``.keras`` file compressed, byte for byte the same for the same weights. LZMA: of 32-bit numbers whose
    second half is 0 it makes four fifths of what deflate makes."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.name
        model.save(plain)
        with (
            zipfile.ZipFile(plain) as source,
            zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as target,
        ):
            for name in source.namelist():
                content = source.read(name)
                if name == "metadata.json":  # when it was saved does not belong to the weights
                    content = json.dumps({**json.loads(content), "date_saved": ""}).encode()
                # A fixed date, for the same reason.
                target.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_LZMA)


def operations(content: bytes) -> set[str]:
    """The names of all operations in a LiteRT file, in any of its signatures."""
    from tensorflow.lite.python import schema_py_generated as schema

    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    return {names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes}


def net_input(picture: NDArray[np.uint8], size: Size) -> NDArray[np.float32]:
    """A picture as a net takes it: float32 ``(1, h, w, 3)``, RGB 0..255, squeezed to ``size``."""
    return geometry.resize(picture, size).astype(np.float32)[None]
