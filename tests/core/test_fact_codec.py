"""Facts as the journal keeps them: read back as they were, also from earlier versions, or refused with what is wrong."""

from __future__ import annotations

import json
from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given, settings

from actors.assembly.simulation.world import World
from actors.core.enums import AccountStatus, Phase
from actors.core.errors import StateCorrupt
from actors.core.fact_codec import VERSION, decode, encode
from actors.core.facts import AccountCarried, BalanceAdjusted, LimitsChanged, PhaseChanged, StatusChanged
from actors.subaccount.fold import folded
from actors.subaccount.state_codec import state_hash
from tests.subaccount.days import STEPS, day_of


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_every_decision_of_a_day_is_read_back_as_it_was_to_the_text_of_each_number(steps):
    for facts, _ in day_of(steps).decisions:
        data = encode(facts)
        assert decode(VERSION, data) == facts
        assert encode(decode(VERSION, data)) == data


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_a_simulated_day_with_faults_is_what_its_decoded_facts_make(seed):
    """Crashes, lost connections and poison decisions: what is durable is the facts, and they are all of it."""
    world = World(seed)
    first, journal = dict(world.store.durable), {}
    committed = world.store._committed

    def noting(decision):
        refusal = committed(decision)
        if refusal is None:
            journal.setdefault(decision.stream, []).append(encode(decision.facts))
        return refusal

    world.store._committed = noting
    for second in range(25):
        if second == 12:
            world.generator.shock(None, -0.04, 3)
        world.second()
    assert sum(len(rows) for rows in journal.values()) > 200
    for id_, state in world.store.durable.items():
        found = first[id_]
        for row in journal.get(id_, ()):
            found = folded(found, decode(VERSION, row))
            found = msgspec.structs.replace(found, sequence=found.sequence + 1)
        assert found == state
        assert state_hash(found) == state_hash(state)


def test_a_decision_is_json_that_people_can_read():
    facts = (BalanceAdjusted(D("10.50"), "DEPOSIT"), StatusChanged(AccountStatus.FROZEN))
    assert json.loads(encode(facts)) == [
        {"fact": "BalanceAdjusted", "amount": "10.50", "reason": "DEPOSIT"},
        {"fact": "StatusChanged", "status": "FROZEN"},
    ]


WRONG = [
    (b"", "Input data was truncated"),
    (b"{}", "Expected `array`, got `object`"),
    (b'[{"amount":"1"}]', "missing required field `fact`"),
    (b'[{"fact":"CatFed"}]', r"Invalid value 'CatFed' - at `\$\[0\].fact`"),
    (b'[{"fact":"BalanceAdjusted","amount":1.5}]', "missing required field `reason`"),
    (b'[{"fact":"BalanceAdjusted","amount":"1","reason":7}]', r"Expected `str`, got `int` - at `\$\[0\].reason`"),
    (b'[{"fact":"BalanceAdjusted","amount":"NaN","reason":""}]', r"\[0\].amount is NaN, which is no number"),
    (b'[{"fact":"BalanceAdjusted","amount":"-Infinity","reason":""}]', r"\[0\].amount is -Infinity, which is no"),
    (b'[{"fact":"PhaseChanged","phase":"ASLEEP","refusals":0,"retry_at_ms":0}]', "Invalid enum value 'ASLEEP'"),
    (b"\xff", "malformed"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "text"), WRONG)
def test_what_is_no_fact_is_refused_and_says_why(data, text):
    with pytest.raises(StateCorrupt, match=rf"facts of version {VERSION} cannot be read: .*{text}"):
        decode(VERSION, data)


def test_a_reason_that_speaks_of_numbers_is_only_a_text():
    facts = (BalanceAdjusted(D(1), "NaN and Infinity"),)
    assert decode(VERSION, encode(facts)) == facts


# -- versions


def test_a_later_release_s_facts_are_refused_with_both_versions():
    with pytest.raises(
        StateCorrupt, match="facts of version 9, which is of a later release: this one knows 1"
    ):
        decode(9, encode([BalanceAdjusted(D(1), "")]))


def renamed(facts):
    """Version 0 said ``sum`` for what is ``amount`` now."""
    return [{**f, "amount": f.pop("sum")} if f["fact"] == "BalanceAdjusted" else f for f in facts]


def split(facts):
    """Version -1 froze by a fact of its own, in place of a status and a phase."""
    found = []
    for fact in facts:
        if fact["fact"] == "Frozen":
            found.append({"fact": "StatusChanged", "status": "FROZEN"})
            found.append({"fact": "PhaseChanged", "phase": fact["phase"], "refusals": 0, "retry_at_ms": 0})
        else:
            found.append(fact)
    return found


def test_facts_of_earlier_versions_are_upcast_step_by_step():
    old = b'[{"fact":"BalanceAdjusted","sum":"10.50","reason":"r"},{"fact":"Frozen","phase":"WARNING"}]'
    found = decode(-1, old, upcasts={-1: split, 0: renamed})
    assert found == (
        BalanceAdjusted(D("10.50"), "r"), StatusChanged(AccountStatus.FROZEN), PhaseChanged(Phase.WARNING, 0, 0),
    )  # fmt: skip
    assert str(found[0].amount) == "10.50"
    with pytest.raises(StateCorrupt, match="facts of version -1 cannot be read: nothing leads from -1 on"):
        decode(-1, old, upcasts={0: renamed})


def test_an_upcast_that_fails_names_its_step():
    old = b'[{"fact":"BalanceAdjusted","reason":"r"}]'
    with pytest.raises(StateCorrupt, match="facts of version 0 cannot be read: from 0 on, KeyError: 'sum'"):
        decode(0, old, upcasts={0: renamed})


def test_a_state_that_was_carried_over_goes_through_an_upcast_as_it_is():
    carried = AccountCarried(3, msgspec.Raw(b'{"account_id":"acct-1","balance":"10.50"}'))
    [found] = decode(0, encode([carried]), upcasts={0: lambda facts: facts})
    assert (found.version, bytes(found.state)) == (3, bytes(carried.state))


def test_a_new_field_with_a_default_reads_old_rows():
    """Rule 2: no upcast is needed for it."""
    [found] = decode(VERSION, b'[{"fact":"AccountOpened","mode":"ADL_30","maintenance_rate":"0.005"}]')
    assert found.below == ()
    assert decode(VERSION, encode([LimitsChanged((("max_positions", None),))]))
