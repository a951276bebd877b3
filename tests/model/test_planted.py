"""The model notices: faults planted into the engine, each within so many sequences as it says."""

from __future__ import annotations

import pytest

from tests.model.planted import FAULTS, Fault, noticed, planted


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_noticed(fault):
    with planted(fault):
        found = noticed(fault.within)
    assert found is not None, f"{fault.within} sequences did not notice: {fault.name}"


def test_a_fault_that_no_longer_fits_the_source_is_an_error_and_no_success():
    fault = Fault("gone", "adl", "tier_met", "no such text", "", 1)
    with pytest.raises(ValueError, match="0 times in adl"), planted(fault):
        pass


def test_the_engine_is_sound_again_afterwards():
    with planted(FAULTS[0]):
        pass
    assert noticed(3) is None
