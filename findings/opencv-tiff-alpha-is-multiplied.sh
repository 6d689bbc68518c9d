#!/usr/bin/env sh
# OpenCV 5: imread multiplies the colours of a TIFF by its straight alpha; of a PNG it does not.
#
# Guess: imread gives the colours of a picture as the file holds them, whatever the file format.
# Behaviour: an RGBA TIFF with straight ("unassociated") 8-bit alpha comes back premultiplied, also when the alpha
#   itself is left out (IMREAD_COLOR), so that a half transparent colour is half as bright. A PNG with the same
#   pixels comes back as written.
# Seen (OpenCV 5.0.0, Pillow 13.0.0): TIFF (25, 50, 100, 128) and (25, 50, 100), PNG (50, 100, 200, 128)
set -eu
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q opencv-python-headless==5.0.0.93 pillow==13.0.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import cv2
import numpy as np
import PIL
from PIL import Image

print("OpenCV", cv2.__version__, "Pillow", PIL.__version__)
picture = np.empty((2, 2, 4), np.uint8)
picture[...] = (200, 100, 50, 128)  # RGBA, straight
for name in ("picture.tiff", "picture.png"):
    Image.fromarray(picture).save(name)
    assert tuple(np.asarray(Image.open(name))[0, 0]) == (200, 100, 50, 128)  # the file holds straight colours
found = {name: (cv2.imread(name, cv2.IMREAD_UNCHANGED)[0, 0].tolist(), cv2.imread(name)[0, 0].tolist())
         for name in ("picture.tiff", "picture.png")}
print(found)
assert found["picture.tiff"] == ([25, 50, 100, 128], [25, 50, 100]), "the behaviour has changed"
assert found["picture.png"] == ([50, 100, 200, 128], [50, 100, 200]), "the behaviour has changed"
PYTHON
