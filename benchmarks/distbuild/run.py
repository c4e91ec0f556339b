#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Many builds at once, each with much output: wall time, CPU time and memory of the initiator.

Run from the checkout: ``python benchmarks/distbuild/run.py``. A controller in processes of its own plays the recorded
output of a real build (UTF-8, control characters, long lines, binary pieces) again and again. Compared are

- ``slipway``: distbuild_submit's logic, all builds in one process, decoded, one log per step;
- ``safe_load``: what a client does at least, as Morph's own: one process per build, json and yaml.safe_load of each
  line, the output appended to a file (fewer and smaller builds, since it is slow; figures are per MB);
- ``receive``: the floor: nothing is decoded, the lines are written to files as they come.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from peers.distbuild_replay import Scene, scene

MB = 1_000_000
SERVERS = 2


def played() -> tuple[Scene, bytes, int]:
    """The scene, the wire lines of its output as one block, and how many bytes of output a block holds."""
    noisy = scene("success-noisy-output")
    block, size = bytearray(), 0
    for line, message in zip(noisy.script, noisy.messages, strict=True):
        if message["type"] == "step-output":
            assert isinstance(line, bytes)
            block += line
    size = sum(len(data) for data in noisy.output().values())
    return noisy, bytes(block), size


def serve(server: socket.socket, megabytes: float) -> None:
    """A controller: every connection gets the scene, its output repeated."""
    noisy, block, size = played()
    repeats = max(1, round(megabytes * MB / size))
    while True:
        connection, _ = server.accept()
        if os.fork() == 0:
            request = json.loads(json.loads(connection.makefile("rb").readline()))
            own = request["id"].encode()
            told = False
            for line, message in zip(noisy.script, noisy.messages, strict=True):
                assert isinstance(line, bytes)
                if message["type"] != "step-output":
                    connection.sendall(line.replace(noisy.own_id.encode(), own))
                elif not told:
                    told = True
                    mine = block.replace(noisy.own_id.encode(), own)
                    for _ in range(repeats):
                        connection.sendall(mine)
            connection.recv(1)
            os._exit(0)
        connection.close()
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    break
            except ChildProcessError:
                break


def slipway(port: int, builds: int, directory: Path) -> None:
    from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.initiator import Limits
    from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.protocol import Controller, Request
    from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.submission import (
        Order,
        submit_orders,
    )

    request = Request.create(repo="test:definitions", ref="0" * 40, morphology="systems/noisy-system-x86_64.morph")
    orders = [Order(Controller("127.0.0.1", port), request, directory / str(number)) for number in range(builds)]
    results = submit_orders(orders, limits=Limits(), guard=False)
    assert all(result["outcome"] == "finished" for result in results)


def one_by_safe_load(port: int, path: Path) -> None:
    import yaml

    connection = ask(port)
    with path.open("ab") as log:
        for line in connection.makefile("rb"):
            message = yaml.safe_load(json.loads(line))
            if message["type"] == "step-output":
                for name in ("stdout", "stderr"):
                    value = message[name]
                    log.write(value if isinstance(value, bytes) else value.encode())
                log.flush()
            elif message["type"] == "build-finished":
                return


def safe_load(port: int, builds: int, directory: Path) -> None:
    processes = [
        multiprocessing.Process(target=one_by_safe_load, args=(port, directory / str(number)))
        for number in range(builds)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


def one_by_receive(port: int, path: Path) -> None:
    connection = ask(port)
    with path.open("ab", buffering=0) as log:
        tail = b""
        while data := connection.recv(1 << 16):
            log.write(data)
            tail = (tail + data)[-400:]
            if b"build-finished" in tail:
                return


def receive(port: int, builds: int, directory: Path) -> None:
    processes = [
        multiprocessing.Process(target=one_by_receive, args=(port, directory / str(number))) for number in range(builds)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


def ask(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(json.dumps(json.dumps({"type": "build-request", "id": os.urandom(16).hex()})).encode() + b"\n")
    return connection


CLIENTS = {"slipway": slipway, "safe_load": safe_load, "receive": receive}


def measure(client: str, builds: int, megabytes: float, directory: Path) -> dict[str, float]:
    """One run of a client in a process of its own."""
    work = Path(tempfile.mkdtemp(dir=directory))
    server = socket.create_server(("127.0.0.1", 0), backlog=256)
    servers = [multiprocessing.Process(target=serve, args=(server, megabytes), daemon=True) for _ in range(SERVERS)]
    for one in servers:
        one.start()
    port = server.getsockname()[1]
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--client", client, "--port", str(port), "--builds", str(builds), "--in", work],
            stdout=subprocess.PIPE,
            check=True,
        )
    finally:
        for one in servers:
            one.terminate()
            one.join()
        server.close()
    output = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
    shutil.rmtree(work)
    figures: dict[str, float] = json.loads(done.stdout)
    total = builds * megabytes
    return {
        "wall_s": figures["wall_s"],
        "cpu_s": figures["cpu_s"],
        "cpu_ms_per_mb": 1000 * figures["cpu_s"] / total,
        "peak_mb": figures["peak_mb"],
        "written_mb": output / MB,
    }


def be_client(client: str, port: int, builds: int, directory: Path) -> None:
    began = time.monotonic()
    CLIENTS[client](port, builds, directory)
    wall = time.monotonic() - began
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in (own, children))
    many = builds if client != "slipway" else 0
    peak = (own.ru_maxrss + many * children.ru_maxrss) / 1024
    print(json.dumps({"wall_s": wall, "cpu_s": cpu, "peak_mb": peak}))


def show(what: str, figures: dict[str, float]) -> None:
    print(
        f"{what:44} {figures['wall_s']:8.1f} {figures['cpu_s']:8.1f} {figures['cpu_ms_per_mb']:12.1f} "
        f"{figures['peak_mb']:10.0f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--builds", type=int, default=50)
    parser.add_argument("--megabytes", type=float, default=20, help="output of each build")
    parser.add_argument("--in", dest="directory", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        be_client(options.client, options.port, options.builds, options.directory)
        return
    builds, megabytes = options.builds, options.megabytes
    print(f"{'':44} {'wall s':>8} {'CPU s':>8} {'CPU ms / MB':>12} {'peak MB':>10}")
    ours = measure("slipway", builds, megabytes, options.directory)
    show(f"slipway, {builds} builds of {megabytes:g} MB", ours)
    for factor in (0.1, 4):
        few = max(1, builds // 10)
        show(
            f"slipway, {few} builds of {megabytes * factor:g} MB",
            measure("slipway", few, megabytes * factor, options.directory),
        )
    theirs = measure("safe_load", 2, min(megabytes, 5), options.directory)
    show("safe_load, 2 builds of 5 MB", theirs)
    floor = measure("receive", builds, megabytes, options.directory)
    show(f"receive, {builds} builds of {megabytes:g} MB", floor)
    print(f"safe_load takes {theirs['cpu_ms_per_mb'] / ours['cpu_ms_per_mb']:.1f} times the CPU per MB")


if __name__ == "__main__":
    main()
