"""Patterns find what a user means, say what is wrong with them, and cannot stop a server."""

from __future__ import annotations

import pytest

from besom.store.regex import PATTERN, PatternError, search


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("res.*50", "xresnet50", True),
        ("^res", "xresnet50", False),
        ("(?i)RES", "resnet", True),
        (r"\d{2}$", "run-42", True),
        ("ü+", "süüd", True),
        ("a", "", False),
        ("", "anything", True),
        ("z", "a" * 5000 + "z", False),  # only the first 4,096 characters are searched
    ],
)
def test_a_pattern_is_searched_anywhere(pattern: str, text: str, found: bool) -> None:
    assert search(pattern, text) is found


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*a){20}$", "^(a*)*$", ".*.*.*.*.*.*=x$"])
def test_a_catastrophic_pattern_ends(pattern: str) -> None:
    assert not search(pattern, "a" * 3000 + "!")  # the re module needs longer than the universe lasts


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(a", r"missing \)"),
        ("[a", r"missing \]"),
        ("*a", "repetition"),
        ("a\\", "trailing"),
        (r"(a)\1", "back references"),
        ("(?=a)", "look-around"),
        ("a{100000}", "repetition"),
        ("a" * (PATTERN + 1), "at most 500"),
        ("\ud800", "surrogate"),
    ],
)
def test_a_pattern_that_cannot_be_understood_is_named(pattern: str, said: str) -> None:
    with pytest.raises(PatternError, match=said):
        search(pattern, "a")
