# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The announcement's template: the notes as a plain text, against a text that a person has read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes.markdown import render_text

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(__file__).with_name("data") / "announcement"
SETTINGS: dict[str, Any] = {
    "release_plan": {"project": "baserock"},
    "release_announce_introduction": "",
    "release_announce_notes_url": "",
    "_release_announce_latest": "",
    "mail": {"notes": "baserock"},
    "text": (DATA / "notes.md").read_text(),
}


def render(**changes: Any) -> str:
    """As Ansible's template lookup renders it."""
    environment = jinja2.Environment(  # noqa: S701  # it is a plain text
        loader=jinja2.FileSystemLoader(ROOT / "roles/release_announce/templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["slipway.release.markdown_text"] = render_text
    return environment.get_template("announcement.txt.j2").render({**SETTINGS, **changes})


def test_the_announcement_is_the_notes_as_agreed() -> None:
    assert render() == (DATA / "plain.txt").read_text()


def test_it_says_where_else_the_notes_are_and_has_an_introduction_once() -> None:
    address = "https://wiki.example.org/releases/baserock-26.47"
    hello = "Dear all,\n\nthis release brings a newer kernel."
    full = render(release_announce_notes_url=address, release_announce_introduction=hello)
    assert full == f"{hello}\n\n{render()}\nThese notes are also at {address}.\n"
    assert render(release_announce_introduction="It boots faster.\n") == render()
    other = {"notes": "genivi"}
    assert render(release_announce_notes_url=address, mail=other) == render()


def test_it_says_where_programs_learn_what_is_current() -> None:
    address = "https://download.example.org/latest.json"
    told = f"\nWhich release is current, signed and dated: {address}\n"
    assert render(_release_announce_latest=address) == render() + told
    also = render(_release_announce_latest=address, release_announce_notes_url="https://x.example.org/n")
    assert also == render(release_announce_notes_url="https://x.example.org/n") + told


def test_no_line_is_longer_than_eighty_characters_and_nothing_acts() -> None:
    hostile = SETTINGS["text"] + "\n\x1b[2J <b>x</b>\u202e\n"
    said = render(text=hostile)
    assert max(map(len, said.splitlines())) <= 80
    assert said.endswith("\n\ufffd[2J <b>x</b>\ufffd\n")
