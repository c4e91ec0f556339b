# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from datetime import datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.excuses_feed import (
    MOST_ENTRIES,
    render_feed,
)
from excuses import NOW, explain, stacks
from hypothesis import given
from hypothesis import strategies as st

ATOM = "{http://www.w3.org/2005/Atom}"
ROW = {"platform": "bookworm", "architecture": "amd64", "state": "failed", "at": NOW, "reason": "no"}


def read(text: str) -> ElementTree.Element:
    feed = ElementTree.fromstring(text.encode())  # noqa: S314  # it is our own
    assert feed.tag == f"{ATOM}feed"
    return feed


def say(entry: ElementTree.Element, name: str) -> str:
    return entry.findtext(f"{ATOM}{name}") or ""


def make(**more: Any) -> str:
    return render_feed(explain(stacks=stacks(a="1.0"), builds=[{**ROW, "stack": "a", **more}]))


def test_a_feed_has_what_its_format_asks_for_and_an_entry_for_each_result() -> None:
    rows = [
        {**ROW, "stack": "a"},
        {**ROW, "stack": "b", "state": "ok", "reason": "", "at": NOW + 60, "seconds": {"build": 5}},
    ]
    feed = read(render_feed(explain(stacks=stacks(a="1.0", b="1.0"), builds=rows), url="https://x.example.org/e/d/"))
    assert feed.attrib == {"{http://www.w3.org/XML/1998/namespace}base": "https://x.example.org/e/d/"}
    entries = feed.findall(f"{ATOM}entry")
    assert [say(entry, "title") for entry in entries] == [
        "b 1.0 is built for bookworm-amd64",
        "a 1.0 failed for bookworm-amd64",
    ]
    assert [say(entry, "summary") for entry in entries] == ["It took 5 s.", "no"]
    assert say(feed, "updated") == say(entries[0], "updated")
    for part in (feed, *entries):
        assert say(part, "title")
        assert say(part, "id").startswith("urn:uuid:")
        assert datetime.fromisoformat(say(part, "updated"))
    assert feed.find(f"{ATOM}author/{ATOM}name") is not None
    assert len({say(part, "id") for part in (feed, *entries)}) == 3


def test_a_result_has_the_same_identifier_in_all_runs_and_the_next_one_another() -> None:
    first, again, later = (say(read(make(at=at))[-1], "id") for at in (NOW, NOW, NOW + 1))
    assert first == again != later


def test_a_feed_of_nothing_is_one_and_a_long_one_ends() -> None:
    assert say(read(render_feed(explain(stacks=stacks(a="1.0")))), "updated") == "1970-01-01T00:00:00Z"
    names = [f"s{number}" for number in range(MOST_ENTRIES + 5)]
    rows = [{**ROW, "stack": name} for name in names]
    feed = read(render_feed(explain(stacks=stacks(**dict.fromkeys(names, "1.0")), builds=rows)))
    assert len(feed.findall(f"{ATOM}entry")) == MOST_ENTRIES


@pytest.mark.parametrize("text", ["</summary><script>", "]]>&amp;", "a\x00\x1b\x0c\ud800\ufffe\uffffb"])
def test_words_from_outside_stay_words(text: str) -> None:
    entry = read(make(reason=text, host=text))[-1]
    assert [child.tag for child in entry if child.tag.endswith(("script", "b"))] == []
    assert len(entry) == 6


@given(st.text(max_size=50))
def test_any_text_makes_a_feed_that_parsers_read(text: str) -> None:
    assert len(read(make(reason=text))[-1]) == 6
