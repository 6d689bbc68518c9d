"""Runs the application in uvicorn until it is told to stop."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from ..core.opencv import cv2
from ..core.thread_budget import Threads
from ..errors import OptionError, StreamsegError
from ..options import MethodOptions
from ..segment import create_segmenter
from .app import create_app
from .options import ServeOptions

CONNECTIONS = 512  # at once; more are answered 503 by uvicorn
PATIENCE = 30      # seconds that requests under way get when the server is told to stop


def _say_first_lines(method: MethodOptions) -> None:
    """Have LiteRT write its line on standard error now: later the server's threads are there, and only where there is
    one thread can it be kept off (core/native_stderr.py)."""
    with contextlib.suppress(StreamsegError):  # the engine says why it does not run
        create_segmenter("person", {"detail": "low"}, threads=1, device=method.device, runtime=method.runtime).close()


class _Server(uvicorn.Server):
    """Says when it listens, and where; and when it is about to end, before it waits for requests under way."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[str], None], ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening, self._ending = listening, ending

    async def startup(self, sockets: Any = None) -> None:
        """Open the port, then tell."""
        await super().startup(sockets)
        if self.started and self.servers:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            self._listening(f"http://{shown}:{port}/")

    async def shutdown(self, sockets: Any = None) -> None:
        """Tell, so that what has no end of its own (a job's events) does not hold the server up; then end."""
        self._ending()
        await super().shutdown(sockets)


def _why(error: BaseException | None) -> str:
    """Why uvicorn could not listen, with the remedy: the system's error is what its exit came out of."""
    while error is not None and not isinstance(error, OSError):
        error = error.__context__
    if isinstance(error, socket.gaierror):
        return "the name is not known here: --host takes an address of this machine"
    if isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL:
        return "that is no address of this machine: --host takes one, or 0.0.0.0 for all"
    if isinstance(error, PermissionError):
        return "the system keeps ports below 1024 to itself: give --port 7000, or another above"
    return "is it taken by another program? --port 0 takes any that is free"


def serve(options: ServeOptions, *, method: MethodOptions | None = None,
          listening: Callable[[str], None] = lambda address: None) -> None:
    """Serve until Ctrl-C or SIGTERM. ``listening`` is called with the address, once it is open.

    Raises OptionError for an address that cannot be listened on.
    """
    _say_first_lines(method or MethodOptions())
    app = create_app(options, method=method)
    config = uvicorn.Config(app, options.host, options.port, log_config=None, access_log=False,
                            limit_concurrency=CONNECTIONS, timeout_keep_alive=15, server_header=False,
                            date_header=True, timeout_graceful_shutdown=PATIENCE, lifespan="on", ws_max_size=1 << 20,
                            proxy_headers=False, log_level="critical")
    server = _Server(config, listening, app.state.jobs.end_events)
    before = cv2.getNumThreads()
    # the workers are the threads, and the process is the server's own
    cv2.setNumThreads(Threads.of(method.threads if method else None).opencv)
    try:
        server.run()
    except SystemExit as error:  # uvicorn's way to say that it did not start
        if app.state.failure is not None:
            raise app.state.failure from None
        raise OptionError(f"the server does not start on {options.host} port {options.port}: {_why(error)}") from error
    finally:
        cv2.setNumThreads(before)
