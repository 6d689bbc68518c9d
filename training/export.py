"""``python -m training.export --model best.keras --out DIR --name person-medium``: files to ship.

Writes ``NAME.tflite`` (one signature per input size, weights shared among them), ``NAME.keras`` (Keras's
own layers only) and ``SHA256SUMS``. Preprocessing and sigmoid are inside: float32 RGB 0..255 in, alpha
0..1 out. Checks both against the net they were made from.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np

from streamseg import geometry
from training import architectures
from training.architectures import person

Size = geometry.Size

# What a frame may be shaped like: the nearest of these is taken, the rest is squeezed.
ASPECTS = ((9, 16), (3, 4), (1, 1), (4, 3), (16, 9))
# Alpha of a 32-bit file may differ by this at any pixel; of one with shorter weights on average.
TOLERANCE = {"fp32": 1e-3, "fp16": 5e-3, "int8": 2e-2}


def net_sizes(budget: int = geometry.DEFAULT_BUDGET) -> list[Size]:
    """The input sizes that an exported file serves, (height, width) each."""
    return [geometry.net_size(height, width, budget) for height, width in ASPECTS]


def to_tflite(model: keras.Model, sizes: list[Size], weights: str = "fp16") -> bytes:
    """A LiteRT file with a signature ``HxW`` per size: input ``picture``, output ``alpha``.

    Sizes are fixed: in a graph of any size, resizing reads its target from a tensor, and the fast CPU
    kernels then take none of it. Several signatures cost little, since they share their weights.
    ``weights``: fp32, fp16, or int8 (8-bit weights, calculation in 8 bits where kernels allow).
    """
    import tensorflow as tf

    holder = tf.Module()
    # Only the variables: a tracked Keras model would be saved with an any-size function of its own.
    holder.variables_of_net = [weight.value for weight in model.weights]

    def function(height: int, width: int):
        def alpha(picture):
            return {"alpha": tf.sigmoid(model(picture, training=False))}

        spec = tf.TensorSpec((1, height, width, 3), tf.float32, name="picture")
        return tf.function(alpha).get_concrete_function(spec)

    signatures = {f"{height}x{width}": function(height, width) for height, width in sizes}
    folder = tempfile.mkdtemp()
    try:
        tf.saved_model.save(holder, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(signatures)
        )
        if weights != "fp32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if weights == "fp16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def operations(content: bytes) -> set[str]:
    """The names of all operations in a LiteRT file, in any of its signatures."""
    from tensorflow.lite.python import schema_py_generated as schema

    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    return {
        names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes
    }


def differences(
    content: bytes, model: keras.Model, picture: np.ndarray
) -> dict[str, tuple[float, float]]:
    """signature -> (largest, mean) difference of alpha between file and net, on one picture."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    result = {}
    for name in interpreter.get_signature_list():
        height, width = (int(side) for side in name.split("x"))
        small = geometry.resize(picture, (height, width)).astype(np.float32)[None]
        found = interpreter.get_signature_runner(name)(picture=small)["alpha"]
        logits = np.asarray(model(small, training=False))
        wrong = np.abs(found - 1 / (1 + np.exp(-logits)))
        result[name] = float(wrong.max()), float(wrong.mean())
    return result


def portable(model: keras.Model, size: str) -> keras.Model:
    """The net of Keras's own layers only, sigmoid inside, weights rounded to 16 bits."""
    twin = person.build(size, portable=True)
    left = set(architectures.copy_weights(twin, model)) - {"detail_fold", "detail_unfold"}
    if left:
        raise ValueError(f"the model is not of size {size}: {', '.join(sorted(left))} differ")
    for weight in twin.weights:
        weight.assign(np.asarray(weight).astype(np.float16).astype(np.float32))
    return twin


def save_small(model: keras.Model, path: Path) -> None:
    """Saves a ``.keras`` file compressed: weights rounded to 16 bits shrink to about half."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.name
        model.save(plain)
        with (
            zipfile.ZipFile(plain) as source,
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
        ):
            for name in source.namelist():
                # A fixed date, so that the same weights give the same file.
                target.writestr(
                    zipfile.ZipInfo(name), source.read(name), zipfile.ZIP_DEFLATED, compresslevel=9
                )


def export(source: Path, out: Path, name: str, weights: str, budget: int) -> None:
    """Writes and checks the files; raises ValueError where a check fails."""
    model = keras.saving.load_model(source, compile=False)
    size = model.name.removeprefix("person-")
    content = to_tflite(model, net_sizes(budget), weights)
    bad = {"READ_VARIABLE", "VAR_HANDLE", "CUSTOM"} & operations(content)
    if bad:
        raise ValueError(f"{', '.join(bad)} left in the file: it would miss the fast kernels")
    rng = np.random.default_rng(0)
    # Blotches with noise: smooth enough to be like a picture.
    picture = geometry.resize(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8), (360, 360))
    worst = differences(content, model, picture)
    for key, (largest, mean) in worst.items():
        print(f"{key}: differs from the net by {largest:.5f} at most, {mean:.6f} on average")
        if (largest if weights == "fp32" else mean) > TOLERANCE[weights]:
            raise ValueError(f"that is more than {weights} may ({TOLERANCE[weights]})")
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.tflite").write_bytes(content)
    twin = portable(model, size)
    save_small(twin, out / f"{name}.keras")
    write_sums(out)
    for file in sorted(out.glob(f"{name}.*")):
        print(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB")


def write_sums(folder: Path) -> None:
    """SHA256SUMS of the model files in ``folder``, as ``sha256sum --check`` reads it."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.suffix in {".tflite", ".keras"}
    ]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help=".keras from training.train")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", default="person-medium")
    parser.add_argument("--weights", choices=tuple(TOLERANCE), default="fp16")
    parser.add_argument("--budget", type=int, default=geometry.DEFAULT_BUDGET, help="pixels")
    args = parser.parse_args()
    export(args.model, args.out, args.name, args.weights, args.budget)


if __name__ == "__main__":
    main()
