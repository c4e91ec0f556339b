# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the servers of others would refuse hours later is found before a release begins, and nothing is left there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from smtpd import smtpd
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates import access
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.access import (
    try_branch,
    try_definitions,
    try_mail,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.preflight import Report
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.tries import list_tries
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Annotation, Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.home import provide_environment
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.relay import Relay
from publishing import run_module

BRANCH, TAG = "baserock/release/baserock-26.47", "baserock-26.47"
WHO = Annotation("baserock 26.47\n", Person("Release team", "release@example.org", 1700000000))
#: Lets through what a release pushes, by its exact names, and nothing else.
STRICT = f"refs/heads/{BRANCH}|refs/tags/{TAG}|refs/heads/main"


def git(*words: Any, cwd: Path) -> str:
    done = subprocess.run(["git", *map(str, words)], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Server:
    """A bare repository with one commit on its branch main."""

    def __init__(self, top: Path) -> None:
        self.path = top / "server.git"
        work = top / "work"
        git("init", "--quiet", "--bare", "-b", "main", self.path, cwd=top)
        git("clone", "--quiet", self.path, work, cwd=top)
        git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "-m", "x", cwd=work)
        git("push", "--quiet", "origin", "HEAD:refs/heads/main", cwd=work)
        self.commit = git("rev-parse", "HEAD", cwd=work)

    def hook(self, name: str, body: str) -> None:
        path = self.path / "hooks" / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def set(self, name: str, value: str) -> None:
        git("config", name, value, cwd=self.path)

    def refs(self) -> dict[str, str]:
        lines = git("for-each-ref", "--format=%(refname) %(objectname)", cwd=self.path).splitlines()
        return dict(line.split() for line in lines)

    def plan(self, *, branch: str | None = None, tag: str | None = None) -> dict[str, Any]:
        return {
            "branch": BRANCH,
            "tag": TAG,
            "definitions": {"url": str(self.path), "commit": self.commit},
            "remote": {"branch_commit": branch, "tag_commit": tag},
        }

    def tried(self, annotation: Annotation = WHO, **there: str) -> Report:
        """Try branch and tag; whatever comes out, nothing was changed."""
        return self.unchanged(lambda: try_definitions(self.plan(**there), annotation))

    def tried_wiki(self, branch: str = "main") -> Report:
        return self.unchanged(lambda: try_branch(str(self.path), branch, WHO))

    def unchanged(self, ask: Callable[[], Report]) -> Report:
        before = self.refs()
        found = ask()
        assert self.refs() == before
        return found


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


@pytest.mark.parametrize("setting", [None, "receive.denyDeletes", "receive.denyNonFastForwards", "receive.fsckObjects"])
def test_where_everything_may_be_pushed_nothing_is_found_and_nothing_left(server: Server, setting: str | None) -> None:
    if setting:
        server.set(setting, "true")
    assert server.tried() == server.tried_wiki() == server.tried_wiki("new") == Report()
    assert server.tried(branch=server.commit) == server.tried(branch=server.commit, tag=server.commit) == Report()


@pytest.mark.parametrize(
    "hook",
    [
        ("update", f'case $1 in {STRICT}) ;; *) echo "no such name" >&2; exit 1 ;; esac'),
        ("pre-receive", f"while read -r old new ref; do case $ref in {STRICT}) ;; *) exit 1 ;; esac; done"),
        ("pre-receive", "while read -r old new ref; do git rev-list $new --not --all >/dev/null || exit 1; done"),
    ],
)
def test_a_server_that_takes_the_names_of_releases_only_is_no_finding(server: Server, hook: tuple[str, str]) -> None:
    server.hook(*hook)
    assert server.tried() == server.tried_wiki() == Report()
    found = server.tried(branch=server.commit)
    assert found.findings == []


def test_a_hook_that_refuses_the_tag_is_found_with_its_words_and_the_branch_is_tried_as_well(server: Server) -> None:
    server.hook("update", 'case $1 in refs/tags/*) echo "tags are for the boss" >&2; exit 1 ;; esac')
    (finding,) = server.tried().findings
    assert f"{server.path} would not take a push of refs/tags/{TAG} from here: hook declined" in finding
    assert "tags are for the boss" in finding
    (finding,) = server.tried(branch=server.commit).findings
    assert "tags are for the boss" in finding
    server.hook("update", 'echo "no: $1" >&2; exit 1')
    (tag, branch) = server.tried().findings
    assert f"no: refs/tags/{TAG}" in tag
    assert f"no: refs/heads/{BRANCH}" in branch


@pytest.mark.parametrize("name", ["update", "pre-receive"])
def test_a_hook_that_refuses_the_branch_is_found(server: Server, name: str) -> None:
    names = "names=$1" if name == "update" else "names=$(cat)"
    server.hook(name, f'{names}; case $names in *{BRANCH}*) echo "frozen" >&2; exit 1 ;; esac')
    (finding,) = server.tried().findings
    assert f"refs/heads/{BRANCH}" in finding
    assert "frozen" in finding


@pytest.mark.parametrize("name", ["update", "pre-receive"])
def test_a_hook_that_refuses_the_wiki_is_found(server: Server, name: str) -> None:
    names = "names=$1" if name == "update" else "names=$(cat)"
    server.hook(name, f'{names}; case $names in *refs/heads/main*) echo "read only" >&2; exit 1 ;; esac')
    (finding,) = server.tried_wiki().findings
    assert "would not take a push of refs/heads/main from here" in finding
    assert "read only" in finding


def test_a_name_that_is_in_the_way_is_found(server: Server) -> None:
    git("update-ref", "refs/heads/baserock", server.commit, cwd=server.path)
    (finding,) = server.tried().findings
    assert "'refs/heads/baserock' exists" in finding


def test_a_wiki_that_somebody_has_checked_out_is_found(server: Server, tmp_path: Path) -> None:
    wiki = tmp_path / "checked-out"
    git("clone", "--quiet", server.path, wiki, cwd=tmp_path)
    (finding,) = try_branch(str(wiki), "main", WHO).findings
    assert "branch is currently checked out" in finding
    assert git("rev-parse", "main", cwd=wiki) == server.commit


@pytest.mark.parametrize("setting", ["http", "gone"])
def test_a_server_that_takes_no_pushes_at_all_is_found(server: Server, tmp_path: Path, setting: str) -> None:
    if setting == "gone":
        (server.path / "HEAD").unlink()
        (finding,) = try_branch(str(server.path), "main", WHO).findings
        assert "does not appear to be a git repository" in finding
        return
    server.set("receive.unpackLimit", "1")
    (server.path / "objects/pack").rmdir()
    (server.path / "objects/pack").write_text("")
    found = server.tried_wiki()
    assert len(found.findings) == 1


def test_a_server_without_atomic_pushes_is_asked_what_can_be_asked(server: Server) -> None:
    server.set("receive.advertiseAtomic", "false")
    found = server.tried()
    assert found.findings == []
    assert found.warnings == [
        f"whether {server.path} takes a push of refs/tags/{TAG} cannot be tried without leaving something there"
    ]
    assert len(server.tried(branch=server.commit).warnings) == 1
    assert server.tried_wiki() == Report()
    server.hook("update", 'echo "no: $1" >&2; exit 1')
    assert len(server.tried().findings) == len(server.tried_wiki().findings) == 1


def test_what_a_strange_server_accepts_is_taken_back(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "make_tag", lambda *_, commit, **__: commit)
    assert server.tried() == server.tried_wiki() == Report()
    server.set("receive.denyDeletes", "true")
    (finding,) = try_definitions(server.plan(), WHO).findings
    assert f"a push of refs/heads/{BRANCH} was only tried, and is there now" in finding


def test_a_server_that_speaks_another_language_is_understood(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "LAST", re.compile("no such words"))
    assert server.tried() == server.tried_wiki() == Report()
    git("update-ref", "refs/heads/baserock", server.commit, cwd=server.path)
    assert len(server.tried().findings) == 1


def test_the_tag_is_tried_with_its_signature(server: Server, tmp_path: Path) -> None:
    server.hook(
        "update",
        "case $1 in refs/tags/*) git cat-file tag $3 | grep -q 'BEGIN PGP SIG' || { echo unsigned >&2; exit 1; }; esac",
    )
    assert "unsigned" in server.tried().findings[0]
    key = make_key(tmp_path / "g", "R <r@example.org>")
    with provide_environment(tmp_path / "g") as environment:
        assert server.tried(Annotation("x\n", WHO.tagger, key, environment)) == Report()
        (finding,) = server.tried(Annotation("x\n", WHO.tagger, "F" * 40, environment)).findings
    assert "Could not sign" in finding


def test_a_relay_that_takes_the_mail_is_no_finding_and_one_that_does_not_is(tmp_path: Path) -> None:
    people = {"sender": "r@example.org", "recipients": ["a@example.org", "b@example.org"]}
    with smtpd() as running:
        relay = Relay("127.0.0.1", running.port, tls="none", timeout=3, limit=3)
        assert try_mail(relay, **people) == Report()
        running.refuses = {"b@example.org"}
        (finding,) = try_mail(relay, **people).findings
        assert "does not take the announcement for b@example.org: 550 nobody here: correct" in finding
        running.answers = {"RCPT": "450 4.2.0 greylisted"}
        assert [len(try_mail(relay, **people).findings), len(try_mail(relay, **people).warnings)] == [0, 2]
        running.answers = {"MAIL": "550 not from there"}
        (finding,) = try_mail(relay, **people).findings
        assert "550 not from there" in finding
        assert running.mails == []
    (finding,) = try_mail(Relay("127.0.0.1", 1, tls="none", timeout=1), **people).findings
    assert "Could not give a mail to 127.0.0.1:1: " in finding


def test_the_module_tries_what_is_still_to_do_and_in_check_mode_only_lists_it(server: Server, tmp_path: Path) -> None:
    server.hook("update", f'echo "$1" >> {tmp_path}/judged; exit 1')
    make_key(tmp_path / "g", "R <r@example.org>")
    plan = {
        **server.plan(),
        **{"project": "baserock", "version": "26.47", "label": "baserock-26.47", "epoch": 1700000000, "skipped": []},
        "systems": [],
        "deployments": [],
    }
    with smtpd() as running:
        running.refuses = {"a@example.org"}
        asked = {
            "try_access": True,
            "plan": plan,
            "tag": {"gnupghome": str(tmp_path / "g"), "name": "R", "email": "r@example.org"},
            "repositories": [{"name": "wiki", "url": str(server.path), "branch": "main"}],
            "relays": [
                {
                    **{"host": "127.0.0.1", "port": running.port, "tls": "none"},
                    **{"sender": "R <r@example.org>", "recipients": ["A <a@example.org>"]},
                }
            ],
        }
        would = run_module("release_preflight", asked, check=True)
        assert would["would_try"] == [
            f"a push of the branch {BRANCH} and the tag {TAG} to {server.path}",
            f"a commit to main of the wiki at {server.path}",
            f"a mail from r@example.org to a@example.org through 127.0.0.1:{running.port}, which is not sent",
        ]
        assert running.commands == []
        assert not (tmp_path / "judged").exists()
        refused = run_module("release_preflight", asked)
        assert len(refused["findings"]) == 4
        judged = (tmp_path / "judged").read_text().split()
        assert judged == [f"refs/tags/{TAG}", f"refs/heads/{BRANCH}", "refs/heads/main"]
        there = {**plan, "remote": {"branch_commit": server.commit, "tag_commit": server.commit}}
        done = {**asked, "plan": there, "records": ["branch", "tag", "package", "notes", "announcement"]}
        assert run_module("release_preflight", done)["would_try"] == []
        assert run_module("release_preflight", {**asked, "try_access": False})["would_try"] == []
    assert server.refs() == {"refs/heads/main": server.commit}


def test_a_server_that_takes_no_mail_does_not_keep_a_public_release_from_going_on() -> None:
    relay = {"host": "127.0.0.1", "port": 1, "sender": "a@b.c", "recipients": ["d@e.f"]}
    relay |= {"tls": "none", "user": "", "password": "", "ca_path": ""}
    wanted = {"plan": {"definitions": None}, "tag": {"name": "x"}, "repositories": [], "relays": [relay]}
    assert len(list_tries({**wanted, "records": ["package"]})) == 1
    assert list_tries({**wanted, "records": ["package", "publication"]}) == {}
