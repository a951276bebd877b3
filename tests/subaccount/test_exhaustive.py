"""Nothing that exists is forgotten: mypy sees the unions, and these tests see that the unions have everything."""

from __future__ import annotations

from typing import get_args

from actors.core import messages
from actors.core.clearing_facts import Allocation, ClearingFact, Member
from actors.core.facts import AnyFact, Fact
from actors.core.fees import FeeBooked, FeeLearned
from actors.core.messages import FaultOnPurpose, Message
from actors.core.replay_codec import REPLAYABLE
from actors.subaccount.commands import CAUSES, Command
from actors.subaccount.decide import AccountMessage

NOT_FOR_ACCOUNTS = {
    "Tick",
    "RegisterTriggers",
    "LoseTriggers",
    "AskRate",
    "AskFunding",
    "Ping",
    "FaultOnPurpose",
}
"""Messages of ``actors.core.messages`` that ``decide`` never sees: for feed and router, or served by every actor."""


def test_every_fact_is_in_the_union_that_fold_storage_and_alerts_match():
    of_clearing = {*get_args(ClearingFact), Member, Allocation}
    assert set(get_args(AnyFact)) == {*Fact.__subclasses__(), FeeLearned, FeeBooked} - of_clearing


def test_every_message_is_one_that_accounts_decide_on_or_is_named_here():
    known = {c.__name__ for c in vars(messages).values() if isinstance(c, type) and issubclass(c, Message)}
    decided_on = {c.__name__ for c in get_args(AccountMessage)}
    assert known - {"Message"} == decided_on | NOT_FOR_ACCOUNTS
    assert not decided_on & NOT_FOR_ACCOUNTS


def test_every_command_of_an_operator_names_the_cause_of_what_follows():
    assert set(CAUSES) == set(get_args(Command))


def test_every_message_of_an_account_can_be_replayed_from_a_dead_letter():
    assert set(REPLAYABLE.values()) == {*get_args(AccountMessage), FaultOnPurpose}
