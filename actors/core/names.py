"""One rule for ids, and one for texts, of whatever comes from outside.

An id is part of paths, of file names and of lines in a terminal, and people tell two of them apart by looking.
A text is shown in a terminal, where a control character is a command.
"""

from __future__ import annotations

import re

from actors.core.errors import BadInput

ID_MAX = 64
ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{ID_MAX - 1}}}", re.ASCII)
ID_RULE = f"1 to {ID_MAX} of A-Z a-z 0-9 . _ -, beginning with a letter or a digit"

TEXT_MAX = 500
SHOWN_MAX = 80
"""Characters of a bad value that an error repeats."""


def is_id(text: str) -> bool:
    """Whether a text can be an id."""
    return ID.fullmatch(text) is not None


def checked_id(text: str, name: str) -> str:
    """An id.

    Raises:
        BadInput: it cannot be one; names it and the rule.
    """
    if not is_id(text):
        raise BadInput(f"{name}: {shown(text)} cannot be an id; it must be {ID_RULE}")
    return text


def checked_text(text: str, name: str, most: int = TEXT_MAX) -> str:
    """A text that can be shown in one line.

    Raises:
        BadInput: too long, or with a control character or another one that does not show.
    """
    if len(text) > most:
        raise BadInput(f"{name}: {len(text):,} characters are too many; at most {most} are taken")
    if not text.isprintable():
        bad = next(c for c in text if not c.isprintable())
        raise BadInput(
            f"{name}: {shown(text)} has a character that cannot be shown, U+{ord(bad):04X}; leave it out"
        )
    return text


def told_text(text: str, name: str) -> str:
    """A text that says something, without blanks around it.

    Raises:
        BadInput: as ``checked_text``; or nothing is left of it.
    """
    told = checked_text(text, name).strip()
    if not told:
        raise BadInput(f"{name}: {shown(text)} says nothing; give one")
    return told


def shown(text: str, most: int = SHOWN_MAX) -> str:
    """A bad value as an error repeats it: in quotes, what does not show escaped, and cut."""
    told = ascii(text[:most])
    return f"{told} and {len(text) - most:,} characters more" if len(text) > most else told


def harmless(text: str, most: int) -> str:
    """A text of unknown origin for an answer or a log: cut, and what does not show in a terminal escaped."""
    cut = text if len(text) <= most else f"{text[:most]}... ({len(text) - most:,} characters more)"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in cut)
