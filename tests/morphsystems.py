"""A Trove with a system of Morph's and its components."""

from __future__ import annotations

import os
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

MIT = """\
/* Copyright 2020 Ada Example
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
 * documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
 * rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to
 * permit persons to whom the Software is furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
 * Software.
 */
"""
GPL = """\
/* Copyright 2020 Ada Example
 * This program is free software; you can redistribute it and/or modify it under the terms of the GNU General Public
 * License as published by the Free Software Foundation; either version 2 of the License, or (at your option) any later
 * version.
 */
"""
COMPONENTS = {
    "delta/hello": {
        "hello.c": GPL,
        "list.h": MIT,
        "README": "It greets.\n",
        "configure.ac": "AC_INIT([hello],[2.10])\n",
    },
    "delta/quiet": {"notes": "Nothing is said here.\n", "logo.png": "\x89PNG\0\0"},
    "delta/gcc": {"gcc.c": GPL},
    "baserock/baserock/tool": {"tool.py": "# Copyright 2021\n# SPDX-License-Identifier: ISC\n"},
}
SYSTEM, BSP, CORE = "systems/genivi-x86_64.morph", "strata/bsp.morph", "strata/core.morph"


def git(*words: str, cwd: Path) -> str:
    person = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {f"GIT_{who}_DATE": "@1700000000 +0000" for who in ("AUTHOR", "COMMITTER")}
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, **person, **dates}
    return subprocess.run(
        ["git", *words], cwd=cwd, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


def make_repository(path: Path, files: dict[str, str]) -> str:
    """A repository with one commit, which is returned."""
    path.mkdir(parents=True)
    git("init", "--quiet", "--template=", "--initial-branch=master", cwd=path)
    return commit_files(path, files)


def commit_files(path: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(text.encode("latin-1"))
    git("add", "--all", cwd=path)
    git("commit", "--quiet", "--message=change", cwd=path)
    return git("rev-parse", "HEAD", cwd=path)


class Morph:
    """The Trove ``top``: ``commits`` are those of its components."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.commits = {path: make_repository(top / f"{path}.git", files) for path, files in COMPONENTS.items()}
        self.definitions = top / "baserock/baserock/definitions.git"
        self.commit = make_repository(self.definitions, self.morphologies())

    def morphologies(self) -> dict[str, str]:
        tool = self.commits["baserock/baserock/tool"]
        return {
            SYSTEM: "name: genivi-x86_64\nkind: system\narch: x86_64\nstrata:\n"
            f"- {{name: core, morph: {CORE}}}\n- name: bsp\n  morph: {BSP}\n",
            CORE: "name: core\nkind: stratum\nchunks:\n"
            f"- {{name: stage1-gcc, repo: 'upstream:gcc', ref: {self.commits['delta/gcc']}, build-mode: bootstrap}}\n"
            f"- {{name: gcc, repo: 'upstream:gcc', ref: {self.commits['delta/gcc']}}}\n"
            "- {name: hello, repo: 'upstream:hello', ref: master}\n",
            BSP: "name: bsp\nkind: stratum\nchunks:\n"
            f"- {{name: tool, repo: 'baserock:baserock/tool', ref: {tool}}}\n"
            f"- {{name: quiet, repo: 'upstream:quiet', ref: {self.commits['delta/quiet']}}}\n",
        }

    def list_meta(self) -> dict[str, dict[str, object]]:
        """What Morph leaves in the system, by file names."""
        found = {}
        for number, (kind, name, path, ref) in enumerate(
            [
                ("system", "genivi-x86_64-rootfs", "baserock/baserock/definitions", "baserock/builds/0123456789abcdef"),
                ("stratum", "core-runtime", "baserock/baserock/definitions", "baserock/builds/0123456789abcdef"),
                ("chunk", "hello-misc", "delta/hello", "master"),
                ("chunk", "hello-bins", "delta/hello", "master"),
                ("chunk", "tool-bins", "baserock/baserock/tool", self.commits["baserock/baserock/tool"]),
            ]
        ):
            found[f"{name}.meta"] = {
                "artifact-name": name,
                "source-name": name.rpartition("-")[0],
                "kind": kind,
                "repo": f"git://trove.example.org/{path}",
                "repo-alias": f"upstream:{path[6:]}" if path.startswith("delta/") else f"baserock:{path[9:]}",
                "original_ref": ref,
                "sha1": self.commit if kind != "chunk" else self.commits[path],
                "cache-key": f"{number}" * 64,
                "contents": [],
            }
        found["deployment.meta"] = {"system-artifact-name": "genivi-x86_64-rootfs", "configuration": {}}
        return found


def write_tar(path: Path, files: dict[str, bytes | str]) -> Path:
    """An archive of these files; text in the place of bytes is where a link leads."""
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, BytesIO(content))
    return path
