"""The programs that benchmarks.peers measures: what each is called with, and where it gets its package and net."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from benchmarks.common import FULL_HD, TINY, make_clip
from benchmarks.environments import ROOT, Environment, NotToBeHad, installed
from benchmarks.nets import as_u2net
from benchmarks.portraits import write_files

OURS, PHOTOS = "streamseg", "streamseg, photos"
COLOUR = (0, 255, 0)
PACKAGES = Path(__file__).parent / "packages"
SHORT = 3  # frames
REQUIRED = {
    "mediapipe": ("mediapipe>=1.2", "av>=16"),
    "rembg": ("rembg[cpu,cli]>=2.0.86", "av>=16"),
    # the last Torch that is also built without CUDA, where an index has both
    "backgroundremover": ("backgroundremover==0.4.5", "torch==2.13.0", "torchvision", "onnx2torch"),
}
OWN_NET = "person-medium, 320 x 320"


@dataclass(frozen=True, slots=True)
class Peer:
    """``words`` gives the command that turns (clip, target) into a film, or (folder, folder) into cutouts."""

    name: str
    net: str
    words: Callable[[Path, Path], Sequence[str | Path]]
    env: Mapping[str, str] = field(default_factory=dict)
    photos: bool = False


class Stand:
    """Clips, photos, environments and the net; made when they are first needed, and the reasons why not."""

    def __init__(self, work: Path, keep: Path | None, clip: Path | None, *, quick: bool, install: bool,
                 photos: int) -> None:
        self.work, self._keep, self._install, self._quick = work, keep or work, install, quick
        form: dict[str, Any] = {"size": TINY if quick else FULL_HD}
        self.clip = clip or make_clip(work / "clip.mp4", seconds=0.5 if quick else 4.0, **form)
        self.short = first_frames(self.clip, work / "short.mp4", SHORT)
        self.size, self.rate, self.frames = facts(self.clip)
        self.photos = 2 if quick else photos
        self.versions: dict[str, dict[str, str]] = {}
        self._net: Path | None = None

    def environment(self, package: str) -> Environment:
        """One with a peer's package. Raises NotToBeHad."""
        if not self._install:
            raise NotToBeHad("nothing is installed with --no-install")
        found = installed(self._keep / package, REQUIRED[package])
        self.versions[package] = found.versions([package])
        return found

    def net(self) -> Path:
        """Our net for others, in a folder that rembg takes models from. Raises NotToBeHad."""
        if self._net is None:
            home = self.work / "models"
            home.mkdir(exist_ok=True)
            self._net = as_u2net(home / "ours.onnx")
        return self._net

    def folder(self, count: int) -> Path:
        """A folder of so many photos."""
        path = self.work / f"photos{count}"
        if not path.exists():
            write_files(path, count, TINY if self._quick else None)
        return path


def first_frames(clip: Path, target: Path, count: int) -> Path:
    """The clip's first frames, encoded anew as it was."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as sink:
        video = source.streams.video[0]
        out = sink.add_stream("libx264", rate=video.average_rate)
        out.width, out.height, out.pix_fmt = video.width, video.height, "yuv420p"
        for picture, _ in zip(source.decode(video), range(count), strict=False):
            picture.pict_type = av.video.frame.PictureType.NONE
            sink.mux(out.encode(picture))
        sink.mux(out.encode(None))
    return target


def facts(clip: Path) -> tuple[tuple[int, int], str, int]:
    """((width, height), frames a second as ffmpeg takes them, how many frames)."""
    with av.open(str(clip)) as source:
        video = source.streams.video[0]
        return (video.width, video.height), str(video.average_rate), sum(1 for _ in source.decode(video))


def ours(device: str) -> Peer:
    """`streamseg run` of this tree."""
    def words(clip: Path, target: Path) -> Sequence[str | Path]:
        return [sys.executable, "-P", "-m", "streamseg", "run", clip, "-o", target, "--background",
                f"#{bytes(COLOUR).hex()}", "--device", device, "--overwrite", "--quiet"]

    return Peer(OURS, "person-medium", words, {"PYTHONPATH": str(ROOT)})


def ours_photos(device: str) -> Peer:
    """`streamseg run` of a folder's files, which looks at each six times with two nets."""
    def words(folder: Path, target: Path) -> Sequence[str | Path]:
        return [sys.executable, "-P", "-m", "streamseg", "run", *sorted(folder.iterdir()), "-o", f"{target}/",
                "--background", "none", "--device", device, "--overwrite", "--quiet"]

    return Peer(PHOTOS, "medium and large", words, {"PYTHONPATH": str(ROOT)}, photos=True)


def mediapipe(stand: Stand, models: Path | None) -> Peer:
    """MediaPipe Tasks and OpenCV."""
    model = None if models is None else models / "selfie_256x256.tflite"
    if model is None or not model.exists():
        raise NotToBeHad("its model file is not in the package: --models DIR with selfie_256x256.tflite")
    found = stand.environment("mediapipe")
    return Peer("MediaPipe Tasks + OpenCV", "selfie_256x256", lambda clip, target: [
        found.python, PACKAGES / "mediapipe_film.py", clip, target, model, _numbers(COLOUR)], found.env)


