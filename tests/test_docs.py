"""The documents: each is found from README.md, and the files and links that they name exist.

The commands that they name are tried in tests/e2e/test_readme.py."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from actors.persistence.schema import AFTER_JOURNAL, SCRIPTS, VERSION
from actors.runtime.logs import SECRET_NAMES

ROOT = Path(__file__).parent.parent
PAGES = sorted(p for p in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")] if p.name != "CHANGELOG.md")
INDEXES = (ROOT / "README.md", ROOT / "docs" / "README.md")

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?<![\w/.*<])((?:[\w.-]+/)*[\w-]+\.(?:py|sql|toml|md|service|lock|in))(?![\w*])")
FOLDER = re.compile(r"`((?:actors|tests|docs|deploy|bench)/[\w/]*)`")

NOT_IN_THE_REPOSITORY = {"engine.lock", "bulkhead_N.sql"}
"""Made when it runs; and a name that stands for many."""


@cache
def files():
    tops = ("actors", "tests", "bench", "docs", "deploy")
    found = [p for top in tops for p in (ROOT / top).rglob("*") if p.is_file()]
    return {p.relative_to(ROOT).as_posix() for p in [*found, *(p for p in ROOT.iterdir() if p.is_file())]}


def name(page):
    return page.relative_to(ROOT).as_posix()


def anchors(page):
    """As GitHub makes them of headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(page.read_text())
    }


def test_every_page_is_linked_from_an_index():
    linked = {
        (index.parent / target.split("#")[0]).resolve()
        for index in INDEXES
        for target in LINK.findall(index.read_text())
        if "://" not in target
    }
    assert {name(p) for p in PAGES if p not in linked and p not in INDEXES} == set()
    assert INDEXES[1] in linked, "README.md links docs/README.md"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{name(page)} links {target}, which is not there"
        assert not anchor or anchor in anchors(found), (
            f"{name(page)} links {target}, which has no such heading"
        )


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_named_files_and_folders_exist(page):
    text = page.read_text()
    for named in FILE.findall(re.sub(r"\w+://\S+|\]\([^)]*\)", "", text)):
        known = any(f == named or f.endswith(f"/{named}") for f in files())
        is_elsewhere = named.rpartition("/")[2] in NOT_IN_THE_REPOSITORY
        assert known or is_elsewhere, f"{name(page)} names {named}, which is not there"
    for folder in FOLDER.findall(text):
        assert (ROOT / folder).exists(), f"{name(page)} names {folder}, which is not there"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_named_targets_of_make_exist(page):
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    |^\$ )make ([a-z]+)", page.read_text(), re.MULTILINE))
    assert named <= known


def test_the_database_page_has_every_table_and_version():
    page = (ROOT / "docs" / "database.md").read_text()
    scripts = [
        (ROOT / "actors" / "persistence" / script).read_text()
        for script in (*SCRIPTS, AFTER_JOURNAL, "platform.sql")
    ]
    tables = set(re.findall(r"^CREATE TABLE ([\w.]+)", "\n".join(scripts), re.MULTILINE))
    tables -= set(re.findall(r"^DROP TABLE ([\w.]+);", "\n".join(scripts), re.MULTILINE))
    assert set(re.findall(r"^\| `([a-z_.]+)` \|", page, re.MULTILINE)) == tables
    versions = [int(v) for v in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)]
    assert versions == list(range(1, VERSION + 1))
    assert f"knows version {VERSION} " in page


def test_the_security_page_has_what_is_redacted():
    page = (ROOT / "docs" / "security.md").read_text()
    assert all(f"`{name}`" in page for name in SECRET_NAMES)


def test_the_picture_of_threads_has_every_thread():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    sources = "\n".join(p.read_text() for p in (ROOT / "actors").rglob("*.py"))
    names = re.findall(r"Thread\((?:[^()]|\([^()]*\))*?name=f?\"([\w-]+)", sources)
    assert len(names) >= 8
    for thread in set(names) - {"close-store"}:
        assert re.search(rf"^ {re.escape(thread)}", text, re.MULTILINE), (
            f"ARCHITECTURE.md lacks thread {thread}"
        )
