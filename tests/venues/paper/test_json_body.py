"""Values of JSON bodies: good ones, and bad ones that are named."""

from __future__ import annotations

import pytest

from actors.venues.paper.json_body import COUNT_MAX, read_count, read_flag, read_integer, read_number


def test_good_values_and_defaults():
    assert read_number({"seconds": "0.5"}, "seconds", 1, 0, 10) == 0.5
    assert read_number({}, "seconds", 1, 0, 10) == 1
    assert read_integer({"ms": -3}, "ms", 0, -5, 5) == -3
    assert (read_flag({"on": False}, "on", default=True), read_flag({}, "on", default=True)) == (False, True)
    assert (read_count({}), read_count({"count": COUNT_MAX})) == (1, COUNT_MAX)


@pytest.mark.parametrize("value", ["nan", "inf", "soon", None, True, -0.1, 10.1, 10**400, []])
def test_a_bad_number_is_named_with_its_bounds(value):
    with pytest.raises(ValueError, match="must be a number from 0 to 10") as error:
        read_number({"seconds": value}, "seconds", 1, 0, 10)
    assert str(error.value).startswith(f"seconds: {value!r} ")


def test_a_fraction_is_not_an_integer():
    with pytest.raises(ValueError, match=r"leverage: 2\.5 must be an integer"):
        read_integer({"leverage": 2.5}, "leverage", 1, 1, 125)


@pytest.mark.parametrize("value", ["false", 0, None])
def test_a_text_is_not_a_boolean(value):
    with pytest.raises(ValueError, match=f"on: {value!r} must be true or false"):
        read_flag({"on": value}, "on", default=True)
