#!/usr/bin/env sh
# FFmpeg: a TIFF with JPEG inside (compression 7) decodes to a black picture, without an error.
#
# Guess: what FFmpeg's TIFF decoder does not know it refuses, as it refuses L*a*b*, LZMA and Zstandard.
# Behaviour: it takes compression 7 and gives a picture of the right size whose samples are all 0. Of a damaged JPEG in a
#   TIFF Pillow gives a picture, too, another one, and libtiff's complaints go to standard error alone.
# Seen (PyAV 18.1.0, FFmpeg 8.1.2, Pillow 13.0.0):
#   tiff_lzw: mean 94.2 of 94.2   jpeg: mean 0.0 of 94.2   damaged: Pillow raises nothing, mean difference of 64.0
set -eu
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q av==18.1.0 numpy==2.4.6 pillow==13.0.0
cd "$work"
cat > measure.py <<'PYTHON'
import av
import numpy as np
import PIL
from PIL import Image

print("PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info, "Pillow", PIL.__version__)
shown = np.random.default_rng(0).integers(0, 193, (12, 16, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
found = {}
for compression in ("tiff_lzw", "jpeg"):
    Image.fromarray(shown).save(f"{compression}.tiff", compression=compression)
    with av.open(f"{compression}.tiff") as file:
        found[compression] = next(file.decode(video=0)).to_ndarray(format="rgb24").mean()
    print(f"{compression}: mean {found[compression]:.1f} of {shown.mean():.1f}")
data = bytearray(open("jpeg.tiff", "rb").read())
for place in range(200, len(data) - 600, 7):
    data[place] ^= 0x5A
open("damaged.tiff", "wb").write(data)
picture = Image.open("damaged.tiff")
picture.load()
print(f"damaged: Pillow raises nothing, mean difference {np.abs(np.asarray(picture).astype(int) - shown).mean():.1f}")
assert abs(found["tiff_lzw"] - shown.mean()) < 1
assert found["jpeg"] == 0, "the behaviour has changed"
PYTHON
"$work/venv/bin/python" measure.py
