"""``streamseg`` and ``python -m streamseg``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; never a traceback for what the user can mend."""
    from .cli import cli

    sys.exit(cli())


if __name__ == "__main__":
    main()
