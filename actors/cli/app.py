"""The root of the command line: each noun's file adds its commands to ``app``, with ``@app.command``."""

from __future__ import annotations

from importlib.metadata import version

import cyclopts

from actors.cli.common import err
from actors.cli.hints import explained

app = cyclopts.App(
    name="bulkhead",
    help="Thousands of virtual sub-accounts over one exchange master account, one actor each.",
    help_format="plaintext",
    version=lambda: f"bulkhead {version('bulkhead')}",
    error_console=err,
    error_formatter=explained,
)
