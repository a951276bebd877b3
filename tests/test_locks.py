"""The locks have what every Python needs that we say is enough, and not only the one that they were made with."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
@pytest.mark.parametrize("python", ["3.11.0", "3.11.2", "3.12.0", "3.13.0"])
def test_a_lock_has_what_each_python_needs(name, python):
    """Debian 12 has 3.11.2: there redis needs async-timeout, and 'make setup' failed for want of its hash."""
    pinned = {canonicalize_name(found) for found in PINNED.findall((ROOT / name).read_text())}
    environment = {
        **default_environment(), "python_full_version": python, "python_version": python.rpartition(".")[0], "extra": "",
    }  # fmt: skip
    missing = []
    for package in sorted(pinned):
        try:
            needed = [Requirement(text) for text in requires(package) or ()]
        except PackageNotFoundError:
            continue  # of another system
        missing += [
            f"{package} needs {one}"
            for one in needed
            if (one.marker is None or one.marker.evaluate(environment))
            and canonicalize_name(one.name) not in pinned
        ]
    assert missing == []
