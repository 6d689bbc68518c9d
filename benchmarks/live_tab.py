"""The studio's live tab in Chromium: pictures a second, and the delay from the camera to the screen and back.

    python -m benchmarks.live_tab --seconds 600

Server, browser and a camera that plays a clip at 30 pictures a second share this machine. Glass to glass: a patch in
the room turns from black to white or back at a picture of the camera; the delay is from the moment at which that
picture is drawn until the browser presents the picture in which the patch has turned (requestVideoFrameCallback). It
holds both ways over the network, decoding and encoding on both sides, the net and the composite. What a real camera's
sensor and a real screen add is not in it. ``stages_ms`` of the JSON says where the time goes, as the browser counts it
(means of a picture, ``paced`` of a packet) and as the server tells its page (arrival to encoded).
Needs chromium, chromedriver and the extra [test].
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

from benchmarks.common import Bench, Table, folder_and_clip, start

HD = (1280, 720)
CAMERA_SECONDS = 4.0   # of the clip, over and over
WARM_UP = 10.0         # seconds until the browser has found its bit rate
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--use-fake-device-for-media-stream",
         "--use-fake-ui-for-media-stream", "--allow-loopback-in-peer-connection")

# The camera's pictures with a patch that turns, and an eye on the patch in what comes back
PATCH = """
    const camera = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    const measured = window.measured = { delays: [], pictures: 0, began: 0 };
    const Peer = window.RTCPeerConnection;
    window.peers = [];
    window.RTCPeerConnection = class extends Peer { constructor(...given) { super(...given); peers.push(this); } };
    let white = false, turned = null, wait = 20;
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      const stream = await camera(wanted);
      const { width, height } = stream.getVideoTracks()[0].getSettings();
      const from = Object.assign(document.createElement("video"), { muted: true, srcObject: stream });
      await from.play();
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const context = canvas.getContext("2d");
      const draw = () => {
        context.drawImage(from, 0, 0);
        if (turned === null && (wait -= 1) < 0) { white = !white; turned = performance.now(); }
        context.fillStyle = white ? "#fff" : "#000";
        context.fillRect(0, 0, width / 4, height / 3);
        from.requestVideoFrameCallback(draw);
      };
      draw();
      return canvas.captureStream();
    };
    window.watch = () => {
      const shown = document.getElementById("live-video");
      const spot = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
      const look = spot.getContext("2d", { willReadFrequently: true });
      measured.began = performance.now();
      const see = (now) => {
        measured.pictures += 1;
        look.drawImage(shown, shown.videoWidth / 8, shown.videoHeight / 7, 1, 1, 0, 0, 1, 1);
        if (turned !== null && (look.getImageData(0, 0, 1, 1).data[1] > 128) === white) {
          measured.delays.push(now - turned);
          turned = null;
          wait = 8 + Math.floor(16 * Math.random());
        }
        shown.requestVideoFrameCallback(see);
      };
      shown.requestVideoFrameCallback(see);
    };"""

# Sums of seconds and of what they are of, since the beginning
STAGES = """
    const done = arguments[arguments.length - 1];
    peers.at(-1).getStats().then((stats) => {
      const sums = {};
      for (const item of stats.values()) {
        if (item.type === "outbound-rtp") {
          sums.browser_encodes = [item.totalEncodeTime, item.framesEncoded];
          sums.paced = [item.totalPacketSendDelay, item.packetsSent];
        }
        if (item.type === "inbound-rtp") {
          sums.browser_buffers = [item.jitterBufferDelay, item.jitterBufferEmittedCount];
          sums.browser_decodes = [item.totalDecodeTime, item.framesDecoded];
        }
      }
      done(sums);
    });"""


def camera_file(clip: Path, path: Path, size: tuple[int, int]) -> Path:
    """The clip's beginning as what Chromium's fake camera plays: C420, 8 bits, 30 a second."""
    with av.open(str(clip)) as source, path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{size[0]} H{size[1]} F30:1 Ip A1:1 C420\n".encode())
        for count, picture in enumerate(source.decode(video=0)):
            if count >= 30 * CAMERA_SECONDS:
                break
            small = picture.reformat(*size, "yuv420p", dst_color_range=1, dst_colorspace=6)
            file.write(b"FRAME\n" + small.to_ndarray().tobytes())
    return path


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """(address, process) of a `streamseg serve`."""
    words = [sys.executable, "-m", "streamseg", "serve", "--port", "0", "--folder", str(folder)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"http://\S+", line):
                yield found[0], psutil.Process(process.pid)
                return
        raise RuntimeError("the server did not start")
    finally:
        process.terminate()
        process.communicate(timeout=60)


@contextmanager
def browser(camera: Path) -> Iterator[Any]:
    """A Chromium whose camera plays ``camera``, with PATCH in every page."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in (*FLAGS, f"--use-file-for-fake-video-capture={camera}", f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        try:
            driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": PATCH})
            yield driver
        finally:
            driver.quit()


