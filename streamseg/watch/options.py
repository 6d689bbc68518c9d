"""What only ``streamseg watch`` may be told; all else are fields of Options and of batch's NamingOptions."""

from __future__ import annotations

from dataclasses import dataclass

from ..options import OptionGroup, option

GROUP = "Watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions(OptionGroup):
    """Values are checked when the object is made: OptionError names the value and what is allowed."""

    settle: float = option(2.0, GROUP, "Take a file when its size and time have not changed for so many seconds.",
                           low=0.0, high=3600.0, metavar="S")
    rescan: float = option(10.0, GROUP, "Look through the whole folder every so many seconds, for changes that the "
                           "system does not tell of, as on network shares.", low=0.1, high=86_400.0, metavar="S")
    patience: float = option(60.0, GROUP, "Give up a file that is not whole when it has not changed for so many "
                             "seconds.", low=0.0, high=86_400.0, metavar="S")
    retry_failed: bool = option(False, GROUP, "Try again what failed before.")
    once: bool = option(False, GROUP, "End when all that is there has been done.")
