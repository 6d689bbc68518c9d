"""What a model file wants to be given: from its metadata, from what is known of the net in it, or from a spec.

The name of a file means nothing. README.md here says what is where.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import OptionError
from . import known_models
from .class_lists import LISTS
from .file_formats import keras, onnx, tflite, tflite_metadata
from .file_formats.facts import ModelFacts, TensorFacts
from .model_spec import ModelSpec
from .runtimes import runtime_of

_READERS: dict[str, Callable[[Path], ModelFacts]] = {
    ".tflite": tflite.read, ".onnx": onnx.read, ".keras": keras.read, ".h5": keras.read}
_WRITERS: dict[str, Callable[[Path, Path, Mapping[str, Any]], None]] = {
    ".tflite": tflite_metadata.write_metadata, ".onnx": onnx.write_metadata, ".keras": keras.write_metadata}
_LIBRARIES = {".tflite": "LiteRT", ".onnx": "ONNX", ".keras": "Keras", ".h5": "Keras"}


def read_facts(path: Path) -> ModelFacts:
    """What a model file says of itself. Raises OptionError where it is not there or no model."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise OptionError(f"model {str(path)!r} is of no kind that is known: allowed are {', '.join(_READERS)}")
    try:
        return reader(path)
    except (OSError, ValueError) as error:
        raise OptionError(f"model {str(path)!r} is no {_LIBRARIES[path.suffix.lower()]} model that loads: "
                          f"{error}{_other_format(path)}") from error


def _other_format(path: Path) -> str:
    """Where a file begins as one of another format does, how it must end."""
    with suppress(OSError), path.open("rb") as file:
        begin = file.read(8)
        ending = ".tflite" if begin[4:] == b"TFL3" else ".keras" if begin[:4] == b"PK\3\4" else None
        if ending and path.suffix.lower() != ending:
            return f"; it begins as a {ending} file does: give it that ending"
    return ""


def spec_of(path: Path, model_spec: str | Path | None = None, runtime: str = "auto") -> ModelSpec:
    """What a model file wants to be given.

    ``model_spec``, or NAME.json beside the file if there is one, goes first; what it leaves out is as the file's
    metadata says, or as is known of the net (see known_models.py), or as ModelSpec says. Raises OptionError, with a
    spec to be filled in, where nothing says anything; and where the file is not there or of no kind that
    ``runtime`` takes.
    """
    runtime_of(path, runtime)
    facts = read_facts(path)
    stated = stated_spec(path, facts)
    beside = path.with_suffix(".json")
    if model_spec is None and os.path.isfile(beside):
        model_spec = beside
    if model_spec is not None:
        return ModelSpec.read(Path(model_spec), stated)
    if stated is None:
        raise OptionError(_unknown(path, facts))
    return stated


def stated_spec(path: Path, facts: ModelFacts) -> ModelSpec | None:
    """What the file's metadata says, or what is known of the net in it; None where neither is there."""
    if facts.metadata is None:
        found = known_models.find(facts)
        return known_models.OWN if found and _is_own(facts) else found and found[1]
    try:
        return ModelSpec.of(facts.metadata)
    except (OptionError, TypeError) as error:  # TypeError: a field that ModelSpec does not have
        raise OptionError(f"model {str(path)!r} describes itself as this version of streamseg does not "
                          f"understand ({error}): give --model-spec, or install a newer version") from error


def _is_own(facts: ModelFacts) -> bool:
    """Whether a file without metadata holds one of our person nets: a .keras file that calls the net inside so."""
    return facts.inputs[0].name == "picture" and facts.net.startswith("person-")


