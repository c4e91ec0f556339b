# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The announcement's template against texts that a person has read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.escape import escape_line

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = Path(__file__).with_name("data") / "announcement"

PLAN: dict[str, Any] = {
    "project": "baserock",
    "version": "26.47",
    "label": "baserock-26.47",
    "tag": "baserock-26.47",
    "definitions": {"path": "baserock/baserock/definitions", "commit": "6c1c4e0a4be8e0c2d2ef3d5c2a3b4c5d6e7f8091"},
    "systems": [
        {"name": "minimal-system-x86_64", "architecture": "x86_64"},
        {"name": "minimal-system-x86_32", "architecture": "x86_32"},
    ],
    "skipped": [],
}
FILES: list[dict[str, Any]] = [
    {"name": "baserock-26.47-minimal-system-x86_32.tar.gz", "size": 98765432, "sha256": "1" * 64},
    {"name": "baserock-26.47-minimal-system-x86_64.img.gz", "size": 123456, "sha256": "2" * 64},
    {"name": "manifest.json", "size": 4321, "sha256": "3" * 64},
]
RECORDS: dict[str, Any] = {
    "package": {"outputs": {"signed_by": "0123456789ABCDEF0123456789ABCDEF01234567"}},
    "publication": {"outputs": {"files": FILES}},
}
SETTINGS: dict[str, Any] = {
    "release_plan": PLAN,
    "release_records": RECORDS,
    "release_announce_introduction": "",
    "release_announce_download_url": "",
    "release_announce_notes_url": "",
}
FULL = {
    **SETTINGS,
    "release_plan": {**PLAN, "skipped": [{"system": "minimal-system-armv7lhf", "architecture": "armv7lhf"}]},
    "release_announce_introduction": "Dear all,\n\nthis release brings a newer kernel.",
    "release_announce_download_url": "https://download.example.org/baserock",
    "release_announce_notes_url": "https://wiki.example.org/releases/baserock-26.47",
}
UNPUBLISHED = {
    **SETTINGS,
    "release_records": {
        "publication": {"outputs": {"files": [{**file, "size": None, "sha256": None} for file in FILES]}}
    },
}


def render(settings: dict[str, Any]) -> str:
    """As Ansible's template lookup renders it."""
    environment = jinja2.Environment(  # noqa: S701  # it is a plain text
        loader=jinja2.FileSystemLoader(ROOT / "roles/release_announce/templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["slipway.release.as_line"] = escape_line
    return environment.get_template("announcement.txt.j2").render(settings)


#: Files that something else made: no systems, and no commit.
FILES_ALONE = {
    **SETTINGS,
    "release_plan": {**PLAN, "systems": [], "definitions": None, "tag": None},
    "release_records": {
        **RECORDS,
        "publication": {"outputs": {"files": [{**FILES[1], "name": "baserock_26.47_x86-64.raw"}, FILES[2]]}},
    },
}
NOTED = {**FILES_ALONE, "release_announce_notes_url": "https://download.example.org/baserock-26.47.html#notes"}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("plain", SETTINGS),
        ("full", FULL),
        ("before_publication", UNPUBLISHED),
        ("files", FILES_ALONE),
        ("files_with_notes", NOTED),
    ],
)
def test_the_announcement_reads_as_agreed(name: str, settings: dict[str, Any]) -> None:
    assert render(settings) == (GOLDEN / f"{name}.txt").read_text()


def test_a_name_makes_no_line_of_its_own_and_acts_on_no_terminal() -> None:
    systems = [{"name": "a\n\nFrom: x\x1b[2J\u202e", "architecture": "x86_64"}]
    said = render({**SETTINGS, "release_plan": {**PLAN, "systems": systems}})
    assert "  * a From: x\ufffd[2J\ufffd (x86_64)\n" in said


def test_no_line_is_too_long_for_a_mail() -> None:
    assert max(map(len, render(FULL).splitlines())) <= 105
