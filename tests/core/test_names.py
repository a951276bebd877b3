"""One rule for ids and one for texts: what somebody can type, see and tell apart."""

from __future__ import annotations

import pytest

from actors.core.errors import BadInput
from actors.core.names import checked_id, checked_text, harmless, is_id, shown, told_text


@pytest.mark.parametrize("good", ["a", "7", "acct-1", "Ann.K_2", "a" * 64, "a..b"])
def test_an_id_is_what_a_path_a_file_and_a_person_can_take(good):
    assert checked_id(good, "account_id") == good


@pytest.mark.parametrize(
    "bad",
    ["", ".", "..", "-a", "_a", "a/b", "../etc", "a b", " a", "a ", "a\n", "a" * 65, "\u0430cct-1", "acct\u200b1", "a%2Fb", "[/]", "\x1b[2J", "é", "\u0661"],
)  # fmt: skip
def test_all_else_is_refused_by_name_and_nothing_of_it_reaches_a_terminal(bad):
    assert not is_id(bad)
    with pytest.raises(BadInput, match=r"account_id: .* cannot be an id; it must be 1 to 64 of") as caught:
        checked_id(bad, "account_id")
    assert str(caught.value).isprintable()
    assert str(caught.value).isascii()


@pytest.mark.parametrize("bad", ["a\x1b[31m", "two\nlines", "\0", "a\u202eb", "\ud800", "tab\t"])
def test_a_text_with_what_does_not_show_is_refused(bad):
    with pytest.raises(BadInput, match=r"reason: .* has a character that cannot be shown, U\+"):
        checked_text(bad, "reason")
    assert checked_text("odd fills [/] é 数", "reason") == "odd fills [/] é 数"
    with pytest.raises(BadInput, match="501 characters are too many"):
        checked_text("a" * 501, "reason")
    with pytest.raises(BadInput, match="reason: ' ' says nothing"):
        told_text(" ", "reason")


def test_what_an_error_repeats_is_short_and_shows():
    assert shown("x" * 5_000_000) == f"'{'x' * 80}' and 4,999,920 characters more"
    assert harmless("a\x1b[2Jb\r", 100) == "a\\x1b[2Jb\\r"
    assert len(harmless("y" * 5_000_000, 2_000)) < 2_100
    assert harmless("two\nlines", 100) == "two\nlines"