def embed(path: Path, spec: ModelSpec) -> None:
    """Write ``spec`` into a model file as its metadata, in place of any that it has; the net stays as it is.

    Raises OptionError where the file is no model or has no place for it; it is then as it was.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise OptionError(f"model {str(path)!r} has no place for metadata: allowed are {', '.join(_WRITERS)}")
    made = path.with_name(f".{path.name}.new")
    try:
        writer(path, made, spec.values())
        os.replace(made, path)
    except (OSError, ValueError) as error:
        raise OptionError(f"model {str(path)!r} does not take metadata: {error}") from error
    finally:
        made.unlink(missing_ok=True)


def describe(path: Path) -> dict[str, Any]:
    """What `streamseg info FILE` shows: plain values for JSON. Raises OptionError as spec_of does."""
    runtime_of(path, "auto")
    facts = read_facts(path)
    stated = stated_spec(path, facts)
    told: dict[str, Any] = {"file": str(path), "format": facts.format, "described by": _source(facts, stated)}
    told |= {"inputs": [str(item) for item in facts.inputs], "outputs": [str(item) for item in facts.outputs]}
    if facts.sizes:
        told["sizes"] = ("any, sides multiples of 32" if facts.resizable
                         else [f"{height}x{width}" for height, width in sorted(facts.sizes)])
    told["spec"] = stated.values() if stated else draft(facts)
    return told


def _source(facts: ModelFacts, stated: ModelSpec | None) -> str:
    if facts.metadata is not None:
        return "its metadata"
    if stated is known_models.OWN:
        return "what is known of streamseg's own person nets"
    found = known_models.find(facts)
    return (f"what is known of {', '.join(found[0].names)} ({found[0].source})" if found
            else "nothing: the spec below is a draft for --model-spec")


def draft(facts: ModelFacts) -> dict[str, Any]:
    """A spec of a net that is not known, as far as its file tells; the rest are the commonest values."""
    picture = next((item for item in facts.inputs if item.channels_first is not None), None)
    matte = facts.outputs[0] if facts.outputs else TensorFacts(("",))
    values: dict[str, Any] = {}
    if picture is not None:
        first = bool(picture.channels_first)
        sides = picture.shape[2:] if first else picture.shape[1:3]
        if None not in sides:
            values["size"] = list(sides)
        values["layout"] = "nchw" if first else "nhwc"
    values |= {"range": [0, 255] if picture is not None and "int8" in picture.dtype else [0, 1],
               "mean": [0, 0, 0], "std": [1, 1, 1]}
    count = _channel_count(matte, values)
    several = (count or 1) > 1
    values["activation"] = "none" if matte.made_by else "softmax" if several else "sigmoid"
    if several:
        values |= _classes(facts, count or 1)
    if len(facts.inputs) > 1 and picture is not None:
        values["input"] = picture.name
        values |= _others(facts, picture)
    if len(facts.outputs) > 1:
        values["output"] = matte.name
    return values


def _channel_count(matte: TensorFacts, picture: Mapping[str, Any]) -> int | None:
    """A matte's channels, which are where the picture's are unless its sides say otherwise."""
    if len(matte.shape) != 4:
        return None
    size = tuple(picture.get("size", ()))
    first = picture.get("layout") == "nchw"
    if size and (matte.shape[1:3] == size) != (matte.shape[2:] == size):
        first = matte.shape[2:] == size
    return matte.shape[1] if first else matte.shape[3]


def _classes(facts: ModelFacts, count: int) -> dict[str, Any]:
    """Which channel is the subject, and the channels' names where their number or the file tells."""
    name = next((name for name, listed in LISTS.items() if len(listed) == count), None)
    listed = LISTS[name] if name else facts.labels if len(facts.labels) == count else ()
    person = next((i for i, label in enumerate(listed) if label in ("person", "pedestrian")), 1)
    return {"channel": person} | ({"classes": name or list(listed)} if listed else {})


def _others(facts: ModelFacts, picture: TensorFacts) -> dict[str, Any]:
    """States and constants: inputs that an output is named like (r1i and r1o, h_in and h_out), and single numbers."""
    outputs = {_stem(item.name): item.name for item in facts.outputs}
    rest = [item for item in facts.inputs if item is not picture]
    states = [[item.name, outputs[_stem(item.name)]] for item in rest if _stem(item.name) in outputs]
    known = {given for given, _ in states}
    constants = {item.name: 1 for item in rest if item.name not in known}
    return ({"states": states} if states else {}) | ({"constants": constants} if constants else {})


def _stem(name: str) -> str:
    return re.sub(r"(_?(in|out|input|output|i|o))$", "", name)


def _unknown(path: Path, facts: ModelFacts) -> str:
    inputs = ", ".join(map(str, facts.inputs)) or "what the file does not tell"
    outputs = ", ".join(map(str, facts.outputs)) or "what the file does not tell"
    if facts.inputs and all(item.channels_first is None and item.shape for item in facts.inputs):
        return (f"model {str(path)!r} takes {inputs}; it must take a picture, [n, height, width, 3] or "
                "[n, 3, height, width]: give another file")
    return (f"model {str(path)!r} is none that is known, and does not describe itself. It takes {inputs} and gives "
            f"{outputs}. Say in {path.with_suffix('.json').name} beside it, or in a file for --model-spec, what it "
            f"wants: {json.dumps(draft(facts))} is as far as the file tells; range, mean, std, activation and "
            "channel are guesses, see its authors' code")
