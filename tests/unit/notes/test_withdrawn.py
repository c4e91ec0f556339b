# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Notes say first that their release is withdrawn, and keep all else."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes.withdrawn import tell_withdrawn
from publishing import run_module

FACTS = {"withdrawn": "2027-01-15T08:00:00Z", "by": "Ada", "reason": "It does not boot."}
NOTICE = "**Withdrawn on 2027-01-15** by Ada: It does not boot. Please do not use this release any more.\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# Acme 1.0\n\nIt boots.\n", f"# Acme 1.0\n\n{NOTICE}\nIt boots.\n"),
        ("It boots.\n\n# Not its title\n", f"{NOTICE}\nIt boots.\n\n# Not its title\n"),
        ("## Changes\n", f"{NOTICE}\n## Changes\n"),
        ("", f"{NOTICE}\n"),
    ],
)
def test_the_notice_stands_below_the_title_once_and_goes_without_a_trace(text: str, told: str) -> None:
    assert tell_withdrawn(text, FACTS) == told
    other = tell_withdrawn(told, {**FACTS, "reason": "It loses data"})
    assert "Ada: It loses data. Please" in other
    assert tell_withdrawn(other, FACTS) == told
    assert tell_withdrawn(told, {}) == text


def test_a_reason_is_no_markup() -> None:
    told = tell_withdrawn("# A\n", {**FACTS, "by": "*A*", "reason": "<b>`x`</b> [[!meta x]]\n\n# Other"})
    assert told.count("\n") == 4
    assert r"by \*A\*: &lt;b>\`x\`&lt;/b> \[\[!meta x\]\] # Other. Please" in told


def test_what_others_wrote_stays_and_notes_that_are_gone_need_no_notice(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    def mark(**more: Any) -> dict[str, Any]:
        options = {"repository": str(tmp_path), "path": "acme-1.0.mdwn", "facts": FACTS, "commit_message": "Say so\n"}
        return run_module("release_notes_withdrawn", {**options, **more})

    git("init", "-q", "-b", "main")
    (tmp_path / "acme-1.0.mdwn").write_text("# Acme 1.0\n\nBy hand.\n")
    git("add", ".")
    git("-c", "user.name=Z", "-c", "user.email=z@example.org", "commit", "-qm", "Write")
    git("checkout", "-q", "--detach")
    assert mark()["changed"]
    assert git("show", "main:acme-1.0.mdwn") == f"# Acme 1.0\n\n{NOTICE}\nBy hand.\n"
    assert git("log", "-1", "--format=%at %an %s", "main") == "1800000000 Slipway Say so\n"
    assert not mark()["changed"]
    assert not mark(path="gone.mdwn")["changed"]
    assert "there is no branch wiki" in mark(branch="wiki")["msg"]
