"""After a release what waited for it is merged, and the next version begins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .conftest import ROOT, Site, git

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
    assert "there is no branch of the held change sam/readme" in " ".join(again.text.split())
    assert git("rev-parse", "refs/heads/master", cwd=site.definitions) == head


def test_a_host_that_is_lost_keeps_no_other_from_its_upgrade_and_is_told(tmp_path: Path) -> None:
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    lost = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    hosts = {"a-lost": lost, "b-here": {**local, "build_host_user": ""}}
    groups = {"coordinator": {"hosts": {"boss": local}}, "build_hosts": {"hosts": hosts}}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"children": groups}}))
    became = "{{ groups.build_hosts | map('extract', hostvars, 'build_host_upgraded') }}"
    write = {"copy": {"dest": str(tmp_path / "became"), "content": became}}
    plays = [
        {"import_playbook": str(ROOT / "playbooks/followup_hosts.yml")},
        {"hosts": "boss", "gather_facts": False, "tasks": [write]},
    ]
    (tmp_path / "play.yml").write_text(json.dumps(plays))
    words = [Path(sys.executable).parent / "ansible-playbook", "-i", tmp_path / "hosts.json", tmp_path / "play.yml"]
    ran = subprocess.run(words, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    first, second = json.loads((tmp_path / "became").read_text())
    assert first["fault"].startswith("the build host a-lost is not upgraded: it does not answer: ")
    assert (first["state"], second["state"], second["fault"]) == ("lost", "reminded", "")
