"""The same small net with a memory as .tflite, .onnx and .keras: its matte is a running mean of the picture's grey.

    memory' = (memory + mean of red, green, blue) / 2, which is the matte, too

Inputs ``picture`` (1, h, w, 3) and ``memory`` (1, h, w, 1), outputs ``alpha`` and ``remembered``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.core.geometry import Size

from . import onnx_files

SPEC: dict[str, Any] = {"states": [["memory", "remembered"]], "input": "picture", "output": "alpha", "tail": 0}
KINDS = ("tflite", "tflite of sizes", "onnx", "onnx of any size", "keras")


def expected(greys: Sequence[float]) -> list[float]:
    """The matte's values for pictures of one grey each, 0 to 1, from the first picture after a reset on."""
    found, memory = [], 0.0
    for grey in greys:
        memory = (memory + grey) / 2
        found.append(memory)
    return found


def running_mean(kind: str, folder: Path, size: Size = (32, 64)) -> Path:
    """A file of one of KINDS. The test is skipped, with the reason, where its library is not there."""
    if kind.startswith("onnx"):
        pytest.importorskip("onnxruntime", reason="pip install -e '.[onnx]'")
        return _onnx(folder / "net.onnx", size if kind == "onnx" else ("h", "w"))
    if kind == "keras":
        pytest.importorskip("tensorflow", reason="pip install -e '.[train]'")
        return _keras(folder / "net.keras", size)
    sizes = [size] if kind == "tflite" else [size, (size[1], size[0])]
    return tflite(folder / "net.tflite", sizes, signatures=kind == "tflite of sizes")


def _onnx(path: Path, size: Sequence[int | str]) -> Path:
    batch = (1, *size)
    nodes: list[onnx_files.Node] = [
        ("ReduceMean", ["picture"], ["grey"], {"axes": [3]}), ("Add", ["grey", "memory"], ["sum"], {}),
        ("Mul", ["sum", "half"], ["alpha"], {}), ("Identity", ["alpha"], ["remembered"], {})]
    # the memory comes first: the order of inputs must tell nothing
    return onnx_files.net(path, {"memory": (*batch, 1), "picture": (*batch, 3)},
                          {"remembered": (*batch, 1), "alpha": (*batch, 1)}, nodes, {"half": np.float32(0.5)})


def _keras(path: Path, size: Size) -> Path:
    import keras

    picture, memory = keras.Input((*size, 3), name="picture"), keras.Input((*size, 1), name="memory")
    grey = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer=keras.initializers.Constant(1 / 3))(picture)
    alpha = keras.layers.Average(name="alpha")([grey, memory])
    kept = keras.layers.Activation("linear", name="remembered")(alpha)
    keras.Model([memory, picture], [kept, alpha]).save(path)
    return path


def tflite(path: Path, sizes: Sequence[Size], *, signatures: bool) -> Path:
    """One graph a size; ``signatures``: named HxW, with the inputs' names in them and others in the graph."""
    from ai_edge_litert import schema_py_generated as schema

    made, graphs, named = schema.ModelT(), [], []
    codes = [schema.BuiltinOperator.MEAN, schema.BuiltinOperator.ADD, schema.BuiltinOperator.MUL]
    constants = [np.array([3], np.int32), np.array([0.5], np.float32)]
    for number, (height, width) in enumerate(sizes):
        graphs.append(_graph(schema, (1, height, width), "t_" if signatures else ""))
        if signatures:
            named.append(_signature(schema, f"{height}x{width}", number,
                                    {"memory": 0, "picture": 1}, {"remembered": 7, "alpha": 6}))
    made.version, made.subgraphs, made.signatureDefs = 3, graphs, named or None
    made.operatorCodes = [_code(schema, code) for code in codes]
    made.buffers = [_buffer(schema, value) for value in (None, *constants)]
    return _written(path, schema, made)


def _written(path: Path, schema: Any, made: Any) -> Path:
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _graph(schema: Any, sides: tuple[int, int, int], prefix: str) -> Any:
    """Tensors 0 memory, 1 picture, 2 the axis, 3 grey, 4 their sum, 5 a half, 6 alpha, 7 remembered."""
    whole, graph = (*sides, 1), schema.SubGraphT()
    graph.tensors = [
        _tensor(schema, f"{prefix}{name}", shape, buffer, kind) for name, shape, buffer, kind in (
            ("memory", whole, 0, 0), ("picture", (*sides, 3), 0, 0), ("axis", (1,), 1, 2), ("grey", whole, 0, 0),
            ("sum", whole, 0, 0), ("half", (1,), 2, 0), ("alpha", whole, 0, 0), ("remembered", whole, 0, 0))]
    reduce, add, mul = schema.ReducerOptionsT(), schema.AddOptionsT(), schema.MulOptionsT()
    reduce.keepDims = True
    options = schema.BuiltinOptions
    graph.operators = [
        _operator(schema, 0, [1, 2], [3], options.ReducerOptions, reduce),
        _operator(schema, 1, [3, 0], [4], options.AddOptions, add),
        _operator(schema, 2, [4, 5], [6], options.MulOptions, mul),
        _operator(schema, 2, [4, 5], [7], options.MulOptions, mul)]
    graph.inputs, graph.outputs = [0, 1], [7, 6]
    return graph


def _tensor(schema: Any, name: str, shape: Sequence[int], buffer: int, kind: int) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer, tensor.type = name.encode(), list(shape), buffer, kind
    return tensor


def _operator(schema: Any, code: int, given: list[int], taken: list[int], kind: int, how: Any) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, given, taken
    operator.builtinOptionsType, operator.builtinOptions = kind, how
    return operator


def _code(schema: Any, code: int) -> Any:
    made = schema.OperatorCodeT()
    made.deprecatedBuiltinCode = made.builtinCode = code
    return made


def _buffer(schema: Any, value: np.ndarray | None) -> Any:
    buffer = schema.BufferT()
    buffer.data = None if value is None else np.frombuffer(value.tobytes(), np.uint8)
    return buffer


def _signature(schema: Any, key: str, graph: int, given: Mapping[str, int], taken: Mapping[str, int]) -> Any:
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = key.encode(), graph
    signature.inputs, signature.outputs = ([_mapped(schema, *item) for item in names.items()]
                                           for names in (given, taken))
    return signature


def _mapped(schema: Any, name: str, tensor: int) -> Any:
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name.encode(), tensor
    return made
