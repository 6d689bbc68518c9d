#!/usr/bin/env sh
# SVT-AV1: in a program of root's, opening the encoder makes the thread that does so a real-time one, for good.
#
# Guess: an encoder starts threads of its own and leaves the caller's as they are; priorities are the caller's choice.
# Behaviour: where the user is root, as in containers, the calling thread has the policy FIFO with priority 99 after
#   avcodec_open2, also once the encoder is closed, and all of the encoder's threads have it too. What the thread starts
#   later inherits it: two busy processes on one core then do not share it, the second waits for ever, and they cannot be
#   moved into a control group for processor time (EINVAL).
# Seen (PyAV 18.1.0, FFmpeg 8.1.2, Linux, root): policy before 0 (OTHER), after 1 (FIFO), priority 99; a child has 1
set -eu
[ "$(id -u)" = 0 ] || { echo "only root may have real-time threads: run it as root, in a container"; exit 1; }
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q av==18.1.0
cd "$work"
cat > measure.py <<'PYTHON'
import os
import subprocess
import sys
from fractions import Fraction

import av

os.environ["SVT_LOG"] = "1"
print("PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info)
before = os.sched_getscheduler(0)
context = av.CodecContext.create("libsvtav1", "w")
context.width, context.height, context.pix_fmt = 128, 128, "yuv420p"
context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
context.open()
del context
after, priority = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
child = int(subprocess.run([sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"],
                           capture_output=True, text=True, check=True).stdout)
print(f"policy before {before}, after {after}, priority {priority}; a child has {child}")
assert (before, after, priority, child) == (os.SCHED_OTHER, os.SCHED_FIFO, 99, os.SCHED_FIFO), "the behaviour has changed"
PYTHON
"$work/venv/bin/python" measure.py
