"""Schemathesis against the served OpenAPI document: whatever is sent, no answer is a 5xx.

The routes are not listed here: a new one is tried without a change of this file.

Covers: actors/api/parameters.py
"""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from tests.api.documents import operations
from tests.e2e.processes import open_positions, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

EXAMPLES = 25

ENGINE_STOPPERS = ("/v1/actors/{name}/trace",)
"""Streams that last as long as they were asked to; tests/e2e/test_operators.py has them."""


@pytest.fixture(scope="module")
def served(engine):
    answers = open_positions(engine.client, 5)
    cause = engine.client.get(f"/v1/orders/{answers[0]['client_order_id']}")["cause"]
    for n in range(3):
        engine.client.post("/v1/accounts/acct-5/fault", {"reason": str(n)})
    until(lambda: len(engine.client.get("/v1/deadletters")) == 3, "dead letters")
    address = engine.client.address
    headers = {"Authorization": f"Bearer {address.token}"}
    schema = schemathesis.openapi.from_url(f"{address.url}/schema/openapi.json", headers=headers)
    return schema, address, headers, cause


OPERATIONS = sorted(o for o in operations() if o[1] not in ENGINE_STOPPERS)


def test_every_path_of_the_document_is_tried(served):
    schema, *_ = served
    documented = {
        (method.upper(), path)
        for path, item in schema.raw_schema["paths"].items()
        for method in item
        if path not in ENGINE_STOPPERS
    }
    assert documented == set(OPERATIONS)
    assert len(OPERATIONS) > 50


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_input_makes_a_server_error(served, engine, method, path):
    schema, address, headers, cause = served
    operation = schema[path][method]
    seen = []
    orders = [o["client_order_id"] for o in engine.client.get("/v1/causes/" + cause)]
    letters = [x["dead_letter_id"] for x in engine.client.get("/v1/deadletters")]
    real = {
        "account_id": ["acct-1", "acct-2", "acct-3"], "name": ["acct-1", "router", "gateway", "supervisor"],
        "client_order_id": orders, "cause_id": [cause], "dead_letter_id": letters,
    }  # fmt: skip

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def run(case):
        if len(seen) % 2:
            # No generated name exists; every other try gets one that does.
            for name, values in real.items():
                if name in (case.path_parameters or {}):
                    case.path_parameters[name] = values[len(seen) % len(values)]
        response = case.call(base_url=address.url, headers=headers, timeout=20)
        seen.append(response.status_code)
        case.validate_response(
            response,
            checks=[not_a_server_error, response_schema_conformance, content_type_conformance],
            headers=headers,
        )

    run()
    assert len(seen) >= EXAMPLES
    assert engine.child.poll() is None
