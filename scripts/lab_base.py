"""What hosts of all labs share: a tree for each suite below their disks, the package sources, and Python's wheels."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import shutil
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.sources import (
    read_own_suite,
    resolve_mirrors,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.host.venv import make_pip_environment
from ansible_collections.slipway.release.plugins.module_utils.slipway.locks import hold_flock
from ansible_collections.slipway.release.plugins.module_utils.slipway.process import run

from scripts.lab_fleet import ROOT, SUITES

SIGNED = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
#: A server as Debian's own images have it, and what Ansible needs.
PACKAGES = (
    *("ca-certificates", "dbus", "debian-archive-keyring", "iproute2", "iputils-ping", "less", "libpam-systemd"),
    *("openssh-server", "procps", "python3", "python3-apt", "sudo", "systemd", "systemd-sysv", "udev"),
)
#: What makes no sense in a host whose network is made from outside, or would disturb tests.
MASKED = (
    *("systemd-remount-fs.service", "systemd-networkd.service", "systemd-networkd-wait-online.service"),
    *("systemd-resolved.service", "systemd-timesyncd.service", "apt-daily.timer", "apt-daily-upgrade.timer"),
    *("e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer"),
)
SSHD = "PasswordAuthentication no\nUseDNS no\n"
#: Packages are installed in half the time, on disks that nobody keeps.
DPKG = "force-unsafe-io\n" + "".join(f"path-exclude=/usr/share/{each}/*\n" for each in ("doc", "locale", "man"))
#: Modules of Ansible start in two thirds of the time.
COMPILED_ONCE = ROOT / "tests/compiled_once/sitecustomize.py"
CHANGES = 3  # of prepare(), so that trees of before are not used


@dataclass(frozen=True)
class Mirror:
    """Package sources: as this machine takes those of its own suite, and as hosts do, through the gateway."""

    suite: str
    outside: tuple[str, ...]
    inside: tuple[str, ...]
    upstreams: dict[str, str]
    proxy: str

    def of(self, suite: str) -> Mirror:
        """The same mirror's sources of another suite: a mirror of Debian has them all."""
        outside, inside = (
            tuple(line.replace(f" {self.suite}", f" {suite}") for line in lines)
            for lines in (self.outside, self.inside)
        )
        return replace(self, suite=suite, outside=outside, inside=inside)


def read_mirror() -> Mirror:
    """This machine's own mirror of its suite, and of its updates where it has them."""
    own = read_own_suite()
    if (system := platform.freedesktop_os_release()["ID"]) != "debian":
        raise SlipwayError(
            "make hosts with Debian on",
            "this machine",
            f"it is no Debian ({system}), and its mirror has none",
            do_next="Bring the lab up on a Debian.",
        )
    outside = []
    for suite in (own, f"{own}-updates", f"{own}-security"):
        try:
            outside += resolve_mirrors([f"deb {SIGNED} machine {suite} main"])
        except SlipwayError:
            if suite == own:
                raise
    inside, upstreams = [], {}
    for line in outside:
        url = next(word for word in line.split() if "://" in word)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SlipwayError(
                "reach from inside the lab",
                url,
                "only mirrors that are reached by HTTP can be passed on",
                do_next=f"Give this machine's apt an http source of {own} and run again.",
            )
        upstreams[parts.hostname] = f"{parts.scheme}://{parts.netloc}"
        inside.append(line.replace(url, f"http://{parts.hostname}{parts.path}"))
    proxy = run(
        ["apt-config", "shell", "said", "Acquire::http::Proxy"], attempt="ask for the proxy of", on="apt"
    ).stdout
    return Mirror(own, tuple(outside), tuple(inside), upstreams, proxy.strip().removeprefix("said=").strip("'"))


def ensure_base(cache: Path, sources: Mirror, suite: str) -> Path:
    """The tree below the disks of a suite's hosts; made once, which takes half a minute."""
    key = _digest_parts([suite, *PACKAGES, *MASKED, SSHD, COMPILED_ONCE.read_text(encoding="utf-8"), str(CHANGES)])
    tree = cache / f"base-{key}"
    with _hold_lock(cache, tree, "the base of the hosts"):
        if not tree.is_dir():
            print(f"Making the tree that all hosts with {suite} share", flush=True)
            making = _make_empty(cache / f"making-{tree.name}")
            making.chmod(0o755)
            run(
                [
                    *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
                    *(suite, str(making), *sources.of(suite).outside),
                ],
                attempt="make",
                on=str(tree),
                do_next="Check whether the mirror answers and run again.",
            )
            prepare(making)
            making.rename(tree)
    return tree


def prepare(tree: Path) -> None:
    """Turn a fresh Debian tree into one that boots as a server, without keys or names of its own."""
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (tree / "etc/machine-id").write_text("")
    for name in ("etc/fstab", "etc/hostname", "etc/resolv.conf"):
        (tree / name).unlink(missing_ok=True)
    (tree / "etc/ssh/sshd_config.d/lab.conf").write_text(SSHD)
    (tree / "etc/dpkg/dpkg.cfg.d/lab").write_text(DPKG)
    for unit in MASKED:
        link = tree / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    packages = tree / "usr/lib/python3/dist-packages"
    shutil.copy(COMPILED_ONCE, packages / "compiled_once.py")
    (packages / "compiled_once.pth").write_text("import compiled_once\n")
    (tree / "var/cache/compiled-once").mkdir()
    for archive in (tree / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()


def ensure_wheels(cache: Path, suites: Collection[str]) -> Path:
    """The wheels of requirements.txt, in the versions of constraints.txt, for hosts that have no way out.

    They are made for this machine's Python, and those of other suites' Pythons are fetched.
    """
    own = ".".join(map(str, sys.version_info[:2]))
    others = sorted({SUITES[suite] for suite in suites} - {own})
    needed = [ROOT / "requirements.txt", ROOT / "constraints.txt"]
    texts = [path.read_text(encoding="utf-8") for path in needed]
    directory = cache / f"wheels-{_digest_parts([*texts, sys.implementation.cache_tag, *others])}"
    with _hold_lock(cache, directory, "the wheels for the hosts"):
        if not directory.is_dir():
            print("Fetching the Python packages that hosts need", flush=True)
            making = _make_empty(cache / f"making-{directory.name}")
            making.chmod(0o755)
            wanted = ["-r", str(needed[0]), "-c", str(needed[1])]
            _run_pip("wheel", "--use-pep517", "-w", str(making), *wanted, on=directory)
            for python in others:
                # What has no wheel anywhere is pure Python, and made already.
                only = ["--only-binary=:all:", "--find-links", str(making), "--python-version", python]
                _run_pip("download", "--dest", str(making), *only, *wanted, on=directory)
            making.rename(directory)
    return directory


def _run_pip(*words: str, on: Path) -> None:
    run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *words],
        attempt="fetch",
        on=str(on),
        do_next="Check whether pip finds its packages and run again.",
        env=make_pip_environment(sys.executable),
    )


@contextlib.contextmanager
def _hold_lock(cache: Path, target: Path, what: str) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    with hold_flock(cache / f"{target.name}.lock", attempt="make", on=what, timeout=600):
        yield


def _make_empty(directory: Path) -> Path:
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    return directory


def _digest_parts(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
