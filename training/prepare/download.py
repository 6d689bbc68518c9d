"""Files from the web: resumed where they broke off, checked, and unpacked."""

from __future__ import annotations

import hashlib
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from streamseg.errors import SourceError

_CHUNK = 1 << 20
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Remote:
    """A file on the web and the MD5 that its publisher, or those who mirror it, state."""

    url: str
    md5: str

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[1]


def fetch(remote: Remote, folder: Path, tries: int = 5) -> Path:
    """Downloads into ``folder`` unless the file is there already; returns its path.

    What was loaded stays in NAME.part and is gone on from, in this call after a broken connection (``tries``
    times) and in later ones. The file appears under its name only when its checksum is right. Raises
    SourceError.
    """
    path = folder / remote.name
    if path.exists():
        _check(path, remote)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    for attempt in range(1, tries + 1):
        try:
            if _load(remote.url, part):
                break
            reason = "the connection was closed early"
        except urllib.error.HTTPError as error:
            raise SourceError(f"{remote.url} answers {error.code} {error.reason}: download it in another way "
                              f"and lay it down as {path}") from error
        except (OSError, HTTPException) as error:
            reason = str(error)
        print(f"{remote.name}: {reason} (try {attempt} of {tries})", flush=True)
    else:
        raise SourceError(f"{remote.url} could not be loaded in {tries} tries ({reason}); {part} is kept: "
                          "the same command goes on from there")
    _check(part, remote)
    part.replace(path)
    return path


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks a .zip or .tar.gz into ``folder``, once: a mark beside the archive says that it was done."""
    mark = archive.with_name(archive.name + ".unpacked")
    if mark.exists():
        return
    print(f"unpacking {archive.name}", flush=True)
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(folder)
        else:
            with tarfile.open(archive) as opened:
                opened.extractall(folder, filter="data")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise SourceError(f"{archive} cannot be unpacked ({error}): remove it and load it again") from error
    mark.touch()


def _load(url: str, part: Path) -> bool:
    """Loads what ``part`` lacks; whether it is whole now."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        reply = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to send: the checksum decides
            return True
        raise
    with reply:
        if reply.status != 206:  # a server that cannot resume sends all of it again
            have = 0
        length = reply.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as file:
            _copy(reply, file, have, total, part.stem)
        return total is None or part.stat().st_size == total


def _copy(reply: HTTPResponse, file: BinaryIO, done: int, total: int | None, name: str) -> None:
    told = time.monotonic()
    while chunk := reply.read(_CHUNK):
        file.write(chunk)
        done += len(chunk)
        if time.monotonic() - told > 10:
            told = time.monotonic()
            of = f" of {total / 1e6:.0f}" if total else ""
            print(f"{name}: {done / 1e6:.0f}{of} MB", flush=True)


def _check(path: Path, remote: Remote) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != remote.md5:
        path.unlink()
        raise SourceError(f"{path} had the MD5 {found}, not {remote.md5}, and was removed: run the command "
                          "again")
