"""Values of JSON bodies: good ones, and bad ones that are named."""

from __future__ import annotations

import pytest

from actors.venues.paper.bodies import COUNT_MAX, count_of, flag, measure, whole


def test_good_values_and_defaults():
    assert measure({"seconds": "0.5"}, "seconds", 1, 0, 10) == 0.5
    assert measure({}, "seconds", 1, 0, 10) == 1
    assert whole({"ms": -3}, "ms", 0, -5, 5) == -3
    assert (flag({"on": False}, "on", default=True), flag({}, "on", default=True)) == (False, True)
    assert (count_of({}), count_of({"count": COUNT_MAX})) == (1, COUNT_MAX)


@pytest.mark.parametrize("value", ["nan", "inf", "soon", None, True, -0.1, 10.1, 10**400, []])
def test_a_bad_number_is_named_with_its_bounds(value):
    with pytest.raises(ValueError, match="must be a number from 0 to 10") as error:
        measure({"seconds": value}, "seconds", 1, 0, 10)
    assert str(error.value).startswith(f"seconds: {value!r} ")


def test_a_fraction_is_no_whole_number():
    with pytest.raises(ValueError, match=r"leverage: 2\.5 must be a whole number"):
        whole({"leverage": 2.5}, "leverage", 1, 1, 125)


@pytest.mark.parametrize("value", ["false", 0, None])
def test_a_text_is_no_truth_value(value):
    with pytest.raises(ValueError, match=f"on: {value!r} must be true or false"):
        flag({"on": value}, "on", default=True)
