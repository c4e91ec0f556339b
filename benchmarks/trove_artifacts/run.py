#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Publishing the artifacts of a release of which the public Trove has most: wall time, CPU time, memory, requests.

Run from the checkout: ``python benchmarks/trove_artifacts/run.py``. Two cache servers in processes of their own hold
20 000 artifacts, of which the public one lacks 200. Compared are

- ``slipway``: trove_artifacts' logic: asks in batches, fetches several at a time, one rsync, asks again;
- ``one at a time``: one request for each name, then one download after the other, then rsync.

``--delay`` adds the milliseconds that a request takes between two sites.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from ansible_collections.slipway.release.plugins.module_utils.slipway.morph.artifacts import Transfer, publish_artifacts
from ansible_collections.slipway.release.plugins.module_utils.slipway.morph.cache import MorphCache
from peers.morph_cache import MorphCachePeer
from peers.webserver import Exchange


class Cache(MorphCachePeer):
    delay = 0.0

    def handle(self, asked: Exchange) -> None:
        time.sleep(self.delay)
        super().handle(asked)


def serve(directory: Path, delay: float, pipe: Connection) -> None:
    peer = Cache(directory)
    peer.delay = delay
    with peer:
        pipe.send(peer.url)
        pipe.recv()
        pipe.send(len(peer.requests))


def slipway(names: Sequence[str], local: str, public: str, destination: Path, work: Path) -> None:
    outcome = publish_artifacts(
        names,
        local=MorphCache(local),
        public=MorphCache(public),
        transfer=Transfer(str(destination)),
        directory=work,
        jobs=8,
    )
    assert len(outcome.published) == len(outcome.missing)


def one_at_a_time(names: Sequence[str], local: str, public: str, destination: Path, work: Path) -> None:
    work.mkdir()
    missing = []
    for name in names:
        address = f"{public}/1.0/artifacts?filename={urllib.parse.quote(name)}"
        try:
            urllib.request.urlopen(urllib.request.Request(address, method="HEAD")).close()  # noqa: S310  # our server
        except urllib.error.HTTPError:
            missing.append(name)
    for name in missing:
        address = f"{local}/1.0/artifacts?filename={urllib.parse.quote(name)}"
        with urllib.request.urlopen(address) as body, (work / name).open("wb") as file:  # noqa: S310  # our server
            shutil.copyfileobj(body, file)
    subprocess.run(
        ["rsync", "-a", "--from0", "--files-from=-", f"{work}/", f"{destination}/"],
        input="\0".join(missing).encode(),
        check=True,
    )


def measured(
    act: Callable[..., None], names: Sequence[str], local: str, public: str, destination: Path, work: Path
) -> dict[str, Any]:
    began = time.monotonic()
    act(names, local, public, destination, work)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "wall_s": time.monotonic() - began,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
    }


def one_run(act: Callable[..., None], options: argparse.Namespace) -> dict[str, Any]:
    """The caches made again, two servers, one client, each in a process of its own."""
    chance = random.Random(1)  # noqa: S311  # repeatable, not secret
    top = Path(tempfile.mkdtemp(dir=options.directory))
    directories = [top / "local", top / "public"]
    for directory in directories:
        directory.mkdir()
    names = [f"{chance.getrandbits(256):064x}.chunk.chunk-{number}-runtime" for number in range(options.names)]
    lacking = {*chance.sample(names, options.missing)}
    data = chance.randbytes(options.size)
    for name in names:
        # Content matters for what is fetched only; the rest is there to be asked for.
        (directories[0] / name).write_bytes(data if name in lacking else b"x")
        if name not in lacking:
            (directories[1] / name).write_bytes(b"x")
    pipes, servers, urls = [], [], []
    for directory in directories:
        pipe, theirs = multiprocessing.Pipe()
        server = multiprocessing.Process(target=serve, args=(directory, options.delay / 1000, theirs))
        server.start()
        urls.append(pipe.recv())
        pipes.append(pipe)
        servers.append(server)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        figures: dict[str, Any] = pool.apply(measured, (act, names, *urls, directories[1], top / "work"))
    figures["requests"] = 0
    for pipe, server in zip(pipes, servers, strict=True):
        pipe.send("done")
        figures["requests"] += pipe.recv()
        server.join()
    assert all((directories[1] / name).read_bytes() == data for name in lacking)
    shutil.rmtree(top)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=20_000)
    parser.add_argument("--missing", type=int, default=200)
    parser.add_argument("--size", type=int, default=500_000, help="bytes of a missing artifact")
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds of each request")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--in", dest="directory", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    runs = {"slipway": one_run(slipway, options), "one at a time": one_run(one_at_a_time, options)}
    if options.json:
        print(json.dumps(runs, indent=2))
        return
    print(f"{'':16} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'requests':>9}")
    for name, run in runs.items():
        print(f"{name:16} {run['wall_s']:8.1f} {run['cpu_s']:8.1f} {run['peak_mb']:8.0f} {run['requests']:9}")
    print(f"one at a time takes {runs['one at a time']['wall_s'] / runs['slipway']['wall_s']:.1f} times as long")


if __name__ == "__main__":
    main()