def rembg(stand: Stand) -> Peer:
    """`remove` of the library."""
    found, net = stand.environment("rembg"), stand.net()
    return Peer("rembg, remove", OWN_NET, lambda clip, target: [
        found.python, PACKAGES / "rembg_film.py", clip, target, net, _numbers(COLOUR)], _home(found, net))


def rembg_b(stand: Stand) -> Peer:
    """`rembg b`, as its README has it."""
    _needs_ffmpeg()
    found, net = stand.environment("rembg"), stand.net()
    width, height = stand.size

    def words(clip: Path, target: Path) -> Sequence[str | Path]:
        pictures = Path(tempfile.mkdtemp(dir=stand.work))
        through = [found.program("rembg"), "b", width, height, *_model(net), "-o", pictures / "%05d.png"]
        return ["bash", "-o", "pipefail", "-c",
                f"{_shell(*FFMPEG, '-i', clip, '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-')} | {_shell(*through)} | cat"
                f" && {_shell(*_over_colour(stand, '-framerate', stand.rate, '-i', pictures / '%05d.png'), target)}"
                f" && rm -r {_shell(pictures)}"]

    return Peer("rembg b, ffmpeg", OWN_NET, words, _home(found, net))


def rembg_p(stand: Stand) -> Peer:
    """`rembg p` of a folder."""
    found, net = stand.environment("rembg"), stand.net()
    return Peer("rembg p, photos", OWN_NET, lambda folder, target: [
        found.program("rembg"), "p", *_model(net), folder, target], _home(found, net), photos=True)


def backgroundremover(stand: Stand) -> Peer:
    """Its matte file at the film's size, then alphamerge, as its own commands for films do."""
    _needs_ffmpeg()
    found, net = stand.environment("backgroundremover"), stand.net()

    def words(clip: Path, target: Path) -> Sequence[str | Path]:
        matte = target.with_suffix(".matte.mp4")
        made = [found.python, PACKAGES / "backgroundremover_matte.py", "-i", clip, "-mk", "-m", "u2netp", "-gb", "1",
                "-o", matte]
        merged = _over_colour(stand, "-i", clip, "-i", matte, graph="[0:v][1:v]alphamerge[p];[2:v][p]overlay=shortest=1"
                                                                    ",format=yuv420p")
        return ["bash", "-o", "pipefail", "-c", f"{_shell(*made)} && {_shell(*merged, target)}"]

    env = {**found.env, "BENCHMARK_NET": str(net), "U2NETP_PATH": str(stand.work / "u2netp.pth")}
    return Peer("backgroundremover", OWN_NET, words, env)


def ffmpeg(stand: Stand) -> Peer:
    """A key colour and an overlay in its own filters; the sound copied."""
    _needs_ffmpeg()
    graph = "[0:v]chromakey=0x605040:0.1:0.1[p];[1:v][p]overlay=shortest=1,format=yuv420p"
    return Peer("ffmpeg alone, chroma key", "none", lambda clip, target: [
        *_over_colour(stand, "-i", clip, "-map", "0:a?", "-c:a", "copy", graph=graph), target])


FFMPEG = ("ffmpeg", "-v", "error", "-y", "-nostdin")


def _over_colour(stand: Stand, *words: object, graph: str = "[1:v][0:v]overlay=shortest=1,format=yuv420p"
                 ) -> list[str | Path]:
    """ffmpeg's words, but for the target: inputs, the colour, what lies over it, our encoder."""
    told = [str(word) for word in words]
    last = max(index for index, word in enumerate(told) if word == "-i") + 2
    colour = f"color=c=0x{bytes(COLOUR).hex()}:s={stand.size[0]}x{stand.size[1]}:r={stand.rate}"
    return [*FFMPEG, *told[:last], "-f", "lavfi", "-i", colour, "-filter_complex", graph, *told[last:], "-c:v",
            "libx264", "-preset", "veryfast"]


def _model(net: Path) -> list[str]:
    return ["-m", "u2net_custom", "-x", json.dumps({"model_path": str(net)})]


def _home(found: Environment, net: Path) -> dict[str, str]:
    return {**found.env, "REMBG_HOME": str(net.parent), "U2NET_HOME": str(net.parent)}


def _numbers(values: Sequence[int]) -> str:
    return ",".join(map(str, values))


def _shell(*words: object) -> str:
    return shlex.join(str(word) for word in words)


def _needs_ffmpeg() -> None:
    if shutil.which("ffmpeg") is None:
        raise NotToBeHad("ffmpeg is not installed")


MAKERS: dict[str, Callable[..., Peer]] = {"mediapipe": mediapipe, "rembg": rembg, "rembg b": rembg_b, "photos": rembg_p,
                                          "backgroundremover": backgroundremover, "ffmpeg": ffmpeg}
