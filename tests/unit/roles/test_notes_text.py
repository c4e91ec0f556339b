# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The release notes' template, with what commits and systems may be called, as Ansible renders it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]

HOSTILE = "<script>x</script> [[!meta redir=x]] [a](http://x) \x1b[2J"
PLAN = {
    "branch": "baserock/release/baserock-26.47",
    "tag": "baserock-26.47",
    "definitions": {"path": "baserock/definitions", "commit": "c" * 40},
    "systems": [
        {"name": "minimal-system-x86_64", "architecture": "x86_64"},
        {"name": "a`|[[b]]", "architecture": "x86_64"},
    ],
    "skipped": [],
}
VARIABLES: dict[str, Any] = {
    "release_plan": PLAN,
    "release_records": {},
    "release_notes_introduction": "",
    "release_notes_download_url": "",
    "notes": {
        "title": "baserock 26.47",
        "introduction": "",
        "sections": {},
        "more": [],
        "waived": [],
        "products": [],
        "files": [{"name": "a.tar.gz", "size": 7, "sha256": "d" * 64}],
        "systems": PLAN["systems"],
        "skipped": [],
        "changes": {
            "previous": None,
            "total": 2,
            "changes": [
                {"commit": "a" * 40, "author": "Zoë Müller", "subject": "Größe geändert"},
                {"commit": "b" * 40, "author": "*Eve*", "subject": HOSTILE},
            ],
        },
    },
}


FILES = {
    **VARIABLES,
    "release_plan": {"definitions": None},
    "notes": {
        **VARIABLES["notes"],
        "systems": [],
        "sections": {
            "known-issues": {"title": "Known issues", "text": "* It does not boot.\n* On Mondays."},
            "thanks": {"title": "Thanks", "text": "To Zoë."},
        },
        "more": [{"title": "Ports", "text": "Closed."}],
        "waived": [{"gate": "boot", "subject": "a`b", "fault": "it hangs", "reason": "no *such* board"}],
        "changes": {
            "previous": "baserock-26.46",
            "files": [{"name": "a.raw", "text": "is new, 2.0 MB"}, {"name": "a`|[[b]]", "text": "has no successor"}],
            "same": 2,
        },
    },
}
COMPONENTS = [
    {"name": "one", "kind": "changed", "before": "1.0", "now": "1.1"},
    {"name": "a`|b", "kind": "new", "before": "", "now": "*2*"},
    {"name": "old", "kind": "gone", "before": "3", "now": ""},
    {"name": "same", "kind": "rebuilt", "before": "4", "now": "4"},
]


def render(tmp_path: Path, variables: dict[str, Any]) -> str:
    task = {"ansible.builtin.copy": {"dest": str(tmp_path / "notes"), "content": "{{ page }}"}}
    page = (
        f"{{{{ lookup('ansible.builtin.template', '{ROOT}/roles/release_notes/templates/notes.mdwn.j2') | trim }}}}\n"
    )
    play = {"hosts": "localhost", "gather_facts": False, "vars": {"page": page}, "tasks": [task]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    (tmp_path / "facts.json").write_text(json.dumps(variables))
    words = ["-i", "localhost,", "-c", "local", "-e", f"@{tmp_path}/facts.json", str(tmp_path / "play.yml")]
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [program, *words],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_PYTHON_INTERPRETER": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (tmp_path / "notes").read_text()


def test_the_notes_show_what_others_wrote_and_nothing_of_it_acts(tmp_path: Path) -> None:
    said = render(tmp_path, VARIABLES)
    assert "* Größe geändert (`aaaaaaa`, Zoë Müller)\n" in said
    assert "| `minimal-system-x86_64` | x86_64 | `` |\n" in said
    assert "| `a.tar.gz` | 7 | `dddd" in said
    assert "| <code>a&#96;&#124;&#91;&#91;b&#93;&#93;</code> | x86_64 | `` |\n" in said
    line = next(line for line in said.splitlines() if "bbbbbbb" in line)
    assert line.startswith("* &lt;script>x&lt;/script> \\[\\[!meta redir=x\\]\\] \\[a\\](http://x) \ufffd\\[2J")
    assert line.endswith("(`bbbbbbb`, \\*Eve\\*)")


def test_the_notes_of_files_tell_what_changed_in_them_and_what_people_wrote(tmp_path: Path) -> None:
    said = render(tmp_path, FILES)
    assert said.startswith(
        "# baserock 26.47\n\n## Known issues\n\n* It does not boot.\n* On Mondays.\n\n"
        "What checks of the release found, and was accepted:\n\n"
        "* <code>a&#96;b</code>, boot: it hangs (no \\*such\\* board)\n\n"
        "## Ports\n\nClosed.\n\n## Files\n\n| file | size | SHA-256 |\n"
    )
    assert said.endswith(
        "\n\n## Changes\n\nSince baserock-26.46:\n\n* `a.raw` is new, 2.0 MB\n"
        "* <code>a&#96;&#124;&#91;&#91;b&#93;&#93;</code> has no successor\n* 2 files are the same\n\n"
        "## Thanks\n\nTo Zoë.\n"
    )


def test_components_are_told_old_and_new(tmp_path: Path) -> None:
    changes = {"previous": "baserock-26.46", "total": 250, "changes": [], "components": COMPONENTS}
    said = render(tmp_path, {**VARIABLES, "notes": {**VARIABLES["notes"], "changes": changes}})
    assert said.endswith(
        "## Changes\n\nComponents since baserock-26.46:\n\n* `one`: `1.0` -> `1.1`\n"
        "* <code>a&#96;&#124;b</code> is new, `*2*`\n* `old` is gone, it was `3`\n* built in another way: `same`\n\n"
        "250 changes to the definitions since baserock-26.46:\n\n* and 250 more\n"
    )


def test_who_attests_is_told_with_the_key_of_each(tmp_path: Path) -> None:
    outputs = {"threshold": 2, "signers": {"ada": "A" * 40, "*b*": "B" * 40, "eve": "E" * 40}, "agreed": ["*b*", "ada"]}
    said = render(tmp_path, {**VARIABLES, "release_records": {"attestation": {"outputs": outputs}}})
    assert (
        "\n\n2 of 3 signers attest exactly these files, where 2 must, each with a key of their own:\n\n"
        f"* \\*b\\*: `{'B' * 40}`\n* ada: `{'A' * 40}`\n\n## Systems\n" in said
    )
    assert "attest" not in render(tmp_path, VARIABLES)
