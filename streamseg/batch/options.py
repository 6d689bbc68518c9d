"""What only ``streamseg batch`` may be told; all else are fields of Options."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..options import OptionGroup, option
from ..validation import check_value, named, refuse_changed

GROUP = "Batch"
FORMATS = ("png", "webp", "tiff", "jpg")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamingOptions(OptionGroup):
    """How the outputs of a folder or of several inputs are called. ``run`` has these too."""

    format: str | None = option(None, GROUP, "Write pictures so; default: as they came where that format holds "
                                "what is asked for, else png.", choices=FORMATS)
    frames: bool = option(False, GROUP, "Write a film as numbered pictures: NAME/frame_00001.png.")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions(NamingOptions):
    """Values are checked when the object is made: OptionError names the value and what is allowed."""

    from_: str | None = option(None, GROUP, "A list of inputs: .csv, .jsonl or a line each; - is standard input. "
                               "A row may give options and an output of its own.", metavar="FILE", flag="--from")
    ledger: str | None = option(None, GROUP, "Where it is kept what is done; default: a hidden file in the output "
                                "folder.", metavar="PATH")
    resume: bool = option(True, GROUP, "Leave out what the ledger knows as done and what is still there as it was "
                          "written.", flag="--resume/--no-resume")
    retry_failed: bool = option(False, GROUP, "Try again what failed the last time.")
    skip_existing: bool = option(False, GROUP, "Leave out an input whose output exists, opens to its end and has "
                                 "the input's size and frames.")
    shard: str | None = option(None, GROUP, "Do the Ith of N parts of the list, counted from 0; auto: as Slurm, "
                               "AWS Batch or Kubernetes say in the environment (auto/N: they say I alone).",
                               metavar="I/N|auto")
    report: str | None = option(None, GROUP, "Write a line for each item: .csv, .jsonl or .json.", metavar="PATH")
    on: str | None = option(None, GROUP, "Where the work is done: ray (this machine, or the cluster that this "
                            "process is part of) or ray://HEAD:10001; default: in this process.", metavar="ray|ray://HOST:PORT")
    workers: int | None = option(None, GROUP, "Workers on Ray; default: as many as the CPUs allow.", low=1,
                                 high=100_000, metavar="N")
    cpus_per_worker: int = option(1, GROUP, "CPUs of a worker on Ray, and its budget of threads.", low=1, high=1024,
                                  metavar="N")
    gpus_per_worker: float = option(0.0, GROUP, "GPUs of a worker on Ray; 0.5: two workers share one.", low=0.0,
                                    high=64, metavar="N")
    split: float = option(300.0, GROUP, "On Ray: films of twice this many seconds and more are done in parts of about "
                          "this length; 0: never.", low=0.0, metavar="S")
    dry_run: bool = option(False, GROUP, "Plan and refuse, but do nothing.")

    def __post_init__(self) -> None:
        for item in fields(self):
            check_value(item.name, getattr(self, item.name), item.metadata, str(item.type))
        for name in ("from_", "ledger", "report"):
            named(name.rstrip("_"), getattr(self, name), "a file")
        if self.on is None:
            refuse_changed(self, ("workers", "cpus_per_worker", "gpus_per_worker", "split"),
                           "of Ray only: give --on ray")
