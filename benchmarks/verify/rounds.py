# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time rounds of the watch over a site of many releases behind nginx: the first, one without change, one with a change.

The peer is curl, in one process, that asks for each file whether it changed, and does nothing else.

python benchmarks/verify/rounds.py [RELEASES [DIRECTORY]]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from site_files import NGINX, ROOT, measure  # beside this file

sys.path.insert(0, str(ROOT / "tests"))

from verifying import index, make_project, release  # the tests make such sites too

SYSTEMS = [f"{name}-{arch}.img" for name in ("minimal", "devel") for arch in ("x86_64", "x86_32", "armv7lhf")]
SIZE, PORT = 1 << 20, 8972
ROUND = """
import json, sys
from pathlib import Path
from ansible_collections.slipway.release.plugins.module_utils.slipway.channels.settings import read_settings
from ansible_collections.slipway.release.plugins.module_utils.slipway.channels.watch import watch_once
states = watch_once(read_settings(Path(sys.argv[1])), tell=print)
(site,) = states.values()
sys.exit(None if site["state"] == "ok" and site["counts"]["releases"] >= int(sys.argv[2]) else str(site))
"""


def main(count: int, place: str | None) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(dir=place) as directory:
        top = Path(directory)
        top.chmod(0o755)
        made = make_project(top / "made")
        for number in range(count):
            release(made, f"26.{number}", {name: os.urandom(SIZE) for name in SYSTEMS}, serial=number + 1, pages=False)
        index(made)
        channel = {"url": f"http://127.0.0.1:{PORT}", "key": made.fingerprint}
        settings = top / "settings.json"
        settings.write_text(json.dumps({"channels": {"site": channel}, "work": str(top / "work")}))
        (top / "nginx.conf").write_text(NGINX.format(top=top, port=PORT))
        server = subprocess.Popen(["nginx", "-c", str(top / "nginx.conf"), "-e", str(top / "nginx.log")])
        look = [sys.executable, "-c", ROUND, str(settings), str(count)]
        files = [path.relative_to(made.public) for path in made.public.glob("*/*") if path.is_file()]
        asked = "".join(f'url = "{channel["url"]}/{path}"\noutput = "/dev/null"\n' for path in files)
        (top / "asked").write_text(asked)
        ask = ["curl", "--silent", "--head", "--config", str(top / "asked")]
        print("| round | wall | processors | memory |\n| --- | ---: | ---: | ---: |")
        try:
            time.sleep(1)
            for name, words in {
                "first: all is read": look,
                "nothing changed": look,
                "nothing changed, again": look,
                f"peer: curl asks for {len(files)} files": ask,
            }.items():
                show(name, words)
            release(made, f"26.{count}", {name: os.urandom(SIZE) for name in SYSTEMS}, serial=count + 1)
            show("one more release", look)
        finally:
            server.terminate()
            server.wait()


def show(name: str, words: list[str]) -> None:
    """One line of the table."""
    wall, used, memory = measure(words)
    print(f"| {name} | {wall:.2f} s | {used:.2f} s | {memory} MiB |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50, sys.argv[2] if len(sys.argv) > 2 else None)
