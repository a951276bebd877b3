"""What earlier releases wrote makes the same accounts today, to the hash; and the next release's journal has every fact.

Covers: actors/subaccount/state_codec.py, actors/core/fact_codec.py, actors/subaccount/fold.py
"""

from __future__ import annotations

from decimal import Decimal as D
from typing import get_args

import pytest
from msgspec import Raw
from msgspec.structs import replace

from actors.core.clearing_facts import ClearingFact
from actors.core.errors import StateCorrupt
from actors.core.facts import AnyFact
from actors.persistence.streams import kind_of
from actors.subaccount import fees, position
from tests.golden import __main__ as command
from tests.golden import journal
from tests.golden.journal import End, Row, check, lines_of, path_of, read, releases
from tests.golden.scenes import SCENES


def kinds(lines):
    rows = [line for line in lines if isinstance(line, Row)]
    return {type(fact) for row in rows for fact in kind_of(row.stream).facts(row.version, bytes(row.facts))}


@pytest.mark.parametrize("path", releases(), ids=lambda path: path.stem)
def test_what_a_release_wrote_makes_the_accounts_that_it_recorded(path):
    assert check(read(path)) > 100


def test_a_release_that_rounds_otherwise_makes_the_same_accounts_of_it(monkeypatch):
    """Facts carry what came out, so none of today's arithmetic is asked."""
    monkeypatch.setattr(position, "ENTRY_QUANTUM", D("0.01"))
    monkeypatch.setattr(fees, "ENTRY_QUANTUM", D("0.01"))
    for name in ("settle", "_margin"):
        monkeypatch.delattr(position, name)
    monkeypatch.delattr(position.Position, "cost_of")
    monkeypatch.delattr(position.Position, "excursions")
    for path in releases():
        check(read(path))


def test_there_is_one_since_the_first_release_with_a_journal():
    assert releases()[0] == path_of("0.3.0")
    assert len(kinds(read(path_of("0.3.0")))) == 31


def test_the_next_release_s_journal_will_have_every_kind_of_fact():
    """A fact that no scene has would be in no golden journal, and nothing would keep a later release to it."""
    lines = [line for scene in SCENES for line in lines_of(scene())]
    assert check(lines) > 100
    every = (*get_args(AnyFact), *get_args(ClearingFact))
    assert {k.__name__ for k in every} - {k.__name__ for k in kinds(lines)} == set()


# -- the check itself


def test_a_fact_that_is_changed_or_missing_is_found():
    lines = read(path_of("0.3.0"))
    deposit = next(n for n, line in enumerate(lines) if b'"DEPOSIT"' in bytes(getattr(line, "facts", b"")))
    more = replace(
        lines[deposit], facts=Raw(bytes(lines[deposit].facts).replace(b'"10000.50"', b'"10000.51"'))
    )
    assert more != lines[deposit]
    with pytest.raises(AssertionError, match="golden-trader 0: another hash"):
        check([*lines[:deposit], more, *lines[deposit + 1 :]])
    with pytest.raises((AssertionError, StateCorrupt)):
        check([*lines[:5], *lines[6:]])
    with pytest.raises(AssertionError, match="has no end"):
        check(lines[:5])


def test_a_snapshot_of_another_account_is_found():
    lines = read(path_of("0.3.0"))
    assert isinstance(lines[-1], End)
    other = Raw(bytes(lines[-1].state).replace(b'"deposits":"2000"', b'"deposits":"2001"'))
    with pytest.raises(
        AssertionError, match="golden-carried: the facts make another state than its snapshot"
    ):
        check([*lines[:-1], replace(lines[-1], state=other)])


def test_a_clearing_s_fact_that_is_changed_or_missing_is_found():
    lines = list(lines_of(SCENES[-1]()))
    assert (lines[0].stream, check(lines)) == ("clearing:ETHUSDT", 16)
    ended = next(n for n, line in enumerate(lines) if b'"REJECTED"' in bytes(getattr(line, "facts", b"")))
    other = Raw(bytes(lines[ended].facts).replace(b"-2019", b"-2020"))
    with pytest.raises(AssertionError, match=r"clearing:ETHUSDT \d+: another hash"):
        check([*lines[:ended], replace(lines[ended], facts=other), *lines[ended + 1 :]])
    with pytest.raises(AssertionError):
        check(lines[1:])
    with pytest.raises((AssertionError, StateCorrupt)):
        check([*lines[:3], *lines[4:]])


def test_the_command_writes_a_journal_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(journal, "FOLDER", tmp_path)
    assert command.main(["9.9.9"]) == 0
    assert check(read(tmp_path / "9.9.9.jsonl")) > 100
    before = (tmp_path / "9.9.9.jsonl").read_bytes()
    assert command.main(["9.9.9"]) == 1
    assert "is never changed" in capsys.readouterr().out
    assert (tmp_path / "9.9.9.jsonl").read_bytes() == before
    with pytest.raises(SystemExit):
        command.main(["next"])


def test_scenes_are_the_same_each_time():
    one, other = (
        [bytes(line.facts) for line in lines_of(SCENES[0]()) if isinstance(line, Row)] for _ in range(2)
    )
    assert one == other
