"""The files of the models that come with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ..errors import OptionError
from .known_models import OWN
from .runtimes.fastest import fastest

PRECISIONS = ("float", "int8")
# Of each built-in model: LiteRT's files by their precision, and Keras's. Of large there is one only.
_MEDIUM = {"float": "person-medium.tflite", "int8": "person-medium-int8.tflite", "keras": "person-medium.keras"}
# Small is medium with as few pixels as with detail low; both is medium and large together.
_FILES = {"small": _MEDIUM, "medium": _MEDIUM, "large": {"int8": "person-large-int8.tflite"}, "both": _MEDIUM}
BUILT_IN = tuple(_FILES)


def built_in(runtime: str = "auto", device: str = "auto", name: str = "medium", precision: str = "auto") -> Path:
    """The file of a built-in model, one of BUILT_IN: for LiteRT, or for Keras where the runtime is ``keras`` or the
    device a GPU. There is no Keras file of large. ``precision``: of LiteRT's files, auto (the faster one) or one of
    PRECISIONS; where a model has one only, that."""
    if runtime == "onnx":
        raise OptionError("the built-in models have no ONNX file: give --model FILE.onnx, or another "
                          "--runtime")
    weights, names = Path(str(resources.files("streamseg") / "weights")), _FILES[name]
    if runtime == "keras" or (runtime == "auto" and device == "gpu"):
        if "keras" not in names:
            raise OptionError(f"the built-in model {name} runs in LiteRT, on the CPU, only: leave --runtime and "
                              "--device out, or take --model medium")
        if precision == "int8":
            raise OptionError("precision is 'int8', which the built-in models have for LiteRT on the CPU only: leave "
                              "precision, or --runtime and --device, out")
        return weights / names["keras"]
    files = {kind: weights / names[kind] for kind in PRECISIONS if kind in names}
    if precision not in files:
        precision = fastest(files, OWN) if len(files) > 1 else next(iter(files))
    return files[precision]
