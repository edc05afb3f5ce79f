"""Patterns find what the re module finds, and no pattern can stop a server."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from besom.store.regex import PatternError, search

TEXTS = st.text(st.sampled_from("abAB1_ -\n."), max_size=12)
ATOMS = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", "[a-c1]", r"\d", r"\w", r"\s", r"\W", r"\.", "1", "_", " ", "A"]
)


def _pieces(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeats = st.sampled_from(["", "*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "+?"])
    groups = st.builds("({}|{}){}".format, inner, inner, repeats)
    return st.one_of(groups, st.builds("(?:{}){}".format, inner, repeats), st.builds("{}{}".format, inner, inner))


PATTERNS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "(?i)"]),
    st.sampled_from(["", "^", r"\b"]),
    st.recursive(st.builds("{}{}".format, ATOMS, st.sampled_from(["", "*", "+", "?", "{2}"])), _pieces, max_leaves=6),
    st.sampled_from(["", "$", r"\B"]),
)


@settings(max_examples=400, deadline=None)
@given(PATTERNS, TEXTS)
def test_a_pattern_finds_what_re_finds(pattern: str, text: str) -> None:
    assume(text or r"\B" not in pattern)  # before Python 3.14, \B holds nowhere in an empty text
    # re lets $ match before a last line end too; here it is the end.
    expected = re.search(re.sub(r"\$\Z", r"\\Z", pattern), text)
    assert search(pattern, text) == bool(expected)


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*a){20}$", "^(a*)*$", ".*.*.*.*.*.*=x$"])
def test_a_catastrophic_pattern_ends(pattern: str) -> None:
    began = time.process_time()
    assert not search(pattern, "a" * 3000 + "!")
    assert time.process_time() - began < 60  # the re module needs longer than the universe lasts


@pytest.mark.parametrize(
    ("pattern", "position", "hint"),
    [
        ("a)", 1, r"\)"),
        ("(a", 0, 'no ")"'),
        ("[a", 0, 'no "]"'),
        ("*a", 0, "nothing does"),
        ("a\\", 1, "backslash"),
        (r"(a)\1", 3, "back references"),
        ("(?=a)", 0, "only (?:...)"),
        ("[z-a]", 0, "upwards"),
        ("a{999}", 0, "at most 200"),
        ("((a{200}){200}){200}", 0, "use * or +"),
        ("a{3,2}", 0, "no count"),
        ("a" * 501, 0, "at most 500"),
        ("(" * 60 + ")" * 60, 50, "deep"),
    ],
)
def test_a_pattern_that_is_not_understood_says_why_and_where(pattern: str, position: int, hint: str) -> None:
    with pytest.raises(PatternError, match=re.escape(hint)) as caught:
        search(pattern, "text")
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("res.*50", "my-resnet-50"), ("", "anything"), ("x{", "x{"), ("a{,2}", "b"), ("(?i)straße", "STRASSE straße"), ("é+", "café"), ("a|", "zzz"), (r"\Ava\Z", "va")],
)  # fmt: skip
def test_what_people_write(pattern: str, text: str) -> None:
    assert search(pattern, text)
