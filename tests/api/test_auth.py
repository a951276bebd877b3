"""Tokens and roles."""

from __future__ import annotations

import pytest

from actors.api.auth import Tokens, may
from actors.assembly.config import ApiToken, Role, load
from actors.core.errors import BadConfig

ANN = ApiToken("ann", Role.OPERATOR, "a" * 16)
EYE = ApiToken("eye", Role.VIEWER, "v" * 16)


def test_a_token_is_known_by_its_whole_text_only():
    tokens = Tokens([ANN, EYE])
    assert tokens.identify(f"Bearer {ANN.token}") is ANN
    assert tokens.identify(f"Bearer {EYE.token}") is EYE
    for wrong in (
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {ANN.token}x",
        ANN.token,
        f"bearer {ANN.token}",
        "Bearer \udcff",
    ):
        assert tokens.identify(wrong) is None
    assert Tokens([]).identify("Bearer ") is None


@pytest.mark.parametrize(
    ("method", "viewer"), [("GET", True), ("HEAD", True), ("POST", False), ("DELETE", False), ("", False)]
)
def test_viewers_look_and_operators_change(method, viewer):
    assert may(EYE, method) is viewer
    assert may(ANN, method)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ('name = "ann"\nrole = "operator"\ntoken = "short"', "the token of ann has 5 characters"),
        ('name = " "\nrole = "operator"\ntoken = "0123456789abcdef"', "needs a name"),
        ('name = "ann"\nrole = "king"\ntoken = "0123456789abcdef"', "king"),
        ('name = "ann"\nrole = "viewer"', "token"),
        ('name = "ann"\nrole = "viewer"\ntoken = "0123456789abcdef"\nextra = 1', "extra"),
    ],
)
def test_a_bad_token_in_the_settings_is_named(tmp_path, entry, text):
    path = tmp_path / "bulkhead.toml"
    path.write_text(f"[[api_tokens]]\n{entry}\n")
    with pytest.raises(BadConfig, match=text):
        load(path, {}, {})


def test_two_people_do_not_share_a_token(tmp_path):
    path = tmp_path / "bulkhead.toml"
    one = 'role = "viewer"\ntoken = "0123456789abcdef"\n'
    path.write_text(f'[[api_tokens]]\nname = "a"\n{one}[[api_tokens]]\nname = "b"\n{one}')
    with pytest.raises(BadConfig, match="two have the same token"):
        load(path, {}, {})
    path.write_text(f'[[api_tokens]]\nname = "a"\n{one}')
    assert load(path, {}, {}).api_tokens[0].role is Role.VIEWER
