# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A served directory, and apt as a client of it that touches nothing of this machine."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

PROGRAMS = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer that has a body waits 40 ms for its header to be acknowledged

    def do_GET(self) -> None:
        if isinstance(self.server, _Server) and self.server.on_get is not None:
            self.server.on_get(self.path)
        super().do_GET()

    def translate_path(self, path: str) -> str:
        return super().translate_path(urlsplit(path).path)  # a client of a proxy asks for a whole URL

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # clients ask many things at once; one that is turned away tries again a second later
    on_get: Callable[[str], None] | None = None

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that was killed


@contextlib.contextmanager
def served(
    directory: Path,
    *,
    on_get: Callable[[str], None] | None = None,
    address: str = "127.0.0.1",
    certificate: Path | None = None,
) -> Iterator[str]:
    """The URL under which ``directory`` can be read meanwhile; ``on_get`` gets each path before it is answered.

    With a ``certificate`` and its key, in one file, it is read by HTTPS.
    """
    with _Server((address, 0), functools.partial(_Quiet, directory=str(directory))) as server:
        server.on_get = on_get
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"{'http' if certificate is None else 'https'}://{address}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def make_certificate(directory: Path, *, days: int) -> Path:
    """A file with a key and its certificate for 127.0.0.1, which is its own authority."""
    path = directory / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-days", str(days), "-keyout", path, "-out", directory / "certificate.crt"),
        ],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + (directory / "certificate.crt").read_bytes())
    return path


class Client:
    """An apt of its own in ``root``, for one architecture, that knows no packages but those of ``sources``."""

    def __init__(self, root: Path, sources: Sequence[str], *, architecture: str = "amd64") -> None:
        self.root = root
        for name in ("lists/partial", "cache/archives/partial", "etc", "log", "system/var/lib/dpkg/updates"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "system/var/lib/dpkg/status").touch()
        (root / "etc" / "sources.list").write_text("".join(f"{source}\n" for source in sources))
        (root / "apt.conf").write_text(
            f"""
            APT::Architecture "{architecture}";
            APT::Architectures {{ "{architecture}"; }};
            APT::Sandbox::User "root";
            APT::Update::Error-Mode "any";
            APT::Get::Assume-Yes "true";
            Acquire::Languages "none";
            Acquire::Retries "0";
            Dir::Etc::main "/dev/null";
            Dir::Etc::parts "/dev/null";
            Dir::Etc::sourcelist "{root}/etc/sources.list";
            Dir::Etc::sourceparts "/dev/null";
            Dir::Etc::preferencesparts "/dev/null";
            Dir::Etc::trustedparts "/dev/null";
            Dir::State "{root}";
            Dir::State::lists "{root}/lists";
            Dir::State::status "{root}/system/var/lib/dpkg/status";
            Dir::Cache "{root}/cache";
            Dir::Log "{root}/log";
            Debug::NoLocking "true";
            Dpkg::Use-Pty "false";
            Dpkg::Options {{
                "--root={root}/system"; "--log=/dev/null";
                "--force-architecture"; "--force-script-chrootless"; "--force-unsafe-io";
            }};
            """
        )

    def run(self, *words: str, check: bool = True, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program of apt with this configuration."""
        return subprocess.run(
            words,
            cwd=cwd,
            check=check,
            text=True,
            capture_output=True,
            env={**PROGRAMS, "APT_CONFIG": f"{self.root}/apt.conf"},
        )

    def update(self) -> None:
        """Fetch the indexes; any error or warning is a failure."""
        done = self.run("apt-get", "update", "-q", check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not any(line.startswith(("W:", "E:")) for line in done.stderr.splitlines()), done.stderr

    def would_install(self, *packages: str) -> dict[str, str]:
        """The versions that an installation of these packages brings; it fails if the resolver refuses."""
        done = self.run("apt-get", "install", "-q", "--simulate", *packages, check=False)
        if done.returncode != 0:
            raise RefusedError(done.stdout + done.stderr)
        words = (line.split() for line in done.stdout.splitlines() if line.startswith("Inst "))
        return {word[1]: word[2].lstrip("(") for word in words}

    def download(self, *packages: str) -> None:
        """Fetch these packages and all that they need; apt compares their digests with the index."""
        self.run("apt-get", "install", "-q", "--download-only", *packages)
        self.run("apt-get", "clean")

    def fetch_source(self, target: Path, *words: str) -> Path:
        """Fetch a source package into a directory and unpack it there; the one directory that it becomes."""
        target.mkdir(exist_ok=True)
        done = self.run("apt-get", "source", "-q", *words, check=False, cwd=target)
        assert done.returncode == 0, done.stdout + done.stderr
        (unpacked,) = [path for path in target.iterdir() if path.is_dir()]
        return unpacked

    def install(self, *packages: str) -> subprocess.CompletedProcess[str]:
        """Really install these packages into the directory ``system``; the result says how it went."""
        words = ["apt-get", "install", "-q", "--no-install-recommends", *packages]
        return self.run(*(words if os.geteuid() == 0 else ["fakeroot", *words]), check=False)

    def installed(self) -> dict[str, str]:
        """The versions of what is installed."""
        status = (self.root / "system/var/lib/dpkg/status").read_text().split("\n\n")
        fields = (dict(line.split(": ", 1) for line in text.splitlines() if ": " in line[1:]) for text in status)
        return {found["Package"]: found["Version"] for found in fields if found.get("Status") == "install ok installed"}


class RefusedError(Exception):
    """The resolver found no way."""
