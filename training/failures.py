"""``python -m training.failures OUT``: what the shipped model does wrong on pictures that everybody has, as one sheet.

The pictures come with scikit-image (astronaut: NASA, public domain; camera and coffee: CC0) and matplotlib
(Rear Admiral Grace Hopper: US Navy, public domain). Each stands beside its matte, as `streamseg run` makes it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from streamseg.core.opencv import cv2
from streamseg.errors import MissingDependencyError
from streamseg.tools.demo import photo
from training import sheets
from training.commands import command
from training.predict import MethodPredictor, Picture

COLUMNS = 2
SEEN = 0.5  # alpha from which on a pixel is counted as a person's


def pictures() -> dict[str, Picture]:
    """uint8 (h, w, 3) RGB each, by what is to be seen. Raises MissingDependencyError."""
    try:
        from skimage import data
    except ImportError as error:
        raise MissingDependencyError("the pictures come with scikit-image: pip install scikit-image") from error
    turned = np.ascontiguousarray(np.rot90(photo().rgb))
    grey = cv2.cvtColor(data.camera(), cv2.COLOR_GRAY2RGB)
    return {"coffee": data.coffee(), "astronaut": data.astronaut(), "camera": grey, "hopper, turned": turned}


@command
def main(arguments: list[str] | None = None) -> None:
    own = argparse.ArgumentParser(prog="python -m training.failures", description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("out", type=Path, metavar="OUT", help="a .png, .jpg or .webp file")
    args = own.parse_args(arguments)
    predict, groups = MethodPredictor(None, None, 1), []
    for name, picture in pictures().items():
        matte = predict([picture])[0]
        share = float((matte >= SEEN).mean())
        groups.append((f"{name}: {share:.1%}", [picture, sheets.matte_cell(matte, picture.shape)]))
        print(f"{name}: {share:.1%} of the picture")
    sheets.write(args.out, sheets.layout(groups, COLUMNS))


if __name__ == "__main__":
    main()
