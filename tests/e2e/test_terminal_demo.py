"""The demo and the commands that start things, as a person sees them: in a pseudo-terminal."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from actors.venues.paper.recording import write_recording
from tests.e2e.terminal import CTRL_C, Terminal, cells
from tests.factories import BTC

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SIZES = ((80, 24), (80, 40), (130, 40))
DUMB = (80, 24, "dumb")
COUNTERS = (
    "ticks/s", "wakes/s", "commits/s", "orders", "fills", "ADL steps", "working orders", "orders queued",
    "orders refused", "liquidated", "restarts", "alarms",
)  # fmt: skip
SMALL = ("demo", "--accounts", "50", "--seconds", "12")
VICTIM = "acct-42"


@pytest.fixture(scope="module")
def demos(tmp_path_factory):
    """The demo at each size, all at once, each to its end."""

    def run(size):
        columns, rows, *term = size
        environment = {"TERM": term[0]} if term else {}
        with Terminal(*SMALL, columns=columns, rows=rows, cwd=folders[size], **environment) as terminal:
            terminal.code = terminal.wait(150)
            return terminal

    runs = (*SIZES, DUMB)
    folders = {size: tmp_path_factory.mktemp("my demo") for size in runs}  # the factory is not thread-safe
    with ThreadPoolExecutor(len(runs)) as pool:
        return dict(zip(runs, pool.map(run, runs), strict=True))


@pytest.fixture(params=SIZES, ids="{0[0]}x{0[1]}".format)
def demo(demos, request):
    return demos[request.param]


def views(terminal):
    """Every whole picture of the live view that stood on the screen, as its lines."""
    found = []
    for screen in terminal.screens:
        lines = [line.rstrip() for line in screen.split("\n")]
        tops = [n for n, line in enumerate(lines) if line.startswith("╭─ bulkhead demo")]
        bottoms = [n for n, line in enumerate(lines) if line.startswith("╰─") and line.endswith("─╯")]
        if tops and bottoms and bottoms[-1] > tops[-1]:
            found.append(lines[tops[-1] : bottoms[-1] + 1])
    return found


def counter(view, name):
    """A counter of the live view."""
    return int(re.search(rf"(?:^|\s){re.escape(name)}\s+([\d,]+)\s", "\n".join(view))[1].replace(",", ""))


def test_the_demo_ends_well(demo):
    assert demo.code == 0, demo.shown()
    assert "Traceback" not in demo.text
    assert "the books agree with the exchange" in demo.text
    assert "50 positions opened" in demo.text, demo.text
    assert "first refusal" not in demo.text


def test_the_live_view_shows_what_it_promises(demo):
    seen = views(demo)
    assert seen, demo.shown()
    shown = demo.shown()
    last = shown[shown.index("╭─ bulkhead demo") :].split("\n")
    last = last[: next(n for n, line in enumerate(last) if line.startswith("╰─")) + 1]
    for name in COUNTERS:
        counter(last, name)
    assert max(counter(view, "ticks/s") for view in (*seen, last)) > 0
    assert counter(last, "orders") > 50
    assert counter(last, "fills") > 50
    summary = shown[shown.index("\nticks ") :]
    assert int(re.search(r" wakes ([\d,]+) ", summary)[1].replace(",", "")) > 0
    assert int(re.search(r"ADL steps ([\d,]+) ", summary)[1].replace(",", "")) > 0, "the drop liquidates"
    assert counter(last, "restarts") == 1
    text = "\n".join(last)
    assert "margin ratio of accounts with positions, below:" in text
    bars = re.findall(r"^│ +(\S+) (█+) ([\d,]+) ", text, re.MULTILINE)
    assert sum(int(n) for _, _, n in bars) > 25, "accounts with positions"
    assert "deepest mailboxes: " in text
    notes = demo.text
    assert f"{VICTIM} was sent a poison message" in notes
    assert f"{VICTIM}: FaultInjected, restarts 1, now RUNNING" in notes
    assert "the market drops by 0.045 over 4 s" in notes


def test_a_mailbox_that_is_not_empty_is_named(demos):
    seen = ["\n".join(view) for size in SIZES for view in views(demos[size])]
    assert any(re.search(r"deepest mailboxes: [a-z]\S* [1-9]", view) for view in seen), "at some moment"


def test_the_screen_is_in_order(demo):
    assert demo.too_wide() == []
    assert "\u2026" not in demo.text
    shown = demo.shown()
    assert shown.count("╭─ bulkhead demo") == 1, f"copies of the live view scrolled out:\n{shown}"
    for view in views(demo):
        assert len(view) < demo.rows
        assert {cells(line) for line in view} == {demo.columns}, "\n".join(view)
    for line in ("symbol", "difference", "restarts 1 (acct-42 was crashed on purpose)"):
        assert line in " ".join(shown.split())
    assert not re.search(r" 0\.0+ ", shown.replace("bad debt 0.00 USDT", "")), "0, not 0.00"


def test_a_terminal_that_knows_nothing_gets_lines(demos):
    terminal = demos[DUMB]
    assert terminal.code == 0, terminal.shown()
    assert b"\x1b" not in terminal.raw
    assert "ticks/s" in terminal.text
    assert f"{VICTIM} was sent a poison message" in terminal.text
    assert terminal.too_wide() == []


def test_a_narrow_terminal_and_ctrl_c_after_the_summary(tmp_path):
    arguments = ("demo", "--accounts", "10", "--seconds", "5", "--keep")
    with Terminal(*arguments, columns=40, rows=24, cwd=tmp_path) as terminal:
        terminal.until("alarms --data-dir .data/demo")
        children = psutil.Process(terminal.child.pid).children(recursive=True)
        assert children, "the exchange and the engine go on"
        assert "inspect acct-10" in terminal.text, "an account that exists"
        terminal.type(CTRL_C)
        assert terminal.wait(40) == 0
    assert "Traceback" not in terminal.text
    assert [line for line in terminal.too_wide() if "--data-dir" not in line] == [], "only commands to copy"
    assert not any(child.is_running() and child.status() != "zombie" for child in children)


@pytest.mark.parametrize("way", ["ctrl-c, twice", "the window is closed"])
def test_an_end_in_the_middle_ends_everything(way, tmp_path):
    with Terminal(*SMALL, cwd=tmp_path) as terminal:
        terminal.until("commits/s")
        children = psutil.Process(terminal.child.pid).children(recursive=True)
        assert children
        if way == "ctrl-c, twice":
            terminal.type(CTRL_C)
            terminal.type(CTRL_C)
            assert terminal.wait(40) == 130
        else:
            os.kill(terminal.child.pid, signal.SIGHUP)
            assert terminal.wait(40) == 128 + signal.SIGHUP
    assert "Traceback" not in terminal.text
    assert not any(child.is_running() and child.status() != "zombie" for child in children)


def test_the_exchange_and_the_engine_say_where_they_are_and_end_with_ctrl_c(tmp_path):
    with Terminal("paper", "--port", "0", "--ticks-per-second", "100") as paper:
        paper.until("}")
        address = re.search(r'"rest":"([^"]+)"', paper.text)[1]
        with Terminal("run", "--data-dir", tmp_path, "--exchange", address, "--api-port", "0") as engine:
            engine.until("engine ready: 0 accounts, fleet ")
            engine.until("API at http://127.0.0.1:")
            engine.type(CTRL_C)
            assert engine.wait(40) == 0, engine.shown()
        assert "stopping" in engine.text
        assert "Traceback" not in engine.text
        paper.type(CTRL_C)
        assert paper.wait(40) == 0
    assert "Traceback" not in paper.text


def test_replay_prints_its_numbers_whole(tmp_path):
    recording = tmp_path / "BTCUSDT-bookTicker-2024-08-09.csv"
    write_recording(recording, BTC, 2_000, seed=3)
    with Terminal("replay", recording, cwd=tmp_path) as terminal:
        assert terminal.wait() == 0, terminal.shown()
    assert re.search(r"rows 2,?000 ", terminal.text)
    assert re.search(r"decisions sha256\s+[0-9a-f]{64}\n", terminal.text)
    assert terminal.too_wide() == []


def test_a_recording_is_made_for_whoever_has_none(tmp_path):
    name = "ETHUSDT-bookTicker-sample.csv.gz"
    with Terminal("sample-recording", name, "--rows", "2000", cwd=tmp_path) as terminal:
        assert terminal.wait() == 0, terminal.shown()
    assert "2,000 rows of ETHUSDT written" in terminal.text
    with Terminal("replay", name, cwd=tmp_path) as terminal:
        assert terminal.wait() == 0, terminal.shown()
    for line, said in (
        (f"sample-recording {name}", "exists already; choose another name"),
        ("sample-recording prices.csv", "name it like"),
        ("sample-recording ETHUSDT-bookTicker-1.zip", "can be written"),
        ("sample-recording XYZUSDT-bookTicker-1.csv", "not listed; known are"),
        ("sample-recording ETHUSDT-bookTicker-1.csv --rows 0", "must be 1 to"),
        ("sample-recording nowhere/ETHUSDT-bookTicker-1.csv", "cannot be written"),
    ):
        with Terminal(*line.split(), cwd=tmp_path) as terminal:
            assert terminal.wait() == 2, terminal.text
        assert said in " ".join(terminal.text.split())
    assert [p.name for p in tmp_path.iterdir()] == [name], "what was not written leaves nothing"


def test_the_database_commands_in_a_terminal(tmp_path):
    for command, text in (
        ("check", "EMPTY: empty: 'bulkhead db init' prepares it"),
        ("init", "EMPTY: empty: both schemas were made"),
        ("check", "READY: ready"),
        ("status", "owner none: no engine uses it"),
        ("verify", "OK the journal is what was written: 0 rows"),
        ("hash --accounts", "of 0 accounts, journal position 0"),
        ("rebuild --dry-run", "closed_position 0 0 0"),
        ("rebuild --yes", "our tables are made anew of 0 decisions"),
        ("accept-restore --reason why", "nothing to accept"),
    ):
        with Terminal("db", *command.split(), "--data-dir", tmp_path) as terminal:
            assert terminal.wait() == 0, terminal.shown()
        shown = re.sub(r"[\s│]+", " ", terminal.text)
        assert text in shown, shown
        assert terminal.too_wide() == []


@pytest.mark.parametrize(
    "line",
    [
        "demo --accounts 5",
        "demo --seconds 1",
        "paper --port x",
        "replay nofile.csv",
        "run --config nofile.toml",
    ],
)
def test_a_bad_start_is_a_few_lines(line, tmp_path):
    with Terminal(*line.split(), cwd=tmp_path) as terminal:
        assert terminal.wait() in {1, 2}
    assert "Traceback" not in terminal.text, terminal.text
    assert len([x for x in terminal.text.split("\n") if x.strip()]) <= 5, terminal.text
    assert terminal.too_wide() == []
