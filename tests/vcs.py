# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The same stack in a repository of each kind, made by the kind's own programs as somebody without settings."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

#: Where programs write settings of their own, though there are none.
_HOME = tempfile.TemporaryDirectory(prefix="slipway-home-")  # goes with this process
HOME = _HOME.name
SETTINGS = {
    "HGRCPATH": "",
    "HGUSER": "Dev <dev@example.org>",
    "BRZ_EMAIL": "Dev <dev@example.org>",
    "BRZ_LOG": "/dev/null",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "dev" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def call(*words: object, cwd: Path | None = None, ok: bool = True) -> str:
    """Run a program as the developer; what it says."""
    environment = {
        "PATH": f"/usr/bin:{os.environ['PATH']}",
        "HOME": HOME,
        "BRZ_HOME": HOME,
        **SETTINGS,
    }
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or not ok, done.stderr
    return done.stdout.strip()


def fill(tree: Path, text: str) -> None:
    """The files of the stack: one that can be executed, a link, and one in a directory."""
    (tree / "scripts").mkdir(exist_ok=True)
    (tree / "stack.xml").write_text(text)
    (tree / "scripts/run").write_text("#!/bin/sh\n")
    (tree / "scripts/run").chmod(0o755)
    if not (tree / "link").is_symlink():
        (tree / "link").symlink_to("stack.xml")


@dataclass
class Stack:
    """A repository with one stack at ``work``, from where a developer commits to it."""

    kind: str
    top: Path
    values: dict[str, Any]
    work: Path

    @property
    def uri(self) -> str:
        return str(self.values.get("uri") or self.values["dev"])

    def commit(self, text: str, *, epoch: int | None = None) -> str:
        """Change the stack as a developer does, at a time or now; the new revision."""
        fill(self.work, text)
        date = "" if epoch is None else datetime.fromtimestamp(epoch, UTC).isoformat()
        if self.kind == "git":
            call("git", "add", "--all", cwd=self.work)
            at = [f"GIT_COMMITTER_DATE={date}"] if date else []
            call("env", *at, "git", "commit", "-q", "-m", text, cwd=self.work)
            call("git", "push", "-q", "origin", "HEAD:main", cwd=self.work)
            return call("git", "rev-parse", "HEAD", cwd=self.work)
        if self.kind == "hg":
            call("hg", "update", "-q", cwd=self.work)
            fill(self.work, text)
            at = [f"--date={epoch} -7200"] if date else []
            call("hg", "commit", "-q", "--addremove", "-m", text, *at, cwd=self.work)
            return call("hg", "log", "--rev=.", "--template={node}", cwd=self.work)
        if self.kind == "bzr":
            call("brz", "add", "-q", cwd=self.work)
            at = [f"--commit-time={date.replace('T', ' ').replace('+00:00', ' +0000')}"] if date else []
            call("brz", "commit", "-q", "-m", text, *at, cwd=self.work)
            return call("brz", "revision-info", cwd=self.work).split()[-1]
        call("svn", "add", "-q", "--force", ".", cwd=self.work)
        call("svn", "commit", "-q", "-m", text, cwd=self.work)
        call("svn", "update", "-q", cwd=self.work)
        revision = call("svn", "info", "--show-item", "last-changed-revision", cwd=self.work)
        if date:
            (self.top / "date").write_text(date.replace("+00:00", ".999999Z"))
            call("svnadmin", "setrevprop", self.top / "repo", "-r", revision, "svn:date", self.top / "date")
        return revision

    def read_epoch(self, revision: str) -> int:
        """When a revision was made, asked of the kind's own program."""
        if self.kind == "git":
            return int(call("git", "--git-dir", self.uri, "show", "-s", "--format=%ct", revision))
        if self.kind == "hg":
            return int(call("hg", "-R", self.uri, "log", "-r", revision, "-T", "{date|hgdate}").split()[0])
        if self.kind == "bzr":
            log = call("brz", "log", "--timezone=utc", "-r", f"revid:{revision}", self.uri)
            date = log.partition("timestamp: ")[2].partition("\n")[0]
            return int(datetime.strptime(date, "%a %Y-%m-%d %H:%M:%S %z").timestamp())
        date = call("svn", "propget", "--revprop", "-r", revision, "svn:date", self.uri)
        return int(datetime.fromisoformat(date[:19] + "+00:00").timestamp())

    def tag(self, name: str, revision: str) -> None:
        """Tag as somebody else would by hand."""
        if self.kind == "git":
            call("git", "push", "-q", "--force", "origin", f"{revision}:refs/tags/{name}", cwd=self.work)
        elif self.kind == "hg":
            call("hg", "update", "-q", cwd=self.work)
            call("hg", "tag", "--force", "-r", revision, name, cwd=self.work)
        elif self.kind == "bzr":
            call("brz", "tag", "-q", "--force", "-r", f"revid:{revision}", name, cwd=self.work)
        else:
            call("svn", "rm", "-q", "-m", "x", f"{name}@", ok=False)
            call("svn", "cp", "-q", "--parents", "-m", "x", f"{self.uri}@{revision}", name)

    def read_tag(self, name: str) -> str:
        """The revision that a tag names, asked of the kind's own program; empty if there is none."""
        if self.kind == "git":
            return call("git", "--git-dir", self.uri, "rev-parse", "--verify", "-q", f"{name}^{{commit}}", ok=False)
        if self.kind == "hg":
            return call("hg", "-R", self.uri, "log", f"--rev=tag('re:^{name}$')", "--template={node}", ok=False)
        if self.kind == "bzr":
            lines = call("brz", "tags", "-d", self.uri, "--show-ids").splitlines()
            return next((line.split()[1] for line in lines if line.split()[0] == name), "")
        log = call("svn", "log", "-v", "-q", "--stop-on-copy", "-l1", f"{name}@", ok=False)
        return log.rpartition(":")[2].partition(")")[0]


def make_stack(kind: str, top: Path) -> Stack:
    """An empty repository, and a place to work."""
    top.mkdir(parents=True, exist_ok=True)
    work = top / "work"
    values: dict[str, Any] = {"release-tag": "nav-1.0", "distro-tag": "cturtle"}
    if kind == "svn":
        call("svnadmin", "create", top / "repo")
        root = f"file://{top}/repo"
        call("svn", "mkdir", "-q", "--parents", "-m", "Begin", f"{root}/nav/trunk")
        call("svn", "checkout", "-q", f"{root}/nav/trunk", work)
        values = {
            "dev": f"{root}/nav/trunk",
            "release-tag": f"{root}/nav/tags/nav-1.0",
            "distro-tag": f"{root}/nav/tags/cturtle",
        }
    elif kind == "git":
        call("git", "init", "-q", "--bare", "-b", "main", top / "repo.git")
        call("git", "clone", "-q", top / "repo.git", work)
        values |= {"uri": f"{top}/repo.git", "dev-branch": "main"}
    elif kind == "hg":
        call("hg", "init", work)
        values |= {"uri": str(work), "dev-branch": "default"}
    else:
        call("brz", "init", "-q", work)
        values |= {"uri": f"file://{work}", "dev-branch": "."}
    return Stack(kind, top, values, work)
