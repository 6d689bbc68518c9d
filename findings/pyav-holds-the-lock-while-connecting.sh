#!/usr/bin/env sh
# PyAV: while an output connects or closes, no other Python thread runs.
#
# Guess: as decoding, encoding and muxing do, opening a network output releases the interpreter's lock while it waits.
# Behaviour: avio_open, avformat_write_header and av_write_trailer are called with the lock held. A server that is slow
#   to answer stops every thread of the program, Ctrl-C too; a server in the same process never gets to answer.
#   Opening an input releases it.
# Seen (PyAV 18.1.0, FFmpeg 8.1.2): a thread that counts every 10 ms gets to 0 or 1 in the 2 s that an RTMP output waits,
#   and to some 200 while an RTMP input does
set -eu
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q av==18.1.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import subprocess
import sys
import threading
import time

import av

SERVER = """
import socket, time
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        connection = server.accept()[0]
        time.sleep(2)
        connection.close()
"""
print("PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info)


def counted(work):
    """How far another thread counts meanwhile."""
    count, over = 0, threading.Event()

    def tick():
        nonlocal count
        while not over.wait(0.01):
            count += 1

    thread = threading.Thread(target=tick)
    thread.start()
    begin = time.monotonic()
    try:
        work()
    except av.FFmpegError:
        pass
    seconds, found = time.monotonic() - begin, count
    over.set()
    thread.join()
    print(f"{work.__name__}: {seconds:.1f} s, counted to {found}")
    assert seconds > 1.5
    return found


def write():
    with av.open(address, "w", format="flv") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        out.start_encoding()


def read():
    av.open(address)


server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
try:
    address = f"rtmp://127.0.0.1:{server.stdout.readline().strip()}/app/key"
    assert counted(write) < 10, "the behaviour has changed"
    assert counted(read) > 50, "the behaviour has changed"
finally:
    server.kill()
PYTHON
