"""Our own net as other programs take one: an .onnx file of 1 x 3 x 320 x 320, normalised as U2Net's are."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from benchmarks.environments import NotToBeHad

SIDE = 320
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NEEDED = ("tensorflow", "keras", "tf2onnx", "onnxruntime")


def as_u2net(path: Path) -> Path:
    """Write the built-in net to ``path``: what goes in is (value / 255 - MEAN) / STD, one probability comes out.

    Raises NotToBeHad where the packages that convert it are missing.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise NotToBeHad(f"our net cannot be written as ONNX without {', '.join(missing)}: pip install -e "
                         "'.[train,onnx]'")
    import keras

    from streamseg.segment.built_in import built_in
    from training.formats import deployed, to_onnx

    net = deployed(keras.saving.load_model(built_in("keras"), compile=False))
    given = keras.Input((3, SIDE, SIDE), batch_size=1, name="picture")
    picture = keras.layers.Permute((2, 3, 1))(given)
    picture = keras.layers.Rescaling([255 * value for value in STD], [255 * value for value in MEAN])(picture)
    to_onnx(keras.Model(given, keras.layers.Permute((3, 1, 2))(net(picture)), name="as_u2net"), path)
    return path
