"""A video source in PipeWire's graph: one pw_stream, which drives the graph at each picture."""

from __future__ import annotations

import ctypes
import os
import time
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import SinkError
from .pipewire_library import META_HEADER, PACKAGES, Header, buffers, header, library, video_format

COUNTS = 4, 2, 16  # buffers: one is written and one read, the others for programs that take long
_OUTPUT, _ANY, _MAP_BUFFERS, _DRIVER = 1, 0xFFFFFFFF, 1 << 2, 1 << 3  # pipewire/stream.h
_CONNECTING, _STREAMING = 1, 3  # enum pw_stream_state; -1 is an error, 0 unconnected
START = "start it: systemctl --user start pipewire wireplumber"


class PipeWireConnection:
    """A connection to the PipeWire of this user. ``version``: the library's.

    Its events are worked on by a thread of the library's own. Raises MissingDependencyError without the library,
    SinkError where that does not start, or no PipeWire answers.
    """

    def __init__(self) -> None:
        self.library = library()
        self.version = (self.library.pw_get_library_version() or b"").decode()
        self.loop = self.library.pw_thread_loop_new(b"streamseg", None)
        if not self.loop:
            raise SinkError(f"PipeWire's library does not start ({os.strerror(ctypes.get_errno())}): where its plugins "
                            f"are missing, install it again ({PACKAGES})")
        self._context = self.library.pw_context_new(self.library.pw_thread_loop_get_loop(self.loop), None, 0)
        self.core = self.library.pw_context_connect(self._context, None, 0) if self._context else None
        if not self.core:
            why = os.strerror(ctypes.get_errno())
            self.close()
            raise SinkError(f"no PipeWire answers this user ({why}): {START} ({PACKAGES})")

    def close(self) -> None:
        """End it, with all that belongs to it; may be called twice."""
        loop, self.loop = self.loop, None
        if loop:
            self.library.pw_thread_loop_stop(loop)
            if self._context:
                self.library.pw_context_destroy(self._context)
            self.library.pw_thread_loop_destroy(loop)


class PipeWireStream:
    """A camera ``name`` for other programs, with pictures in YUY2 of ``size`` (width, even, and height).

    Raises what PipeWireConnection raises, and SinkError where PipeWire does not take the camera.
    """

    def __init__(self, name: str, size: tuple[int, int], rate: Fraction) -> None:
        self._size, self._number = size, 0
        self._connection = PipeWireConnection()
        self._library = self._connection.library
        self._stream = self._library.pw_stream_new(self._connection.core, name.encode(), self._properties(name))
        stride = 2 * size[0]
        if not self._stream:
            self.close()
            raise SinkError("PipeWire makes no camera: is there memory left?")
        result = self._connect([video_format(size, rate.limit_denominator(100_000).as_integer_ratio()),
                                buffers(stride * size[1], stride, COUNTS), header()])
        if result >= 0:
            result = self._library.pw_thread_loop_start(self._connection.loop)
        if result < 0:
            self.close()
            raise SinkError(f"PipeWire does not take a camera ({os.strerror(-result)}): is another size or rate "
                            "of the pictures better (--size, --rate)? `streamseg doctor` tells what works here")

    def wanted(self) -> bool:
        """Whether a program takes pictures now. Raises SinkError where the connection is lost."""
        why = ctypes.c_char_p()
        self._library.pw_thread_loop_lock(self._connection.loop)
        try:
            state = self._library.pw_stream_get_state(self._stream, ctypes.byref(why))
            told = (why.value or b"").decode(errors="replace")
        finally:
            self._library.pw_thread_loop_unlock(self._connection.loop)
        if state < _CONNECTING:
            raise SinkError(f"PipeWire takes no more pictures ({told or 'the stream has ended'}): where it has "
                            f"stopped, {START}; with --reconnect streamseg waits for it")
        return bool(state == _STREAMING)

    def send(self, picture: npt.NDArray[np.uint8]) -> bool:
        """Send uint8 (height, 2 x width). False where the programs that look have given no buffer back: then it goes
        nowhere. Raises SinkError."""
        self._library.pw_thread_loop_lock(self._connection.loop)
        try:
            taken = self._library.pw_stream_dequeue_buffer(self._stream)
            if not taken:
                return False
            filled = self._fill(taken.contents.buffer.contents, picture)
            self._library.pw_stream_queue_buffer(self._stream, taken)
            self._library.pw_stream_trigger_process(self._stream)
        finally:
            self._library.pw_thread_loop_unlock(self._connection.loop)
        if not filled:
            raise SinkError("PipeWire gave memory that is too small or not mapped: please report this, with "
                            "`streamseg doctor`")
        return True

    def close(self) -> None:
        """Take the camera away; may be called twice."""
        stream, self._stream = self._stream, None
        if stream:
            self._library.pw_thread_loop_lock(self._connection.loop)
            self._library.pw_stream_destroy(stream)
            self._library.pw_thread_loop_unlock(self._connection.loop)
        self._connection.close()

    def _properties(self, name: str) -> Any:
        """What programs and portals know a camera by."""
        made = self._library.pw_properties_new_string(b"")
        for key, value in (("media.class", "Video/Source"), ("media.role", "Camera"), ("media.type", "Video"),
                           ("node.name", name), ("node.description", name)):
            self._library.pw_properties_set(made, key.encode(), value.encode())
        return made

    def _connect(self, parameters: list[bytes]) -> int:
        held = [ctypes.create_string_buffer(pod, len(pod)) for pod in parameters]
        listed = (ctypes.c_void_p * len(held))(*(ctypes.addressof(pod) for pod in held))
        return int(self._library.pw_stream_connect(self._stream, _OUTPUT, _ANY, _MAP_BUFFERS | _DRIVER, listed,
                                                   len(held)))

    def _fill(self, buffer: Any, picture: npt.NDArray[np.uint8]) -> bool:
        """Copy the picture into a buffer; False, and the buffer is marked as empty, where it does not fit."""
        data = buffer.datas[0]
        fits = bool(data.data) and data.maxsize >= picture.size
        if fits:
            place = (ctypes.c_uint8 * picture.size).from_address(data.data)
            np.copyto(np.frombuffer(memoryview(place), np.uint8).reshape(picture.shape), picture)
        chunk = data.chunk.contents
        chunk.offset, chunk.size, chunk.stride, chunk.flags = 0, picture.size if fits else 0, picture.shape[1], 0
        for number in range(buffer.n_metas):
            meta = buffer.metas[number]
            if meta.type == META_HEADER and meta.data and meta.size >= ctypes.sizeof(Header):
                told = Header.from_address(meta.data)
                told.flags, told.offset, told.dts_offset = 0, 0, 0
                told.pts, told.seq = time.monotonic_ns(), self._number
        self._number += 1
        return fits
