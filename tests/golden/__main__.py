"""Write the golden journal of a release: ``python -m tests.golden 0.3.0``, before its tag, when facts do not change any more.

It refuses to write one that exists: what a release has written stays as it is. Commit the file with the release.
"""

from __future__ import annotations

import argparse
import re
import sys

import msgspec

from tests.golden.journal import lines_of, path_of
from tests.golden.scenes import SCENES


def main(arguments=None):
    """Write it; 1 when there is one, 2 for a name that no release has."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("release", help="the version of the release, as 0.3.0")
    release = parser.parse_args(arguments).release
    if not re.fullmatch(r"\d+\.\d+\.\d+", release):
        parser.error(f"{release} is no version; it is three numbers, as 0.3.0")
    lines = [msgspec.json.encode(line) for scene in SCENES for line in lines_of(scene())]
    try:
        with path_of(release).open("xb") as file:
            file.writelines(line + b"\n" for line in lines)
    except FileExistsError:
        print(f"{path_of(release)} exists: what a release has written is never changed")
        return 1
    print(f"{path_of(release)}: {len(lines)} lines; commit it with the release")
    return 0


if __name__ == "__main__":
    sys.exit(main())
