"""``streamseg`` and ``python -m streamseg``."""

from __future__ import annotations

import atexit
import gc
import os
import sys


def main() -> None:
    """Run the command line; never a traceback for what the user can mend."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # its warnings are no lines of ours; read when it is imported
    # At its end Python looks for cycles among all objects, some 60 ms: nothing is gained by it, the memory goes anyhow
    atexit.register(gc.freeze)
    try:
        from .cli import cli
        from .core.native_stderr import occupy_standard_descriptors, this_is_the_program

        occupy_standard_descriptors()
        this_is_the_program()
        sys.exit(cli())
    except KeyboardInterrupt:  # while modules are imported; in a run cli() takes it
        sys.exit(130)


if __name__ == "__main__":
    main()
