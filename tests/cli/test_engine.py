"""Commands about the engine as a whole: what each asks for and prints; settings of run."""

from __future__ import annotations

import json

import pytest

from actors.api.client import EngineError
from tests.e2e.processes import bulkhead

pytestmark = pytest.mark.timeout(240)


def test_no_exchange_is_named(tmp_path, dsn):
    shown = bulkhead(
        "run", "--exchange", "http://127.0.0.1:9", "--data-dir", tmp_path, "--dsn", dsn, "--api-port", 0
    )
    assert shown.returncode == 2
    assert "does not answer as an exchange" in shown.stderr
    assert "bulkhead paper" in shown.stderr


ALARM = {
    "alarm_id": 7, "at_ms": 1, "first_ms": 1, "count": 1, "over_ms": None, "level": "WARNING", "text": "odd",
    "acknowledged_by": "",
}  # fmt: skip
DIFFERENCE = {
    "symbol": "BTCUSDT",
    "virtual": "1",
    "house": "0",
    "in_flight": "0",
    "master": "1",
    "difference": "0",
}


@pytest.mark.parametrize(
    ("line", "path", "params"),
    [
        ("stats", "/v1/stats", {}),
        ("alarms --json", "/v1/alarms", {"unacknowledged": True}),
        ("alarms --all --json", "/v1/alarms", {"unacknowledged": False}),
        ("audit acct-1 --limit 3 --json", "/v1/audit", {"target": "acct-1", "limit": 3}),
        ("master --limit 3 --json", "/v1/master", {"limit": 3}),
    ],
)
def test_what_lists_is_one_get_and_its_json_is_the_answer(line, path, params, engine, cli):
    engine.answers["GET", path] = found = {"any": "thing"}
    shown = cli(line)
    assert engine.requests == [("GET", path, params)]
    assert json.loads(shown.out) == found


def test_alarms_are_acknowledged_by_their_numbers(engine, cli):
    for number in (7, 9):
        engine.answers["POST", f"/v1/alarms/{number}/ack"] = {**ALARM, "text": f"odd {number}"}
    shown = cli("ack 7 9")
    assert shown.out == "alarm 7 acknowledged: odd 7\nalarm 9 acknowledged: odd 9\n"
    assert [path for _, path, _ in engine.requests] == ["/v1/alarms/7/ack", "/v1/alarms/9/ack"]


@pytest.mark.parametrize(("difference", "code"), [("0", 0), ("0E-8", 0), ("-0.06", 1)])
def test_books_that_differ_are_an_exit_code(difference, code, engine, cli):
    engine.answers["GET", "/v1/reconciliation"] = [DIFFERENCE, {**DIFFERENCE, "difference": difference}]
    assert cli("reconcile").code == code
    assert engine.requests == [("GET", "/v1/reconciliation", {"settle_seconds": 5})]


@pytest.mark.parametrize(
    ("line", "method", "path", "text"),
    [
        (
            "emergency-stop acct-1",
            "POST",
            "/v1/accounts/acct-1/close-out",
            "acct-1: everything is being cancelled",
        ),
        ("emergency-stop acct-1 --call-off", "DELETE", "/v1/accounts/acct-1/close-out", "acct-1: called off"),
        ("emergency-stop --everybody", "POST", "/v1/close-out", "12 accounts: everything is being cancelled"),
        ("emergency-stop --everybody --call-off", "DELETE", "/v1/close-out", "12 accounts: called off"),
    ],
)
def test_an_emergency_stop_is_of_one_or_of_all_and_can_be_called_off(line, method, path, text, engine, cli):
    if path == "/v1/close-out":
        engine.answers[method, path] = {"told": 12}
    assert text in cli(line).out
    body = {"reason": "asked for by an operator"} if method == "POST" else None
    assert engine.requests == [(method, path, body)]


@pytest.mark.parametrize("line", ["emergency-stop", "emergency-stop acct-1 --everybody"])
def test_an_emergency_stop_of_none_or_of_both_is_refused(line, engine, cli):
    assert "name an account, or give --everybody; not both" in cli(line).err
    assert engine.requests == []


@pytest.mark.parametrize(("health", "code"), [("ok", 0), ("reduce-only", 1), ("halted", 1)])
def test_status_has_an_exit_code_and_shows_what_there_is(health, code, engine, cli):
    """While it starts, health answers before statistics do."""

    def get(path, **_params):
        if path == "/v1/health":
            return {"status": health, "closed_by": []}
        raise EngineError("503: it is starting")

    engine.get = get
    shown = cli("status")
    assert shown.code == code
    assert "not available: 503: it is starting" in shown.out
    found = json.loads(cli("status --json").out)
    assert (found["stats"], found["alarms"], found["untold"]) == (None, [], "503: it is starting")
    assert found["address"] == {"url": "http://127.0.0.1:1", "pid": 7}


def test_the_options_of_run_are_settings(cli, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr("actors.cli.serving.serve", seen.append)
    monkeypatch.setattr("actors.runtime.logs.write_apart", lambda: None)
    monkeypatch.setattr("actors.runtime.logs.configure", lambda **_: None)
    shown = cli(f"run --data-dir {tmp_path} --exchange http://127.0.0.1:1 --api-port 7 --faults-allowed")
    assert shown.code == 0, shown.err
    [settings] = seen
    assert (settings.data_dir, settings.exchange, settings.api_port) == (
        str(tmp_path),
        "http://127.0.0.1:1",
        7,
    )
    assert (settings.faults_allowed, settings.set_master) == (True, False)
