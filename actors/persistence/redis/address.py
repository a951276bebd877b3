"""The URL of a Redis: what it may look like, and how it is shown without its secrets. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from actors.core.errors import BadConfig

SCHEMES = ("redis", "rediss", "unix")

OPTIONS = ("db", "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile")
"""What may stand behind the ``?``; time-outs and retries are ours."""

EXAMPLE = (
    "for example redis://127.0.0.1:6379/0, rediss://user:password@host:6380/0 or unix:///run/redis.sock?db=0"
)

USER = re.compile(r"^([a-z]+://)?.*@", re.IGNORECASE | re.DOTALL)
"""Greedy: a password may itself contain ``@`` or ``/``."""

QUERY_SECRET = re.compile(r"([?&][^=&]*(?:pass|secret|token|user)[^=&]*=)[^&]*", re.IGNORECASE)


def redacted(url: str) -> str:
    """A URL as it may be shown: without user name, password and what else smells of a secret."""
    return QUERY_SECRET.sub(r"\1***", USER.sub(lambda found: f"{found[1] or ''}***@", url))


def check_url(url: str, setting: str = "redis") -> None:
    """Whether a text can be the URL of a Redis; an empty one is none, on purpose.

    Raises:
        BadConfig: it cannot; names what is wrong with it and the cure, and shows no secret.
    """
    if url and (fault := _fault_of(url)):
        raise BadConfig(f"{setting}: {redacted(url)!r} is not the URL of a Redis: {fault}; {EXAMPLE}")


def _fault_of(url: str) -> str:
    """What is wrong with it; empty if nothing is."""
    if any(c.isspace() or not c.isprintable() for c in url):
        return "it has spaces, line ends or the like around or in it; in a path or a password write a space as %20"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "host or port cannot be read; is a special character of the password not written as %XX?"
    if parts.scheme not in SCHEMES or "://" not in url:
        return f"it must begin with one of {', '.join(f'{s}://' for s in SCHEMES)}"
    if parts.fragment:
        return "there is a # in it; in a password write it as %23"
    if parts.scheme == "unix":
        if not parts.path.startswith("/") or parts.path == "/":
            return "the path of a socket is missing"
    elif not parts.hostname:
        return "the host is missing"
    elif port == 0:
        return "port 0 is none"
    elif not re.fullmatch(r"(/\d{0,5})?", parts.path):
        return f"{parts.path!r} is no number of a database, as /0 is"
    return _fault_of_query(parts.query)


def _fault_of_query(query: str) -> str:
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in OPTIONS:
            return f"{name!r} is no option; there are {', '.join(OPTIONS)}"
        if name == "db" and not re.fullmatch(r"\d{1,5}", value):
            return f"db={value} is no number of a database"
    return ""
