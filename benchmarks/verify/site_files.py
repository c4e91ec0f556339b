# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Verify a release of ten files from a disk and from nginx on this machine. The peer is sha256sum over the same files.

python benchmarks/verify/site_files.py [GIGABYTES [DIRECTORY]]
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from verifying import Made, index, make_current, make_project, state  # the tests make such sites too

VERSION, FILES, PART = "26.47", 10, 8 << 20
TIMES = 2
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
LOOK = """
import sys
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.files import Look
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.finding import Report
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.reader import Reader
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.site import Request, verify_site
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.trusted import read_given
with Look(Reader(sys.argv[1]), Report()) as look:
    verify_site(look, Request(read_given(sys.argv[2])))
sys.exit("\\n".join(finding.describe() for finding in look.report.findings) or None)
"""
NGINX = """
daemon off; pid {top}/nginx.pid; error_log {top}/nginx.log; worker_processes 2;
events {{ }}
http {{
  access_log off; sendfile on; client_body_temp_path {top}/t; proxy_temp_path {top}/t; fastcgi_temp_path {top}/t;
  uwsgi_temp_path {top}/t; scgi_temp_path {top}/t;
  server {{ listen 127.0.0.1:{port}; root {top}/made/public; autoindex on; }}
}}
"""


def make_release(made: Made, size: int) -> None:
    """A signed release of files that are published as they were made."""
    directory = made.public / made.label(VERSION)
    directory.mkdir()
    part, sums, listed = os.urandom(PART), [], []
    for number in range(FILES):
        name = f"{made.label(VERSION)}-disk-{number}.img"
        digest = hashlib.sha256()
        with open(directory / name, "wb") as stream:
            for count in range(size // FILES // PART):
                data = b"%08d" % (number << 16 | count) + part[8:]
                digest.update(data)
                stream.write(data)
        sums.append((name, digest.hexdigest()))
        (directory / f"{name}.sha256").write_text(f"{digest.hexdigest()}  {name}\n")
        listed.append(f'{{"name": "{name}", "size": {size // FILES // PART * PART}, "sha256": "{digest.hexdigest()}"}}')
    manifest = f'{{"project": "{made.project}", "version": "{VERSION}", "files": [{", ".join(listed)}]}}\n'
    (directory / "manifest.json").write_text(manifest)
    sums.append(("manifest.json", hashlib.sha256(manifest.encode()).hexdigest()))
    (directory / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(sums)))
    made.sign_file(directory / "SHA256SUMS")
    state(made, VERSION)
    make_current(made, VERSION)
    index(made)


def measure(words: Sequence[str], *, cwd: Path | None = None) -> tuple[float, float, int]:
    """Seconds, seconds of processors, and MiB of the program."""
    begun, most = time.monotonic(), 0
    process = subprocess.Popen(words, cwd=cwd, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    while True:
        # What the kernel tells at the end counts this program too, from which the other one was made.
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            most = max(most, int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))))
        done, status, used = os.wait4(process.pid, os.WNOHANG)
        if done:
            break
        time.sleep(0.02)
    if status:
        raise SystemExit(f"{words[0]} failed")
    return time.monotonic() - begun, used.ru_utime + used.ru_stime, most >> 10


def main(gigabytes: float, place: str | None) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(dir=place) as directory:
        top = Path(directory)
        top.chmod(0o755)
        made = make_project(top / "made")
        make_release(made, int(gigabytes * 1e9))
        (top / "nginx.conf").write_text(NGINX.format(top=top, port=8971))
        server = subprocess.Popen(["nginx", "-c", str(top / "nginx.conf"), "-e", str(top / "nginx.log")])
        try:
            time.sleep(1)
            ours = [sys.executable, "-c", LOOK]
            runs = {
                "peer: sha256sum --check": ["sha256sum", "--check", "--quiet", "SHA256SUMS"],
                "file://": [*ours, made.url, str(made.key)],
                "nginx on this machine": [*ours, "http://127.0.0.1:8971", str(made.key)],
                "peer: curl into sha256sum": [
                    *("bash", "-c"),
                    "cut -c67- SHA256SUMS | while read -r name; do"
                    f" curl -s http://127.0.0.1:8971/{made.label(VERSION)}/$name | sha256sum; done",
                ],
            }
            best: dict[str, tuple[float, float, int]] = {}
            for _time in range(TIMES):  # in turn, since whatever else the machine does is to slow all of them
                for name, words in runs.items():
                    found = measure(words, cwd=made.public / made.label(VERSION))
                    best[name] = min(found, best.get(name, found))
        finally:
            server.terminate()
            server.wait()
    peer = best["peer: sha256sum --check"][0]
    print("| run | wall | processors | memory | speed, sha256sum = 1 |\n| --- | ---: | ---: | ---: | ---: |")
    for name, (wall, used, memory) in best.items():
        print(f"| {name} | {wall:.2f} s | {used:.2f} s | {memory} MiB | {peer / wall:.2f} |")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0, sys.argv[2] if len(sys.argv) > 2 else None)
