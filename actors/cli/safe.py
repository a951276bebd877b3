"""Text from outside made safe: control and invisible characters are replaced by visible signs.

An id, a reason or an error message may hold escape sequences, which move the cursor or set the window's
title, and characters that reverse or hide what follows. Each such character becomes one visible
one, so that widths, styles and positions stay as they were.
"""

from __future__ import annotations

import re

SUSPECT = re.compile(r"[^ -~\n\t]")
"""What is looked at one by one; megabytes of the rest are passed over at once."""

PICTURES = 0x2400
"""The first of Unicode's signs for control characters."""
DELETE, DELETE_PICTURE = "\x7f", "\u2421"
UNKNOWN = "\ufffd"

BEYOND_ONE_UNIT = 0x10000
"""From here on JSON's escapes are pairs."""


def safe(text: str) -> str:
    """A text of the same length without control characters, escapes, and invisible or reversing characters."""
    if text.isprintable():
        return text
    return SUSPECT.sub(lambda c: c[0] if c[0].isprintable() else _sign(c[0]), text)


def _sign(character: str) -> str:
    if character < " ":
        return chr(PICTURES + ord(character))
    return DELETE_PICTURE if character == DELETE else UNKNOWN


def escaped(json: str) -> str:
    """JSON with the same meaning and without such characters, which occur only inside its strings."""
    if json.isprintable():
        return json
    return SUSPECT.sub(lambda c: c[0] if c[0].isprintable() else _escape(c[0]), json)


def _escape(character: str) -> str:
    number = ord(character)
    if number < BEYOND_ONE_UNIT:
        return f"\\u{number:04x}"
    high, low = divmod(number - BEYOND_ONE_UNIT, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
