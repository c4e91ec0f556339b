# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a release changed, from archives that are really published, and the mail that tells it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jinja2
import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.changes import find_changes
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import Archive, read_deb
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.publication import Release, publish_release
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.escape import escape_line
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from debs import make_deb
from publishing import run_module, tree

ROOT = Path(__file__).resolve().parents[3]
STAMPED = "{version}-{release}~{platform}"
WHOLE = """\
Dear all,

d r2 is released for bookworm (amd64, i386).

Since r1: 1 added, 2 updated, 1 removed, 0 unchanged.

Added:

  * d-d 0.1

Updated:

  * d-a 1.0 -> 1.1+b1
  * d-b 1.0 -> 1.1 (bookworm i386)

Removed:

  * d-c 1.0

Thanks to those who maintain what is new here:

  Ann
  Bob To: x\ufffd

To stay at this release:

  deb https://x.org/fixed/snapshots/d-r2 bookworm main
"""
FIRST = """\
d r2 is released for bookworm (amd64, i386).

It is the first release.

Added:

  * d-d 0.1
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Two releases of ``d``, with one of another distribution between them whose name begins alike."""
    base = tmp_path_factory.mktemp("archive")
    home = base / "gnupg"
    key = make_key(home, "Archive <archive@example.org>")
    made = Archive(base / "fixed", "Slipway", "main", home, key)
    made.directory.mkdir()
    clock = iter(range(int(time.time()) - 10_000, int(time.time()), 10))
    first = {"d-a": "1.0", "d-b": "1.0", "d-c": "1.0"}
    for distribution, release, amd64, i386 in (
        ("d", "r1", first, first),
        ("d-x", "r9", {"d-x-a": "5"}, {}),
        ("d", "r2", {"d-a": "1.1+b1", "d-b": "1.0", "d-d": "0.1"}, {"d-a": "1.1+b1", "d-b": "1.1", "d-d": "0.1"}),
    ):
        indexes = {
            "bookworm": {
                architecture: tuple(
                    read_deb(
                        make_deb(
                            base / f"{release}-{architecture}",
                            name,
                            f"{version}-{release}~bookworm",
                            architecture,
                            fields={"Maintainer": f"{name.upper()} Team <m@example.org>"},
                        )
                    )
                    for name, version in packages.items()
                )
                for architecture, packages in (("amd64", amd64), ("i386", i386))
                if packages
            }
        }
        inputs = {"names": {"stamped": STAMPED}} if release == "r1" else {}
        publish_release(made, Release(distribution, release, indexes, inputs), clock=lambda: float(next(clock)))
    return made


def test_what_changed_is_told_without_the_names_of_the_releases(archive: Archive) -> None:
    changes = find_changes(archive.directory, "d")
    assert (changes.label, changes.release, changes.previous, changes.unchanged) == ("d-r2", "r2", "r1", 0)
    assert changes.platforms == {"bookworm": ["amd64", "i386"]}
    assert changes.added == [{"package": "d-d", "version": "0.1", "was": None, "places": []}]
    assert changes.updated == [
        {"package": "d-a", "version": "1.1+b1", "was": "1.0", "places": []},
        {"package": "d-b", "version": "1.1", "was": "1.0", "places": ["bookworm/i386"]},
    ]
    assert changes.removed == [{"package": "d-c", "version": None, "was": "1.0", "places": []}]
    assert changes.maintainers == ["D-A Team", "D-B Team", "D-D Team"]


def test_the_first_release_has_none_before_it(archive: Archive) -> None:
    changes = find_changes(archive.directory, "d", "r1")
    assert changes.previous is None
    assert [row["package"] for row in changes.added] == ["d-a", "d-b", "d-c"]
    assert (changes.updated, changes.removed, changes.unchanged) == ([], [], 0)


def test_a_release_that_is_not_published_is_named_with_those_that_are(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match=r"with d-r3: .* has no such release, but r1, r2\. Publish it first"):
        find_changes(archive.directory, "d", "r3")
    with pytest.raises(SlipwayError, match="has no such release, but none"):
        find_changes(tmp_path, "d")


def test_the_module_tells_it_and_changes_nothing(archive: Archive) -> None:
    before = tree(archive.directory)
    told = run_module("apt_release_changes_info", {"directory": str(archive.directory), "distribution": "d"})
    assert (told["changed"], told["previous"], len(told["updated"])) == (False, "r1", 2)
    assert tree(archive.directory) == before


def render(changes: dict[str, Any], **more: Any) -> str:
    """As Ansible's template lookup renders it."""
    environment = jinja2.Environment(  # noqa: S701  # it is a plain text
        loader=jinja2.FileSystemLoader(ROOT / "roles/debs_announce/templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["slipway.release.as_line"] = escape_line
    given = {
        **{"__debs_announce_changes": changes, "debs_announce_introduction": "", "debs_announce_url": ""},
        **{"debs_announce_distribution": "d", "debs_announce_component": "main", **more},
    }
    return environment.get_template("debs_announcement.txt.j2").render(given)


def test_the_mail_reads_as_agreed(archive: Archive) -> None:
    told = run_module("apt_release_changes_info", {"directory": str(archive.directory), "distribution": "d"})
    told["maintainers"] = ["Ann", "Bob\n\nTo: x\x1b"]
    assert render(told, debs_announce_introduction="Dear all,", debs_announce_url="https://x.org/fixed") == WHOLE
    first = {**told, "previous": None, "maintainers": [], "updated": [], "removed": []}
    assert render(first) == FIRST