def measured(address: str, process: psutil.Process, driver: Any, seconds: float, warm_up: float) -> dict[str, Any]:
    """The figures of ``seconds`` of live pictures."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get(address)
    for css in ("#tab-live", "#live-start"):
        driver.execute_script("document.querySelector(arguments[0]).click()", css)
    WebDriverWait(driver, 60).until(lambda page: page.execute_script(
        "return document.getElementById('live-video').videoWidth > 0"), "no picture came")
    driver.set_script_timeout(seconds + warm_up + 60)
    pause = "setTimeout(arguments[arguments.length - 1], 1000 * arguments[0])"
    driver.execute_async_script(pause, warm_up)
    driver.execute_script("watch()")
    before = driver.execute_async_script(STAGES)
    process.cpu_percent()
    memory = []
    for _ in range(max(2, round(seconds))):
        driver.execute_async_script(pause, seconds / max(2, round(seconds)))
        memory.append(process.memory_info().rss / 2 ** 20)
    after = driver.execute_async_script(STAGES)
    delays, pictures, passed, size, server_takes = driver.execute_script("""
        const shown = document.getElementById("live-video");
        return [measured.delays, measured.pictures, (performance.now() - measured.began) / 1000,
                [shown.videoWidth, shown.videoHeight], document.getElementById("figure-latency").textContent];""")
    if not delays:
        raise RuntimeError("the patch was never seen to turn")
    tenth = max(1, len(memory) // 10)
    return {
        "size": size, "seconds": round(passed, 1), "fps": round(pictures / passed, 2), "turns": len(delays),
        "glass_to_glass_ms": {name: round(float(np.percentile(delays, share)), 1)
                              for name, share in (("p50", 50), ("p95", 95), ("max", 100))},
        "stages_ms": {**means(before, after), "server": server_takes},
        "server_cpu_percent": process.cpu_percent(),
        "rss_mib": {"at_the_start": round(float(np.median(memory[:tenth])), 1),
                    "at_the_end": round(float(np.median(memory[-tenth:])), 1), "most": round(max(memory), 1)}}


def means(before: Mapping[str, list[float]], after: Mapping[str, list[float]]) -> dict[str, float | None]:
    """Milliseconds of one, between two answers of STAGES; None where there was none."""
    found: dict[str, float | None] = {}
    for name, (seconds, count) in after.items():
        since, less = before.get(name, (0.0, 0.0))
        found[name] = round(1e3 * (seconds - since) / (count - less), 1) if count > less else None
    return found


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """RESULTS.md's table: ``live_tab``."""
    row = result["live tab"]
    delay, rss = row["glass_to_glass_ms"], row["rss_mib"]
    head = ("size", "pictures a second", "glass to glass p50", "p95", "CPU of the server, of one core",
            "RSS at the start and at the end")
    return {"live_tab": Table(head, [(
        f"{row['size'][0]} x {row['size'][1]}", f"{row['fps']:.1f}", f"{delay['p50']:.0f} ms", f"{delay['p95']:.0f} ms",
        f"{row['server_cpu_percent']:.0f} %", f"{rss['at_the_start']:.0f} and {rss['at_the_end']:.0f} MiB")])}


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("live_tab", __doc__, repeats=None)
    bench.parser.add_argument("--clip", type=Path, help="the camera plays this clip instead of a made one")
    bench.parser.add_argument("--seconds", type=float, default=600.0, help="default %(default)g")
    chosen = bench.parse(words)
    size, seconds, warm_up = ((320, 180), 4.0, 1.0) if chosen.quick else (HD, chosen.seconds, WARM_UP)
    with folder_and_clip(chosen.clip, quick=chosen.quick, size=HD, seconds=CAMERA_SECONDS) as (work, clip):
        camera = camera_file(clip, work / "camera.y4m", size)
        with server(work / "server") as (address, process), browser(camera) as driver:
            figures = measured(address, process, driver, seconds, warm_up)
    result = {"clip": chosen.clip.name if chosen.clip else "made", "live tab": figures}
    print(tables(result)["live_tab"].markdown())
    bench.save(result, chosen.out)


if __name__ == "__main__":
    start(main)
