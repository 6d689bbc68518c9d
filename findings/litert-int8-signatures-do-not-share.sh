#!/usr/bin/env sh
# LiteRT: the signatures of a file share weights of 16 bits, but of a file in 8 bits each signature brings much of its own.
#
# Guess: a net that is exported for eight input sizes, a signature a size, holds its weights once, in 16 bits and in 8.
# Behaviour: in 16 bits it does. After full 8-bit quantization each signature has its own scale and zero point for every
#   output channel of every convolution (12 bytes a channel, in the file's tables and not in shared buffers) and its own
#   32-bit biases, because ranges are found for each signature by itself. Of a net of many thin layers, as for phones,
#   the file becomes several times as large, and larger than the one in 16 bits.
# Seen (TensorFlow 2.21.0), 24 pointwise and 24 depthwise convolutions of 96 channels, kilobytes:
#   16 bits: 508 with 1 signature, 630 with 8; 8 bits: 378 with 1, 1303 with 8 (3.4 times)
set -eu
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q tensorflow==2.21.0
cd "$work"
cat > measure.py <<'PYTHON'
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf

print("TensorFlow", tf.__version__)
rng = np.random.default_rng(0)
CHANNELS, BLOCKS = 96, 24
first = tf.Variable(rng.normal(0, 0.3, (3, 3, 3, CHANNELS)).astype("f"))
thin = [tf.Variable(rng.normal(0, 0.3, (3, 3, CHANNELS, 1)).astype("f")) for _ in range(BLOCKS)]
points = [tf.Variable(rng.normal(0, 0.1, (1, 1, CHANNELS, CHANNELS)).astype("f")) for _ in range(BLOCKS)]
holder = tf.Module()
holder.kept = [first, *thin, *points]


def function(side):
    def net(picture):
        x = tf.nn.relu6(tf.nn.conv2d(picture, first, 2, "SAME"))
        for depthwise, point in zip(thin, points):
            y = tf.nn.relu6(tf.nn.depthwise_conv2d(x, depthwise, (1, 1, 1, 1), "SAME"))
            x = tf.nn.relu6(tf.nn.conv2d(y, point, 1, "SAME"))
        return {"out": x}

    return tf.function(net).get_concrete_function(tf.TensorSpec((1, side, side, 3), tf.float32, "picture"))


def kilobytes(sides, bits):
    functions = {f"side{side}": function(side) for side in sides}
    tf.saved_model.save(holder, "saved", signatures=functions)
    converter = tf.lite.TFLiteConverter.from_saved_model("saved", signature_keys=list(functions))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if bits == 16:
        converter.target_spec.supported_types = [tf.float16]
    else:
        converter.representative_dataset = lambda: (
            (f"side{side}", {"picture": rng.uniform(0, 1, (1, side, side, 3)).astype("f")})
            for side in sides for _ in range(2))
    return round(len(converter.convert()) / 1e3)


sides = [32 + 16 * i for i in range(8)]
found = {bits: (kilobytes(sides[:1], bits), kilobytes(sides, bits)) for bits in (16, 8)}
for bits, (one, eight) in found.items():
    print(f"{bits} bits: 1 signature {one}, 8 signatures {eight}: {eight / one:.1f} times")
assert found[16][1] < 2 * found[16][0], "the behaviour has changed"
assert found[8][1] > 3 * found[8][0] and found[8][1] > found[16][1], "the behaviour has changed"
PYTHON
"$work/venv/bin/python" measure.py 2>/dev/null
