"""The URL of a Redis: what is taken, what is refused and how, and that no secret is ever shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.assembly.config import EngineConfig, load
from actors.core.errors import BadConfig
from actors.persistence.redis.address import check_url, redacted


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis://127.0.0.1:6379/0",
        "redis://localhost",
        "redis://localhost/",
        "redis://:pa55word@host:6380/3",
        "rediss://user:p%40ss@host?ssl_cert_reqs=required",
        "unix:///run/redis.sock?db=2",
        "unix:///run/my%20folder/redis.sock",
        "redis://:p%20ä@host",
        "redis://[::1]:6379",
    ],
)
def test_a_url_is_taken(url):
    check_url(url)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("localhost:6379", "must begin with"),
        ("http://host:1", "must begin with"),
        ("redis:host", "must begin with"),
        ("redis://", "host is missing"),
        ("redis://:6379", "host is missing"),
        ("redis://host:99999", "host or port cannot be read"),
        ("redis://host:port", "host or port cannot be read"),
        ("redis://host:0", "port 0"),
        ("redis://host/one", "'/one' is no number of a database"),
        ("redis://host?db=x", "db=x is no number"),
        ("redis://host?socket_timeout=9", "'socket_timeout' is no option"),
        ("redis://host?password=hunter22", "'password' is no option"),
        ("redis://host\n", "line ends"),
        (" redis://host", "spaces, line ends"),
        ("redis://ho st:6379", "write a space as %20"),
        ("redis://ho\u00a0st:6379", "spaces, line ends"),
        ("redis://host\x7f:6379", "spaces, line ends"),
        ("redis://u:hunter22#x@host", "host or port cannot be read"),
        ("redis://u:1#hunter22@host", "write it as %23"),
        ("unix://", "path of a socket"),
        ("unix:///", "path of a socket"),
        ("redis://u:hunter22/x@host:1", "host or port cannot be read"),
    ],
)
def test_what_is_no_url_is_refused_by_name_with_a_cure_and_without_the_password(url, fault):
    with pytest.raises(BadConfig) as refused:
        EngineConfig(redis=url)
    text = str(refused.value)
    assert text.startswith("redis: ")
    assert fault in text
    assert "for example redis://" in text
    assert "hunter22" not in text


def test_a_refusal_names_the_variable():
    with pytest.raises(BadConfig, match=r"^BULKHEAD_REDIS: 'nonsense' is not the URL of a Redis"):
        load(None, {"BULKHEAD_REDIS": "nonsense"}, {})


def test_it_is_shown_without_user_and_password():
    assert redacted("redis://user:hunter22@host:6379/0") == "redis://***@host:6379/0"
    assert redacted("redis://host:6379/0") == "redis://host:6379/0"
    assert redacted("unix:///run/x.sock?db=1&password=hunter22") == "unix:///run/x.sock?db=1&password=***"
    assert redacted("user:hunter22@host") == "***@host"


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=8),
    st.sampled_from(["redis://", "rediss://u:", "://", ""]),
)
def test_no_password_is_shown_whatever_it_looks_like(password, before):
    password = f"Q{password}"
    assert password not in redacted(f"{before}{password}@host:1/0")


@pytest.mark.parametrize(
    ("setting", "value", "fault"),
    [
        ("redis_stream", "", "redis_stream: '' is no name of a key"),
        ("redis_stream", "a b", "redis_stream: 'a b' is no name of a key"),
        ("redis_stream", "x" * 201, "is no name of a key"),
        ("redis_stream", "pms:risk:acct-1", "must not begin with pms:"),
        ("redis_stream_length", 0, "redis_stream_length: 0 must be 1 to"),
        ("redis_stream_length", 10**9, "must be 1 to"),
        ("redis_stream_depth", -1, "redis_stream_depth: -1 must be 0"),
    ],
)
def test_the_other_settings_are_checked_too(setting, value, fault):
    with pytest.raises(BadConfig, match=fault):
        EngineConfig(**{setting: value})
