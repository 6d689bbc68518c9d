"""A .keras file: names, shapes and metadata, without Keras. It is a zip with the net's layers in config.json."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .facts import KEY, SIGMOID, SOFTMAX, ModelFacts, Shape, TensorFacts, parsed

METADATA_FILE = f"{KEY}.json"
# Layers that change no shape: what comes out is shaped as what their config says goes in.
_SHAPED_ALIKE = {"Activation", "Softmax", "Rescaling", "ReLU", "Dropout", "Identity", "BatchNormalization"}


def read(path: Path) -> ModelFacts:
    """What the file says. Raises ValueError where it is no .keras file; an .h5 file says nothing."""
    if path.suffix.lower() == ".h5":
        return ModelFacts(format="keras")
    try:
        with zipfile.ZipFile(path) as archive:
            model = json.loads(archive.read("config.json"))
            metadata = parsed(archive.read(METADATA_FILE)) if METADATA_FILE in archive.namelist() else None
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
        raise ValueError(f"it is no archive with a config.json ({error})") from error
    config = model.get("config") if isinstance(model, dict) else None
    if not isinstance(config, dict):
        raise ValueError("its config.json describes no model")
    layers = {layer["config"].get("name", ""): layer for layer in config.get("layers", ())
              if isinstance(layer, dict) and isinstance(layer.get("config"), dict)}
    inputs, outputs = list(_named(config.get("input_layers"))), list(_named(config.get("output_layers")))
    if model.get("class_name") == "Sequential" and layers:  # such a config names neither
        inputs, outputs = list(layers)[:1], list(layers)[-1:]
    return ModelFacts(
        format="keras", net=str(config.get("name", "")), metadata=metadata,
        operations=frozenset(str(layer.get("class_name")) for layer in layers.values()),
        inputs=tuple(TensorFacts((name,), _shape(layers.get(name, {}).get("config", {}).get("batch_shape")))
                     for name in inputs),
        outputs=tuple(_output(name, layers.get(name, {})) for name in outputs))


def write_metadata(path: Path, target: Path, values: Mapping[str, Any]) -> None:
    """Writes ``target``: the file with ``values`` for streamseg's metadata, in place of any that it has.

    The same bytes for the same content: the new part has no date. Keras reads only the parts it knows.
    """
    if path.suffix.lower() == ".h5":
        raise ValueError("an .h5 file has no place for metadata: save it as .keras")
    try:
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as made:
            for item in source.infolist():
                if item.filename != METADATA_FILE:
                    made.writestr(item, source.read(item), item.compress_type, 9)
            made.writestr(zipfile.ZipInfo(METADATA_FILE), json.dumps(values), zipfile.ZIP_DEFLATED, 9)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"it is no archive that can be read ({error})") from error


def _named(listed: Any) -> Iterator[str]:
    """Names of layers in ["name", 0, 0], a list of such, or an object of them."""
    if isinstance(listed, dict):
        listed = list(listed.values())
    if isinstance(listed, list) and listed and isinstance(listed[0], str):
        yield listed[0]
    elif isinstance(listed, list):
        for item in listed:
            yield from _named(item)


def _output(name: str, layer: Mapping[str, Any]) -> TensorFacts:
    kind, config = layer.get("class_name"), layer.get("config", {})
    shape = _given_shape(layer) if kind in _SHAPED_ALIKE else ()
    activation = "softmax" if kind == "Softmax" else config.get("activation")
    return TensorFacts((name,), shape, made_by=activation if activation in (SIGMOID, SOFTMAX) else "")


def _given_shape(layer: Mapping[str, Any]) -> Shape:
    """The shape of a layer's first input, () where the config does not tell."""
    for node in layer.get("inbound_nodes", ()):
        for argument in node.get("args", ()) if isinstance(node, dict) else ():
            if isinstance(argument, dict) and argument.get("class_name") == "__keras_tensor__":
                return _shape(argument["config"].get("shape"))
    return ()


def _shape(value: Any) -> Shape:
    sides = value if isinstance(value, list) else []
    return tuple(side if isinstance(side, int) else None for side in sides)
