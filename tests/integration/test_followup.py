"""After a release what waited for it is merged, and the next version begins."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Site, git

IDENTITY = ("-c", "user.name=Sam", "-c", "user.email=sam@example.org")


def commit(work: Path, branch: str, name: str, text: str) -> None:
    git("checkout", "-q", "-B", branch, "origin/master", cwd=work)
    (work / name).write_text(text)
    git("add", ".", cwd=work)
    git(*IDENTITY, "commit", "-qm", f"Change {name}", cwd=work)
    git("push", "-q", "origin", branch, cwd=work)


def test_what_waited_is_merged_once_and_the_next_version_begins(released: Site, tmp_path: Path) -> None:
    site = released.copied(tmp_path)
    work = tmp_path / "work"
    git("clone", "-q", str(site.definitions), str(work), cwd=tmp_path)
    commit(work, "sam/next", "README.next", "next\n")
    commit(work, "sam/readme", "files/README", "of Sam\n")
    commit(work, "master", "files/README", "of somebody else\n")
    before = git("rev-parse", "refs/heads/master", cwd=site.definitions)
    held = [{"branch": f"sam/{name}", "until": "26.47", "why": "it waits"} for name in ("next", "readme")]
    asked = {"version": "26.47", "next": "26.48", "release_policy": {"held": held}}

    said = site.play("playbooks/followup.yml", check=True, **asked)
    assert "sam/next is merged into master" in said.text
    assert git("rev-parse", "refs/heads/master", cwd=site.definitions) == before

    ran = site.play("playbooks/followup.yml", **asked)
    (message,) = ran.failures
    assert message.rstrip().endswith(
        "see to the rest and run again:\n  - the held change sam/readme is not merged into master: it conflicts with "
        "master in files/README"
    )
    shown = git("log", "--first-parent", "--format=%an|%s", f"{before}..master", cwd=site.definitions).splitlines()
    team = "baserock release team"
    assert shown == [f"{team}|Begin 26.48", f"{team}|Merge sam/next, which waited for 26.47"]
    names = git("ls-tree", "-r", "--name-only", "master", "held.yml", "README.next", cwd=site.definitions)
    assert names.splitlines() == ["README.next", "held.yml"]
    drafts = git("ls-tree", "-r", "--name-only", "main", "drafts", cwd=site.state / "wiki.git").splitlines()
    assert drafts == [f"drafts/26.48/{name}.md" for name in ("introduction", "known-issues", "thanks")]
    record = json.loads((site.release_directory("26.47") / "records/followup.json").read_text())
    assert {each["branch"]: each["state"] for each in record["outputs"]["held"]} == {
        "sam/next": "merged", "sam/readme": "conflict"
    }  # fmt: skip
    assert any("no mason is in this inventory" in each for each in record["outputs"]["reminders"])

    git("push", "-q", "origin", ":sam/readme", cwd=work)
    head = git("rev-parse", "refs/heads/master", cwd=site.definitions)
    again = site.play("playbooks/followup.yml", **asked)
    assert again.status == 0, again.text
    assert git("rev-parse", "refs/heads/master", cwd=site.definitions) == head
