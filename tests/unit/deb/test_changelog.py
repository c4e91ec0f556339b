"""The newest entry of a changelog is read as dpkg reads it, and a new one is read by dpkg as it was meant."""

from __future__ import annotations

import string
import subprocess
import tempfile
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import changelog
from hypothesis import given, settings
from hypothesis import strategies as st
from sourcepackages import DATE, MAINTAINER, parse_changelog

OLD = f"one (1:1.2-3) unstable stable; urgency=HIGH, binary-only=no\n\n  * Text.\n\n -- {MAINTAINER}  {DATE}\n"


def test_the_newest_entry_is_what_dpkg_says() -> None:
    found = changelog.parse_newest(OLD.encode())
    assert found == changelog.Entry("one", "1:1.2-3", "unstable stable", MAINTAINER, 1706781600, urgency="high")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "its debian/changelog does not begin with an entry"),
        ("what is this\n", "its debian/changelog does not begin with an entry"),
        ("one (1.0) x; urgency=low\n\n  * A.\n", "is not ended by a line with a maintainer and a date"),
        (f"one (a) x; urgency=low\n\n -- {MAINTAINER}  {DATE}\n", "the version 'a' in its debian/changelog does not"),
        (
            f"one (1) x; urgency=low\n\n  * A.\n\ntwo (1) x; urgency=low\n\n -- {MAINTAINER}  {DATE}\n",
            "is not ended by a line",
        ),
        (f"one (1) x; urgency=low\n\n -- {MAINTAINER}  Thu, 01 Foo 2024 10:00:00 +0000\n", "is not a date"),
    ],
)
def test_a_changelog_that_cannot_be_read_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        changelog.parse_newest(text.encode())


NAMES = st.text(st.sampled_from(string.ascii_lowercase + string.digits + "+-."), min_size=1, max_size=9).map(
    "a0".__add__
)
VERSIONS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "1:", "2147483647:"]),
    st.text(st.sampled_from("0123456789abz.+~"), max_size=9).map("1".__add__),
    st.sampled_from(["", "-1", "-0~bookworm", "-0ubuntu1.2~x"]),
)
PEOPLE = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"], blacklist_characters="<>"), min_size=1)
ENTRIES = st.builds(
    changelog.Entry,
    NAMES,
    VERSIONS,
    st.sampled_from(["bookworm", "trixie", "lucid", "a.b-c+d"]),
    PEOPLE.map(lambda name: f"{' '.join(name.split()) or 'X'} <mail@example.org>"),
    st.integers(0, 4_000_000_000),
    changes=st.just(("Release of it.",)),
    urgency=st.sampled_from(["low", "medium", "emergency"]),
)


@given(ENTRIES)
@settings(max_examples=15)
def test_dpkg_reads_an_entry_as_it_was_meant_and_the_old_ones_after_it(entry: changelog.Entry) -> None:
    whole = changelog.prepend_entry(OLD.encode(), entry)
    assert whole.endswith(OLD.encode())
    assert changelog.parse_newest(whole) == changelog.Entry(
        *(entry.source, entry.version, entry.distribution, entry.maintainer, entry.moment), urgency=entry.urgency
    )
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "changelog")
        path.write_bytes(whole)
        told = subprocess.run(["dpkg-parsechangelog", "-l", path], check=True, capture_output=True, text=True)
        assert "warning" not in told.stderr
        fields = dict(line.split(": ", 1) for line in told.stdout.splitlines() if ": " in line and line[:1] != " ")
        assert parse_changelog(path, "Version", number=1) == "1:1.2-3"
    wanted = (entry.source, entry.version, entry.distribution, entry.urgency, str(entry.moment))
    assert tuple(fields[key] for key in ("Source", "Version", "Distribution", "Urgency", "Timestamp")) == wanted
    assert fields["Maintainer"] == entry.maintainer
