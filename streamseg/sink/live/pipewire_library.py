"""libpipewire-0.3 by ctypes: what a video source needs of its C interface, and parameters in its format, SPA pods.

Functions and structures: pipewire/{stream,thread-loop,context,core,properties}.h and spa/buffer/{buffer,meta}.h;
pods: spa/pod/pod.h; numbers: spa/utils/type.h, spa/param/{param,format,buffers}.h, spa/param/video/{raw,color}.h,
all of PipeWire 0.3.65. They are the stable interface of libpipewire-0.3.so.0, which 1.x has too; later versions add to
the ends of structures only. Nothing here calls back into Python.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

from ...errors import MissingDependencyError

NAME = "libpipewire-0.3.so.0"
PACKAGES = "Debian, Ubuntu: apt install pipewire wireplumber"


class Chunk(ctypes.Structure):
    """struct spa_chunk: which part of a Data is filled. ``stride``: bytes of a row."""

    _fields_ = (("offset", c_uint32), ("size", c_uint32), ("stride", c_int32), ("flags", c_int32))


class Data(ctypes.Structure):
    """struct spa_data: a piece of memory. ``data``: where it is mapped; ``maxsize``: its bytes."""

    _fields_ = (("type", c_uint32), ("flags", c_uint32), ("fd", c_int64), ("mapoffset", c_uint32),
                ("maxsize", c_uint32), ("data", c_void_p), ("chunk", POINTER(Chunk)))


class Meta(ctypes.Structure):
    """struct spa_meta: what a buffer says beside the picture; ``data`` is a Header where ``type`` is META_HEADER."""

    _fields_ = (("type", c_uint32), ("size", c_uint32), ("data", c_void_p))


class Header(ctypes.Structure):
    """struct spa_meta_header. ``pts``: nanoseconds of CLOCK_MONOTONIC."""

    _fields_ = (("flags", c_uint32), ("offset", c_uint32), ("pts", c_int64), ("dts_offset", c_int64),
                ("seq", c_uint64))


class SpaBuffer(ctypes.Structure):
    """struct spa_buffer."""

    _fields_ = (("n_metas", c_uint32), ("n_datas", c_uint32), ("metas", POINTER(Meta)), ("datas", POINTER(Data)))


class Buffer(ctypes.Structure):
    """struct pw_buffer, its beginning: the library makes it."""

    _fields_ = (("buffer", POINTER(SpaBuffer)), ("user_data", c_void_p), ("size", c_uint64))


_FUNCTIONS = {  # name -> result, arguments
    "pw_init": (None, c_void_p, c_void_p),
    "pw_get_library_version": (c_char_p,),
    "pw_properties_new_string": (c_void_p, c_char_p),
    "pw_properties_set": (c_int, c_void_p, c_char_p, c_char_p),
    "pw_thread_loop_new": (c_void_p, c_char_p, c_void_p),
    "pw_thread_loop_get_loop": (c_void_p, c_void_p),
    "pw_thread_loop_start": (c_int, c_void_p),
    "pw_thread_loop_stop": (None, c_void_p),
    "pw_thread_loop_lock": (None, c_void_p),
    "pw_thread_loop_unlock": (None, c_void_p),
    "pw_thread_loop_destroy": (None, c_void_p),
    "pw_context_new": (c_void_p, c_void_p, c_void_p, c_size_t),
    "pw_context_connect": (c_void_p, c_void_p, c_void_p, c_size_t),
    "pw_context_destroy": (None, c_void_p),
    "pw_stream_new": (c_void_p, c_void_p, c_char_p, c_void_p),
    "pw_stream_connect": (c_int, c_void_p, c_int, c_uint32, c_int, POINTER(c_void_p), c_uint32),
    "pw_stream_get_state": (c_int, c_void_p, POINTER(c_char_p)),
    "pw_stream_dequeue_buffer": (POINTER(Buffer), c_void_p),
    "pw_stream_queue_buffer": (c_int, c_void_p, POINTER(Buffer)),
    "pw_stream_trigger_process": (c_int, c_void_p),
    "pw_stream_destroy": (None, c_void_p),
}


def library() -> ctypes.CDLL:
    """libpipewire, ready for use. Raises MissingDependencyError where it is absent or too old."""
    if not sys.platform.startswith("linux"):
        raise MissingDependencyError("PipeWire is part of Linux desktops; here --to virtual is a camera for calls")
    try:
        found = ctypes.CDLL(NAME, use_errno=True)
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
    except OSError as error:
        raise MissingDependencyError(f"{NAME} cannot be loaded ({error}): install PipeWire ({PACKAGES})") from error
    except AttributeError as error:
        raise MissingDependencyError(f"{NAME} is older than PipeWire 0.3.34 ({error}): install a newer PipeWire"
                                     ) from error
    found.pw_init(None, None)  # counted by the library: again is no harm
    return found


# SPA pods: each is its size and type, then its body, filled up to 8 bytes

_ID, _INT, _RECTANGLE, _FRACTION, _OBJECT, _CHOICE = 3, 4, 10, 11, 15, 19  # enum spa_type
_RANGE, _FLAGS = 1, 4  # enum spa_choice_type
_FORMAT, _PARAM_BUFFERS, _PARAM_META = 0x40003, 0x40004, 0x40005  # enum spa_type
_ENUM_FORMAT, _BUFFERS, _META = 3, 5, 6  # enum spa_param_type
_VIDEO, _RAW, _YUY2 = 2, 1, 4  # enum spa_media_type, spa_media_subtype, spa_video_format
_RANGE_16_235, _MATRIX_BT601 = 2, 4  # enum spa_video_color_range, spa_video_color_matrix
_MEM_PTR, _MEM_FD = 1, 2  # enum spa_data_type
META_HEADER = 1  # enum spa_meta_type


def video_format(size: tuple[int, int], rate: tuple[int, int]) -> bytes:
    """The format that is offered: YUY2 of this size and rate, limited range, BT.601, as webcams give it."""
    start = 0x20000
    return _object(_FORMAT, _ENUM_FORMAT, {
        1: _pod(_ID, _VIDEO), 2: _pod(_ID, _RAW), start + 1: _pod(_ID, _YUY2), start + 3: _pod(_RECTANGLE, *size),
        start + 4: _pod(_FRACTION, *rate), start + 12: _pod(_ID, _RANGE_16_235), start + 13: _pod(_ID, _MATRIX_BT601)})


def buffers(size: int, stride: int, counts: tuple[int, int, int]) -> bytes:
    """The memory that is asked for: buffers of ``size`` bytes, mapped. ``counts``: how many, at least, at most."""
    return _object(_PARAM_BUFFERS, _BUFFERS, {
        1: _choice(_RANGE, counts), 2: _pod(_INT, 1), 3: _pod(_INT, size), 4: _pod(_INT, stride),
        6: _choice(_FLAGS, [1 << _MEM_PTR | 1 << _MEM_FD])})


def header() -> bytes:
    """That a Header is wanted beside each picture."""
    return _object(_PARAM_META, _META, {1: _pod(_ID, META_HEADER), 2: _pod(_INT, ctypes.sizeof(Header))})


def _pod(kind: int, *values: int) -> bytes:
    return _padded(kind, struct.pack(f"={len(values)}I", *values))


def _choice(kind: int, values: Sequence[int]) -> bytes:
    """A choice among integers; the first is the default."""
    return _padded(_CHOICE, struct.pack(f"={4 + len(values)}I", kind, 0, 4, _INT, *values))


def _object(kind: int, number: int, properties: dict[int, bytes]) -> bytes:
    listed = b"".join(struct.pack("=II", key, 0) + value for key, value in properties.items())
    return _padded(_OBJECT, struct.pack("=II", kind, number) + listed)


def _padded(kind: int, body: bytes) -> bytes:
    return struct.pack("=II", len(body), kind) + body + bytes(-len(body) % 8)
