"""Who is faster? python -m benchmarks.peers [--only ROW ...] [--models DIR] [--keep DIR] [--quick] [--clip FILE]

The same clip, before the same colour, with the same encoder and settings, as processes in interleaved turns: streamseg
and other programs, each as its package, in an environment of its own that the benchmark makes:

    mediapipe          the usual loop: MediaPipe Tasks in VIDEO mode with OpenCV around it, selfie_256x256.tflite
    rembg              rembg's `remove`, picture by picture
    rembg b            its command for films: raw pictures through a pipe, PNG files, ffmpeg on both sides
    backgroundremover  its matte file, then the merging by ffmpeg
    ffmpeg             a chroma key alone, no net
    photos             a folder of photos: `rembg p` and `streamseg run`

rembg and backgroundremover run our own net at 320 x 320. A speed is without what a clip of three frames takes, start-up
that is; with it, and in processor time, it stands in the result. What a program wrote is looked at once: all frames,
the colour around, the person kept. --models is a folder with selfie_256x256.tflite. --keep DIR leaves the environments
there and finds them again. --no-install leaves out what needs one.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.common import Bench, Must, Table, ratios, shown, start, summary
from benchmarks.processes import ProcessFailed, Spent, spend
from benchmarks.programs import COLOUR, MAKERS, OURS, PHOTOS, SHORT, Peer, Stand, ours, ours_photos
from streamseg.errors import StreamsegError

NOT_HERE = {
    "rembg, its own nets": "its weights are downloaded at first use",
    "backgroundremover, its own nets": "its weights are downloaded at first use",
    "RobustVideoMatting, BackgroundMattingV2, MODNet, MatAnyone": "no packages; their weights are downloads",
}
# how many times a peer's speed streamseg is to have
MUSTS = {"MediaPipe Tasks + OpenCV": Must("times", ">=", 2.5), "rembg, remove": Must("times", ">=", 6.0),
         "rembg b, ffmpeg": Must("times", ">=", 6.0), "rembg p, photos": Must("times", ">=", 3.0)}


# --- measuring --------------------------------------------------------------------------------

def made(stand: Stand, names: Sequence[str], models: Path | None, device: str) -> tuple[list[Peer], dict[str, str]]:
    """(streamseg and the programs that run here, why the others do not). Each is run once on three frames or one photo,
    and what it wrote is looked at."""
    there, missing = [ours(device)], dict(NOT_HERE)
    if "photos" in names:
        there.append(ours_photos(device))
    for name in names:
        try:
            peer = MAKERS[name](stand, models) if name == "mediapipe" else MAKERS[name](stand)
            print(f"  {peer.name}, once", file=sys.stderr, flush=True)
            once(stand, peer)
        except StreamsegError as error:
            missing[name] = str(error)
        else:
            there.append(peer)
    return there, missing


def once(stand: Stand, peer: Peer) -> None:
    """Raises ProcessFailed where a program fails, or does not do what the others do."""
    target = _run(stand, peer, short=False)[1]
    if peer.photos:
        check_photos(stand.folder(stand.photos), target)
    else:
        check_film(stand.clip, target, separated=peer.net != "none")


def check_film(clip: Path, target: Path, *, separated: bool = True) -> None:
    """All frames are there; where a person was ``separated``, the corner has the colour, and the middle is as it was.
    Raises ProcessFailed."""
    given, found = _pictures(clip), _pictures(target)
    if len(given) != len(found):
        raise ProcessFailed(f"it wrote {len(found)} of {len(given)} frames")
    if not separated:
        return
    before, after = given[len(given) // 2].astype(float), found[len(found) // 2].astype(float)
    height, width = before.shape[:2]
    corner = after[:height // 5, :width // 8].reshape(-1, 3).mean(axis=0)
    middle = np.s_[height * 2 // 5:height * 3 // 5, width * 4 // 9:width * 5 // 9]
    if np.abs(corner - COLOUR).max() > 40:
        raise ProcessFailed(f"its corner is {corner.round()}, not {COLOUR}")
    if np.abs(after[middle] - before[middle]).mean() > 25:
        raise ProcessFailed("the person in the middle is not kept")


def check_photos(folder: Path, target: Path) -> None:
    """A picture with alpha of each; in one of them at least something is kept and something is gone. Raises
    ProcessFailed."""
    from PIL import Image
    made = {path.stem: path for path in target.rglob("*.png")}
    spread = 0
    for path in folder.iterdir():
        if path.stem not in made:
            raise ProcessFailed(f"it wrote no {path.stem}.png")
        with Image.open(made[path.stem]) as picture:
            spread = max(spread, int(np.ptp(np.asarray(picture.convert("RGBA"))[..., 3])))
    if not spread:
        raise ProcessFailed("each of its pictures has one alpha everywhere")


def _pictures(path: Path) -> list[np.ndarray[Any, Any]]:
    with av.open(str(path)) as container:
        return [picture.to_ndarray(format="rgb24", width=320, height=180) for picture in container.decode(video=0)]


def _run(stand: Stand, peer: Peer, *, short: bool) -> tuple[Spent, Path]:
    name = "".join(letter for letter in peer.name if letter.isalnum())
    target = stand.work / (name if peer.photos else f"{name}.mp4")
    if peer.photos:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        given = stand.folder(1 if short else stand.photos)
    else:
        given = stand.short if short else stand.clip
    return spend(peer.words(given, target), env=peer.env), target


def measure(stand: Stand, peers: Sequence[Peer], repeats: int) -> dict[str, Any]:
    """The rows by name."""
    turns: dict[str, list[tuple[Spent, Spent]]] = {peer.name: [] for peer in peers}
    for turn in range(repeats):
        for peer in peers:
            both = _run(stand, peer, short=True)[0], _run(stand, peer, short=False)[0]
            turns[peer.name].append(both)
            print(f"  {turn + 1}/{repeats} {peer.name}: {both[1].wall_s:.1f} s, start-up {both[0].wall_s:.1f} s",
                  file=sys.stderr, flush=True)
    return {peer.name: told(stand, peer, turns) for peer in peers}


def told(stand: Stand, peer: Peer, turns: Mapping[str, Sequence[tuple[Spent, Spent]]]) -> dict[str, Any]:
    """A row: pictures a second without start-up and with it, processor time a picture, memory; and how many times as
    fast streamseg is in the same turns."""
    count, few = (stand.photos, 1) if peer.photos else (stand.frames, SHORT)
    values = {name: [(speed(count, few, *turn), count / turn[1].wall_s) for turn in found]
              for name, found in turns.items()}
    mine = turns[peer.name]
    row: dict[str, Any] = {
        "net": peer.net, "fps": summary([steady for steady, _ in values[peer.name]]),
        "whole_fps": summary([whole for _, whole in values[peer.name]]),
        "start_s": summary([short.wall_s for short, _ in mine]),
        "cpu_ms": summary([1e3 * max(0.0, long.cpu_s - short.cpu_s) / (count - few) for short, long in mine]),
        "rss_mib": summary([long.rss_mib for _, long in mine])}
    first = PHOTOS if peer.photos else OURS
    if peer.name != first:
        row |= {key: ratios([turn[part] for turn in values[first]], [turn[part] for turn in values[peer.name]])
                for part, key in enumerate(("ours_is_times", "ours_whole_is_times"))}
    return row


def speed(count: int, few: int, short: Spent, long: Spent) -> float:
    """Pictures a second without what ``few`` take; with it where that is not told apart."""
    left = long.wall_s - short.wall_s
    return (count - few) / left if left > 0 and count > few else count / long.wall_s


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """The tables of RESULTS.md: ``peers`` and ``peers.missing``."""
    lines = []
    for name, row in result["rows"].items():
        times, whole = (shown(row[key], 1) if key in row else "" for key in ("ours_is_times", "ours_whole_is_times"))
        must = MUSTS.get(name)
        wanted = "" if must is None or not times else \
            f"{must} {'yes' if must.met(row['ours_is_times']['median']) else 'no'}"
        cpu = f"{row['cpu_ms']['median']:.0f}" if "cpu_ms" in row else ""
        lines.append((name, row.get("net", ""), f"{row['fps']['median']:.1f}", cpu, times, whole, wanted))
    head = ("", "net", "pictures a second", "CPU ms a picture", "streamseg is times as fast", "start-up and all",
            "wanted")
    return {"peers": Table(head, lines),
            "peers.missing": Table(("not measured", "why"), list(result["not_here"].items()))}


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("peers", __doc__, device=True)
    add = bench.parser.add_argument
    add("--clip", type=Path, help="measure with this clip instead of a made one")
    add("--models", type=Path, help="folder with selfie_256x256.tflite")
    add("--only", nargs="+", choices=tuple(MAKERS), default=tuple(MAKERS), metavar="ROW", help="default all")
    add("--keep", type=Path, metavar="DIR", help="where the environments stay, default nowhere")
    add("--no-install", action="store_true", help="leave out what needs an environment")
    add("--photos", type=int, default=24, help="files in the folder, default %(default)s")
    chosen = bench.parse(words)
    with tempfile.TemporaryDirectory() as folder:
        stand = Stand(Path(folder), chosen.keep, chosen.clip, quick=chosen.quick, install=not chosen.no_install,
                      photos=chosen.photos)
        peers, missing = made(stand, chosen.only, chosen.models, chosen.device)
        rows = measure(stand, peers, chosen.repeats)
    result = {"device": chosen.device, "versions": stand.versions, "photos": stand.photos, "rows": rows,
              "not_here": missing}
    for table in tables(result).values():
        print(table.markdown(), end="\n\n")
    bench.save(result, chosen.out)


if __name__ == "__main__":
    start(main)
