"""What only ``streamseg serve`` may be told; the method's own are fields of Options (see SHARED).

Sizes are in megabytes (10^6 bytes) and megapixels (10^6 pixels), times in seconds unless the name says hours.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, fields
from pathlib import Path

from ..core.file_names import expanded
from ..errors import OptionError
from ..options import option
from ..validation import check_value, named, refuse_changed

# The fields of Options that are the server's own: requests cannot change them.
SHARED = ("threads", "device", "runtime")
TOKEN_VARIABLE = "STREAMSEG_TOKEN"
SECRET_VARIABLE = "STREAMSEG_WEBHOOK_SECRET"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Values are checked when the object is made: OptionError names the value and what is allowed."""

    # address
    host: str = option("127.0.0.1", "Server", "Address to listen on; another than this machine's own asks for "
                       "a token.", metavar="ADDRESS")
    port: int = option(7000, "Server", "Port to listen on; 0: any that is free.", low=0, high=65535,
                       metavar="N")
    folder: str | None = option(None, "Server", "Where jobs and their files are kept. Default: "
                                "$XDG_STATE_HOME/streamseg/serve, or ~/.local/state/streamseg/serve.",
                                metavar="FOLDER")

    # security
    token: str | None = option(None, "Security", "What requests must bring as X-Api-Key or Authorization: "
                               f"Bearer. Safer, for no list of processes shows them: --token-file, or {TOKEN_VARIABLE} "
                               "in the environment.", metavar="TEXT")
    token_file: str | None = option(None, "Security", "File that holds the token.", metavar="FILE")
    allow_origin: str | None = option(None, "Security", "Web pages of these addresses may call the server, as "
                                      "https://a.example,https://b.example; default: its own alone.",
                                      metavar="LIST")
    allow_host: str | None = option(None, "Security", "Other names the server goes by, as media.example, where "
                                    "it listens on this machine alone behind a proxy.", metavar="LIST")
    urls: bool = option(False, "Security", "Let requests name addresses that the server reads. Those of private "
                        "networks are refused.")
    webhook_secret_file: str | None = option(
        None, "Security", f"File with the key that webhooks are signed with; or {SECRET_VARIABLE} in the "
        "environment. Without one no webhook is sent.", metavar="FILE")

    # pictures
    max_upload: float = option(40.0, "Limits", "Megabytes of a picture's file.", low=0.001, metavar="MB")
    max_pixels: float = option(50.0, "Limits", "Megapixels of a picture.", low=0.001, high=134.0, metavar="MP")
    queue: int = option(64, "Limits", "Pictures that may be under way at once; more are answered 503.", low=1,
                        high=4096, metavar="N")
    time_limit: float = option(60.0, "Limits", "Seconds that a request for a picture may take.", low=0.1,
                               metavar="S")

    # films
    max_film: float = option(4000.0, "Limits", "Megabytes of a film's file.", low=0.001, metavar="MB")
    max_seconds: float = option(7200.0, "Limits", "Seconds that a film may last.", low=0.1, metavar="S")
    max_frames: int = option(500_000, "Limits", "Frames that a film may have.", low=1, metavar="N")
    max_film_pixels: float = option(9.5, "Limits", "Megapixels of a film's frames.", low=0.001, high=134.0,
                                    metavar="MP")
    max_jobs: int = option(100, "Limits", "Films that may wait; more are answered 503.", low=1, metavar="N")
    films: int = option(1, "Limits", "Films that are worked on at once.", low=1, high=64, metavar="N")
    film_time_limit: float = option(21_600.0, "Limits", "Seconds that the work on a film may take.", low=1,
                                    metavar="S")

    # cluster
    on: str = option("local", "Cluster", "Where films are worked on: local (a process of this machine for each), ray "
                     "(workers on this machine, or on the cluster that it is part of) or ray://HEAD:10001.",
                     metavar="local|ray|ray://HOST:PORT")
    cpus_per_worker: int = option(1, "Cluster", "CPUs of a worker on Ray, and its budget of threads; --films is the "
                                  "number of workers.", low=1, high=1024, metavar="N")
    gpus_per_worker: float = option(0.0, "Cluster", "GPUs of a worker on Ray; 0.5: two workers share one.", low=0.0,
                                    high=64, metavar="N")

    # live
    cameras: int = option(2, "Limits", "Cameras of browsers that may be live at once; each takes about two cores, and "
                          "more are answered 503.", low=0, high=64, metavar="N")

    # keeping
    keep_hours: float = option(24.0, "Keeping", "Hours after which a finished job and its files are deleted.",
                               low=0.001, metavar="H")
    keep_gb: float = option(20.0, "Keeping", "Gigabytes that all jobs' files may take; the oldest finished are "
                            "deleted first.", low=0.001, metavar="GB")
    idle: float = option(300.0, "Keeping", "Seconds without a picture after which the model is let go; it is "
                         "loaded again for the next. 0: never.", low=0, metavar="S")

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            check_value(item.name, value, item.metadata, str(item.type))
            if isinstance(value, str):
                named(item.name, value, "a text")
        if self.on not in ("local", "ray") and not self.on.startswith("ray://"):
            raise OptionError(f"on is {self.on!r}; it must be local, ray, or ray://HEAD:10001 of a cluster")
        if self.on == "local":
            refuse_changed(self, ("cpus_per_worker", "gpus_per_worker"), "of Ray only: give --on ray")
        if self.token is not None and self.token_file is not None:
            raise OptionError("token and token_file exclude each other: give one of them")
        token = self.secret_token()
        if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
            raise OptionError("the token must be printable ASCII without spaces, for it travels in a header")
        if not is_loopback(self.host) and token is None:
            raise OptionError(
                f"host is {self.host!r}, which other machines reach: give a token too (--token-file FILE, or "
                f"{TOKEN_VARIABLE} in the environment), or leave --host out")

    def secret_token(self) -> str | None:
        """The token that requests must bring; None if none is wanted. Raises OptionError for a file that
        cannot be read."""
        if self.token is not None:
            return self.token
        return _secret("token_file", self.token_file, TOKEN_VARIABLE)

    def webhook_secret(self) -> str | None:
        """The key that webhooks are signed with; None: there are none. Raises OptionError."""
        return _secret("webhook_secret_file", self.webhook_secret_file, SECRET_VARIABLE)

    def home(self) -> Path:
        """The folder that holds the jobs."""
        if self.folder is not None:
            return expanded(self.folder)
        state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        return expanded(state) / "streamseg" / "serve"

    def hosts(self) -> frozenset[str]:
        """The names that a request may call the server by; empty: any, for a token guards it."""
        if not is_loopback(self.host):
            return frozenset()
        return frozenset({"localhost", "127.0.0.1", "[::1]", self.host.lower(), *listed(self.allow_host)})

    def origins(self) -> frozenset[str]:
        """The web pages' origins that may call the server, besides its own."""
        return frozenset(listed(self.allow_origin))


def listed(text: str | None) -> list[str]:
    """The items of a list as a,b,c in small letters."""
    return [item.strip().lower().rstrip("/") for item in (text or "").split(",") if item.strip()]


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _secret(name: str, file: str | None, variable: str) -> str | None:
    if file is None:
        return os.environ.get(variable) or None
    try:
        text = expanded(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{name} is {file!r}, which cannot be read as a text: {error}") from error
    if not text:
        raise OptionError(f"{name} is {file!r}, which is empty: write the secret into it")
    return text
