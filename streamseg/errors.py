"""Everything that streamseg raises on purpose.

    StreamsegError                 exit code 1
    ├── OptionError                a value that is not allowed; exit code 2
    ├── MissingDependencyError     a package or a system library is not installed
    ├── SourceError                the input cannot be opened or read
    │   ├── DamagedInputError      it could be opened, but a part of it does not decode
    │   └── SourceTimeoutError     nothing came from it for too long
    ├── SinkError                  the output cannot be made or written
    ├── SegmentError               a method failed, or gave something that is not a matte
    ├── NoSubjectError             nobody was found, and the run was told that there must be somebody
    ├── DeviceError                the device or runtime that was asked for is not there
    └── StallError                 a stage of the pipeline stopped moving

Each message names the value, what is allowed or what happened, and the remedy. A StreamsegError is
shown to the user as one line, without a traceback; any other exception is a defect of streamseg.
"""

from __future__ import annotations


class StreamsegError(Exception):
    """Base of all errors that streamseg raises on purpose. ``exit_code`` is what the CLI ends with."""

    exit_code = 1


class OptionError(StreamsegError, ValueError):
    """A value that is not allowed, or two values that exclude each other."""

    exit_code = 2


class MissingDependencyError(StreamsegError, ImportError):
    """A package or a system library is needed and not there; the message says how to install it."""


class SourceError(StreamsegError, OSError):
    """The input cannot be opened or read."""


class DamagedInputError(SourceError):
    """A part of the input does not decode."""


class SourceTimeoutError(SourceError, TimeoutError):
    """No data came from the input within the read timeout."""


class SinkError(StreamsegError, OSError):
    """The output cannot be made, written or verified."""


class SegmentError(StreamsegError, RuntimeError):
    """A method failed, or what it returned is not a matte."""


class NoSubjectError(StreamsegError, RuntimeError):
    """No subject was found in any frame, and one was required."""


class DeviceError(StreamsegError, RuntimeError):
    """The device or runtime that was asked for is not there."""


class StallError(StreamsegError, TimeoutError):
    """A stage of the pipeline stopped moving."""
