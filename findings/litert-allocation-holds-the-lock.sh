#!/usr/bin/env sh
# LiteRT in Python: invoke() lets other threads run, allocate_tensors() stops them all.
#
# Guess: two interpreters in two threads work side by side, whatever they do; a net that is made ready for another input
#   size while a window is drawn or frames are encoded costs time of its own thread only.
# Behaviour: Interpreter.invoke() gives Python's lock (GIL) back while it computes, so two of them use two cores. But
#   allocate_tensors(), in which XNNPACK packs the weights and memory is planned, keeps it to its end: for tens to
#   hundreds of milliseconds no other Python thread moves. It comes with the first allocation and with each after
#   resize_tensor_input(). A program that takes pictures of many sizes does well to keep an interpreter for each of the
#   usual ones, or to have it made ready in a process of its own.
# Seen (ai-edge-litert 2.3.0, TensorFlow 2.21.0 to make the file), the longest time in which a second thread, which only
#   counts, did not move, as a share of the call's time: invoke .00 of 565 ms, allocate_tensors 1.00 of 143 ms
set -eu
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q tensorflow==2.21.0 ai-edge-litert==2.3.0
cd "$work"
cat > make.py <<'PYTHON'
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
CHANNELS, LAYERS = 512, 12
first = tf.Variable(rng.normal(0, 0.1, (1, 1, 3, CHANNELS)).astype("f"))
weights = [tf.Variable(rng.normal(0, 0.02, (3, 3, CHANNELS, CHANNELS)).astype("f")) for _ in range(LAYERS)]
holder = tf.Module()
holder.kept = [first, weights]


@tf.function(input_signature=[tf.TensorSpec((1, 32, 32, 3), tf.float32)])
def net(picture):
    x = tf.nn.conv2d(picture, first, 1, "SAME")
    for weight in weights:
        x = tf.nn.relu(tf.nn.conv2d(x, weight, 1, "SAME"))
    return x


converter = tf.lite.TFLiteConverter.from_concrete_functions([net.get_concrete_function()], holder)
open("net.tflite", "wb").write(converter.convert())
PYTHON
cat > measure.py <<'PYTHON'
import importlib.metadata
import threading
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter

print("ai-edge-litert", importlib.metadata.version("ai-edge-litert"))


def standstill(call):
    """The longest pause of another thread while ``call`` runs, as a share of its time, and that time."""
    moments, going, begun = [], True, threading.Event()

    def count():
        while going:
            moments.append(time.perf_counter())
            begun.set()
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    begun.wait()
    time.sleep(0.05)
    start = time.perf_counter()
    call()
    end = time.perf_counter()
    time.sleep(0.05)
    going = False
    thread.join()
    pauses = [min(later, end) - max(sooner, start) for sooner, later in zip(moments, moments[1:])]
    return max(pauses) / (end - start), end - start


shares = {"invoke": [], "allocate_tensors": []}
for _ in range(5):
    net = Interpreter("net.tflite", num_threads=1)
    shares["allocate_tensors"].append(standstill(net.allocate_tensors))
    net.set_tensor(net.get_input_details()[0]["index"], np.zeros((1, 32, 32, 3), np.float32))
    net.invoke()
    shares["invoke"].append(standstill(net.invoke))
middle = {}
for name, found in shares.items():
    share, seconds = sorted(found)[2]
    middle[name] = share
    print(f"{name}: stands still for {share:.2f} of {1000 * seconds:.0f} ms")
assert middle["invoke"] < 0.4, middle
assert middle["allocate_tensors"] > 0.7, middle
PYTHON
"$work/venv/bin/python" make.py
"$work/venv/bin/python" measure.py 2>/dev/null
