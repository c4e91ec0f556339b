"""Definitions to plan a release of, in a Trove on this machine."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.release import make_plan

CLUSTER = """\
name: release
kind: cluster
systems:
- morph: systems/minimal-x86_64.bst
  deploy:
    minimal-tar: {type: tar, location: minimal.tar}
    minimal-disk: {type: rawdisk, location: minimal.img, DISK_SIZE: 1G, ROOT_PASSWORD: secret}
  subsystems:
  - morph: systems/initramfs-x86_64.bst
    deploy:
      initramfs: {type: initramfs, location: boot/initramfs.gz}
- morph: systems/board-armv7lhf.morph
  deploy:
    board: {type: tar, location: board.tar}
"""
FILES = {
    "project.conf": "name: example\nelement-path: elements\n",
    "clusters/release.morph": CLUSTER,
    "elements/systems/minimal-x86_64.bst": "kind: compose\npublic: {slipway: {arch: x86_64}}\n",
    "elements/systems/initramfs-x86_64.bst": "kind: compose\npublic: {slipway: {arch: x86_64}}\n",
    "systems/board-armv7lhf.morph": "name: board\nkind: system\narch: armv7lhf\nstrata: []\n",
}
HOSTS = {"x86_64": ["builder1"], "armv7lhf": ["builder2"]}


class Trove:
    """A bare repository on this machine, and a work tree that pushes to it."""

    def __init__(self, directory):
        self.work = directory / "work"
        self.bare = directory / "definitions.git"

    def make(self):
        self.run("init", "--quiet", "--template=", "--initial-branch=master", str(self.work), cwd=self.work.parent)
        self.run("init", "--quiet", "--template=", "--bare", str(self.bare), cwd=self.work.parent)
        self.commit(FILES)

    def run(self, *arguments, cwd=None):
        identity = {"GIT_CONFIG_GLOBAL": os.devnull}
        for who in ("AUTHOR", "COMMITTER"):
            identity |= {f"GIT_{who}_NAME": "a b", f"GIT_{who}_EMAIL": "a@b", f"GIT_{who}_DATE": "@1700000000 +0100"}
        done = subprocess.run(
            ["git", *arguments], cwd=cwd or self.work, env={**os.environ, **identity}, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    def commit(self, files, branch="master"):
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_bytes(text.encode() if isinstance(text, str) else text)
        self.run("add", "--all")
        self.run("commit", "--quiet", "--allow-empty", "--message=change")
        return self.push(f"HEAD:refs/heads/{branch}")

    def push(self, refspec):
        self.run("push", "--quiet", str(self.bare), refspec)
        return self.run("rev-parse", "HEAD")

    def tag(self, name, *, annotated=True):
        self.run("tag", *(["--annotate", "--message=x"] if annotated else []), name)
        self.run("push", "--quiet", str(self.bare), f"refs/tags/{name}")


def refused(request_):
    with pytest.raises(SlipwayError) as caught:
        make_plan(request_)
    return caught.value


def head(trove):
    return trove.run("rev-parse", "HEAD")
