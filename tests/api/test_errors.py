"""Each class of errors has its status code, and every error the same body."""

from __future__ import annotations

import inspect

import pykka
import pytest
from litestar.exceptions import NotAuthorizedException

from actors.api.errors import ERROR_MAX, Conflict, NotFound, error_response
from actors.core import errors

STATUS = {
    "BadInput": 400, "BadConfig": 400, "NotKept": 400, "Refused": 429, "NotDurable": 503, "Fenced": 503, "StoreUnreachable": 503,
    "StoreBusy": 503, "Overloaded": 503, "NotRecorded": 503, "ExchangeUnreachable": 502, "ExchangeBusy": 503,
    "VenueRefused": 502, "RedisUnreachable": 503, "RedisRefused": 503, "BooksWrong": 500,
    "OtherHistory": 409,
}  # fmt: skip
OURS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_errors_of_ours(kind):
    answer = error_response(None, kind("no, because"))
    assert answer.status_code == STATUS.get(kind.__name__, 504)
    assert answer.content == {"error": {"code": kind.__name__, "message": "no, because"}}
    assert answer.headers.get("retry-after") == ("1" if kind is errors.Overloaded else None)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("there is no account 'x'"), 404),
        (Conflict("another request was first"), 409),
        (pykka.ActorDeadError("acct-1 is stopped"), 409),
        (pykka.Timeout("late"), 504),
        (RecursionError("deep"), 400),
        (NotAuthorizedException("wrong token"), 401),
        (ZeroDivisionError("division"), 500),
    ],
)
def test_other_errors(error, status):
    assert error_response(None, error).status_code == status


def test_what_a_message_repeats_is_cut_and_cannot_command_a_terminal():
    message = error_response(None, NotFound("\x1b[2J" + "x" * 10_000)).content["error"]["message"]
    assert len(message) < ERROR_MAX + 100
    assert "\x1b" not in message
