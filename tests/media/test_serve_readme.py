"""The commands of streamseg/serve/README.md, as they stand there, against a started server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import streamseg
from tests import clips, serve_tools
from tests.serve_tools import Client, decoded, photo, until

README = Path(streamseg.__file__).parent / "serve" / "README.md"
ADDRESS = "http://127.0.0.1:7000"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_first_steps_work_as_they_are_written(tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    part = text[text.index("## First steps"):text.index("## Pictures")]
    steps = re.findall(r"^    (curl .*?)(?:  +#.*)?$", part, re.M)
    assert len(steps) == 7
    photo(tmp_path / "photo.jpg", (128, 128))
    clips.video(tmp_path / "film.mp4", frames=3)
    with serve_tools.running(tmp_path / "home") as client:
        for step in steps[:4]:
            run(step, client, tmp_path)
            made = tmp_path / step.split()[-1]
            shape = decoded(made.read_bytes()).shape
            assert shape == (128, 128, 3 if made.suffix == ".jpg" else 4)
            made.unlink()
        job = json.loads(run(steps[4], client, tmp_path))
        until(lambda: json.loads(run(steps[5].replace("ID", job["id"]), client, tmp_path))["state"] == "done")
        run(steps[6].replace("ID", job["id"]), client, tmp_path)
    assert (tmp_path / "out.mp4").read_bytes()[4:8] == b"ftyp"


def run(command: str, client: Client, folder: Path) -> str:
    """Standard output of a command of the README, asked of ``client``'s server."""
    done = subprocess.run(["bash", "-c", command.replace(ADDRESS, client.base)], cwd=folder, capture_output=True,
                          text=True, check=True, timeout=120)
    return done.stdout
