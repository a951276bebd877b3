"""What the official SDK and ccxt say of the protocol, read once from the installed packages."""

from __future__ import annotations

import pytest

from tests.clients.running import run_script


@pytest.fixture(scope="session")
def tables():
    return run_script("tables.py")
