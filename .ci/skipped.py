"""Print the test files in which pytest skipped a test for want of a package, from its JUnit file (xunit1)."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

MISSING = re.compile(r"install|could not import", re.IGNORECASE)


def files(report: str) -> list[str]:
    """The files, each once, in the report's order."""
    found: dict[str, None] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        skipped = case.find("skipped")
        if skipped is not None and MISSING.search(f"{skipped.get('message')} {skipped.text}"):
            # a module that was skipped whole has no file, and its dotted name as the test's
            name = case.get("file") or case.get("name", "").replace(".", "/") + ".py"
            if not Path(name).is_file():
                raise SystemExit(f"{report}: no file {name}")
            found[name] = None
    return list(found)


if __name__ == "__main__":
    print(*files(sys.argv[1]), sep="\n")
