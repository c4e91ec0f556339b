# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time a licence manifest: a tenth of the components read anew, all known, and one changed. The peer is a loop.

python benchmarks/licence_manifest/run.py [COMPONENTS [FILES]]

Components are git repositories with so many C headers of this machine in each. What is known of the other nine tenths,
here and by the peer, is what was found of the first, under other names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.elements import Origin
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.make import make_files
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.site import Release, Site, Wanted
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.sources import GitSources

PEER = Path(__file__).with_name("peer.sh")
SYSTEM, STRATUM = "systems/large.morph", "strata/all.morph"
PERSON = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(*words: str, cwd: Path) -> str:
    """Run git and return what it says."""
    environment = {**os.environ, **PERSON}
    return subprocess.run(["git", *words], cwd=cwd, env=environment, check=True, capture_output=True, text=True).stdout


def commit(path: Path, files: dict[str, bytes]) -> str:
    """Commit files to a repository, which is made if need be."""
    if not path.is_dir():
        path.mkdir(parents=True)
        git("init", "--quiet", cwd=path)
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    git("add", "--all", cwd=path)
    git("commit", "--quiet", "--allow-empty", "--message=x", cwd=path)
    return git("rev-parse", "HEAD", cwd=path).strip()


def make_trove(top: Path, components: int, files: int) -> dict[str, str]:
    """A Trove with the components; their commits by their names."""
    headers = cycle(sorted(path for path in Path("/usr/include").rglob("*.h") if path.is_file()))
    commits = {}
    for number in range(components):
        chosen = {f"{count}-{path.name}": path.read_bytes() for count, path in enumerate(islice(headers, files))}
        commits[f"part{number}"] = commit(top / f"delta/part{number}", chosen)
    return commits


def learn(top: Path, commits: dict[str, str], read: int) -> None:
    """Have all components known, here and to the peer, by what was read of the first ones."""
    names = list(commits)
    for number, name in enumerate(names[read:]):
        like = names[number % read]
        kept = json.loads((top / f"cache/{like}-{commits[like]}.licences").read_text())
        kept |= {"repo": f"upstream:{name}", "commit": commits[name]}
        (top / f"cache/{name}-{commits[name]}.licences").write_text(json.dumps(kept))
        shutil.copy(top / f"licenses/{like}-{commits[like]}", top / f"licenses/{name}-{commits[name]}")


def write_definitions(top: Path, commits: dict[str, str]) -> None:
    """The definitions, and the list of components for the peer."""
    chunks = "".join(f"- {{name: {name}, repo: 'upstream:{name}', ref: {ref}}}\n" for name, ref in commits.items())
    morphologies = {
        SYSTEM: f"name: large\nkind: system\narch: x86_64\nstrata:\n- {{name: all, morph: {STRATUM}}}\n",
        STRATUM: f"name: all\nkind: stratum\nchunks:\n{chunks}",
    }
    commit(top / "definitions", {name: text.encode() for name, text in morphologies.items()})
    (top / "components").write_text(
        "".join(f"upstream:{name} {top}/delta/{name} {ref}\n" for name, ref in commits.items())
    )


def make_manifest(top: Path) -> None:
    """What the stage does."""
    origin = Origin("definitions", "master", git("rev-parse", "HEAD", cwd=top / "definitions").strip())
    images = top / "images"
    shutil.rmtree(images, ignore_errors=True)
    release = Release("x-1.0", "1.0", 0, origin, str(top / "definitions"), top / "source", images)
    site = Site(release, [], {}, {}, top / "cache", GitSources(str(top)))
    wanted = Wanted("licences", "x", "licence-manifest", SYSTEM, "large", "x86_64", "licences.txt", {})
    make_files([wanted], site, previous={})


def measure(words: Sequence[str]) -> tuple[float, float, float]:
    """Seconds of a program, of its processors with all that it started, and the MiB of the largest of them."""
    begun = time.monotonic()
    process = subprocess.Popen(words)
    _pid, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{words[0]} ended with status {status}")
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Measure each run beside the peer's."""
    if sys.argv[1:2] == ["--make"]:
        make_manifest(Path(sys.argv[2]))
        return
    components, files = (int(word) for word in (*sys.argv[1:], *("200", "30")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        commits = make_trove(top, components, files)
        read = max(1, components // 10)
        ours = [sys.executable, __file__, "--make", name]
        theirs = [str(PEER), f"{name}/components", name]
        print(f"| components of {files} files | wall | processor | memory | wall, peer = 1 |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for run in (f"{read} read anew", f"{components}, all known", f"{components}, one changed"):
            write_definitions(top, dict(list(commits.items())[: read if "anew" in run else components]))
            if "known" in run:
                learn(top, commits, read)
            if "changed" in run:
                commits["part0"] = commit(top / "delta/part0", {"new.h": b"/* SPDX-License-Identifier: MIT */\n"})
                shutil.rmtree(top / "repos/part0")
                write_definitions(top, commits)
            mine, peer = measure(ours), measure(theirs)
            print(f"| {run} | {mine[0]:.1f} s | {mine[1]:.1f} s | {mine[2]:.0f} MiB | {mine[0] / peer[0]:.2f} |")
            print(f"| peer: {run} | {peer[0]:.1f} s | {peer[1]:.1f} s | {peer[2]:.0f} MiB | 1 |", flush=True)


if __name__ == "__main__":
    main()
