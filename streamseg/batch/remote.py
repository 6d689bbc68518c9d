"""Object stores and what else fsspec reads: inputs and outputs of s3://, gs://, az://, memory://, sftp:// and others.

Films are read where they lie, in blocks that are kept for a while: the default cache of fsspec fetches a film of
44 MB whole for its first picture, blocks of 2 MiB fetch 2 to 9 MB. Pictures are fetched whole. Outputs are made as
local files, verified there, and then copied: an object appears when all of it is there, or not at all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import io
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.file_names import PICTURES
from ..errors import MissingDependencyError, OptionError, SinkError, SourceError, StreamsegError
from ..report import Report
from .addresses import is_remote
from .job import EXTRA, NULL

BLOCK = 2 * 2 ** 20  # bytes that are fetched at once
BLOCKS = 16          # and how many of them are kept: 32 MiB
# What stores call the sum or the time of an object
_MARKS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "updated", "mtime", "created")
_COPIED, _BUFFER = 2 ** 20, 2 ** 16


def file_system(address: str) -> tuple[Any, str]:
    """(fsspec's file system, the path in it) of an address. Raises MissingDependencyError, or OptionError for a
    scheme that fsspec does not know."""
    try:
        import fsspec
    except ImportError as error:
        raise MissingDependencyError(f"{address} is read through fsspec, which is not installed: "
                                     "pip install 'streamseg[cloud]'") from error
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise MissingDependencyError(f"{address}: {error}") from error
    except ValueError as error:
        raise OptionError(f"{address}: {error}; allowed are paths and addresses that FFmpeg or fsspec know, as s3://, "
                          "gs://, az://, https://") from error
    return found


@contextlib.contextmanager
def reading(address: str) -> Iterator[None]:
    """Turn what an object store raises into a SourceError; some of it is no OSError."""
    with _telling(address, SourceError, "cannot be read"):
        yield


@contextlib.contextmanager
def _telling(address: str, kind: type[StreamsegError], what: str) -> Iterator[None]:
    try:
        yield
    except StreamsegError:
        raise
    except FileNotFoundError as error:
        raise kind(f"{address} does not exist") from error
    except Exception as error:  # botocore's, google's and others' own trees
        raise kind(f"{address} {what}: {type(error).__name__}: {error}") from error


def exists(address: str) -> bool:
    """Whether something lies there. Raises SourceError."""
    with reading(address):
        system, path = file_system(address)
        return bool(system.exists(path))


def stamp(address: str) -> str | None:
    """What shows that an object is still the same (its ETag, or size and time); None where there is none."""
    system, path = file_system(address)
    try:
        told = system.info(path)
    except Exception:
        return None
    # not fsspec's ukey: of a listing and of the object itself the rest of what is told differs
    mark = next((told[name] for name in _MARKS if told.get(name)), "")
    return f"remote:{told.get('size')}:{mark}"


def size(address: str) -> int | None:
    """Bytes of an object, None where there is none."""
    system, path = file_system(address)
    try:
        return int(system.size(path))
    except Exception:
        return None


@contextlib.contextmanager
def opened(address: str, scratch: str) -> Iterator[Any]:
    """A path (in the folder ``scratch``) or a file object to read the input from. Raises SourceError."""
    with contextlib.ExitStack() as stack:
        with reading(address):
            system, path = file_system(address)
            suffix = os.path.splitext(path)[1].lower()
            if suffix in (*PICTURES, ".gif", ".apng"):
                local = os.path.join(scratch, os.path.basename(path))
                _fetched(system, path, local)
                source: Any = local
            else:
                stream = system.open(path, "rb", block_size=BLOCK, cache_type="blockcache",
                                     cache_options={"maxblocks": BLOCKS})
                # a plain file object: fsspec's has an ``info`` of its own, as a Source has
                source = stack.enter_context(contextlib.closing(io.BufferedReader(stream, _BUFFER)))
        yield source


def _fetched(system: Any, path: str, local: str) -> None:
    with system.open(path, "rb", cache_type="readahead") as stream, open(local, "wb") as copy:
        shutil.copyfileobj(stream, copy, _COPIED)


class Outputs:
    """Local stand-ins for a job's remote outputs: ``local`` names them, ``publish`` copies them to their places."""

    def __init__(self, folder: str, sinks: Sequence[str], options: Mapping[str, Any]) -> None:
        self._folder = folder
        self._pairs: list[tuple[str, str]] = []
        self.sinks = [self._local(target) for target in sinks]
        self.extra = {name: self._local(options[name]) for name in EXTRA if name in options}

    def _local(self, target: str) -> str:
        if target == NULL or not is_remote(target):
            return target
        place = os.path.join(self._folder, str(len(self._pairs)))
        os.mkdir(place)
        local = os.path.join(place, os.path.basename(target.rstrip("/")) + ("/" if target.endswith("/") else ""))
        self._pairs.append((local, target))
        return local

    def publish(self, *, replace: bool) -> None:
        """Copy all that was made. Raises SinkError; then what this call put there is gone again."""
        done: list[str] = []
        try:
            for local, target in self._pairs:
                for made, address in _files(local, target):
                    if not replace and exists(address):
                        raise SinkError(f"{address} exists; give another name, or --overwrite to replace it")
                    upload(made, address)
                    done.append(address)
        except BaseException:
            for address in () if replace else done:
                with contextlib.suppress(Exception):
                    system, path = file_system(address)
                    system.rm_file(path)
            raise

    def told(self, report: Report) -> Report:
        """``report`` with the outputs under their own names."""
        places = {os.path.abspath(local): target for local, target in self._pairs}
        outputs = [dataclasses.replace(output, path=places.get(os.path.abspath(output.path), output.path))
                   for output in report.outputs]
        return dataclasses.replace(report, outputs=outputs)


def _files(local: str, target: str) -> list[tuple[str, str]]:
    """(file, address) of a stand-in: one, those of a folder, or those of a pattern."""
    path = Path(local.rstrip("/"))
    if path.is_file():
        return [(str(path), target)]
    if path.is_dir():
        return [(str(file), f"{target.rstrip('/')}/{file.name}") for file in sorted(path.iterdir())]
    return [(str(file), f"{target.rpartition('/')[0]}/{file.name}") for file in sorted(path.parent.iterdir())]


def upload(local: str, address: str) -> None:
    """Copy a file to an address, whole or not at all. Raises SinkError.

    Never ``with``: leaving such a block by an exception commits what was written until then, over what was there.
    """
    with _telling(address, SinkError, "cannot be written"):
        system, path = file_system(address)
        parent = path.rpartition("/")[0]
        with contextlib.suppress(Exception):  # object stores have no folders, and buckets are not ours to make
            system.makedirs(parent, exist_ok=True)
        with system.transaction:  # what is written appears at its end, and is discarded if it fails
            stream = system.open(path, "wb")
            try:
                with open(local, "rb") as made:
                    shutil.copyfileobj(made, stream, _COPIED)
                stream.close()
            except BaseException:
                with contextlib.suppress(AttributeError):
                    stream.closed = True  # or s3fs would close it, and so commit, when it is collected
                raise
        system.invalidate_cache()
        if int(system.size(path)) != os.path.getsize(local):
            raise SinkError(f"{address} has {system.size(path)} bytes after it was written, not "
                            f"{os.path.getsize(local)}")


def listing(address: str) -> Iterator[tuple[str, str]] | None:
    """(address, name below it) of each object below a folder or of a glob; None where the address is one object.
    Raises SourceError."""
    with reading(address):
        system, path = file_system(address)
        scheme = address.partition("://")[0]
        if glob.has_magic(path):
            found, root = system.glob(path), path[:min(path.find(mark) for mark in "*?[" if mark in path)]
            root = root.rpartition("/")[0]
        elif address.endswith("/") or system.isdir(path):
            found, root = system.find(path), path.rstrip("/")
        else:
            return None
        root = root.strip("/")
    return ((f"{scheme}://{name.lstrip('/')}", name.lstrip("/")[len(root):].lstrip("/")) for name in sorted(found)
            if not name.endswith("/"))
