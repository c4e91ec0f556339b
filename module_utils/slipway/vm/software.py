# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is installed into the tree of a release VM: this checkout and its tools, compiled. No root is needed for it."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError
from ..host.venv import make_pip_environment
from ..process import run
from .machine import CHECKOUT

#: What a release needs of a checkout.
SHIPPED = (
    *(
        "action_plugins",
        "ansible.cfg",
        "callbacks",
        "collections",
        "constraints.txt",
        "doc_fragments",
        "docs",
        "examples",
    ),
    *("filter_plugins", "galaxy.yml", "inventory", "library", "LICENSE", "lookup_plugins", "meta", "module_utils"),
    *("playbooks", "plugins", "release.yml", "requirements.txt", "roles"),
)
NEVER = ("__pycache__", "*.pyc", ".git", "*.orig", "*.swp")
BUILD_TOOLS = ("buildstream", "buildstream-plugins")
TOOLS = "/opt/slipway/buildstream"
#: Where Python's files are whose bytecode would not fit, since all files of an image have one time.
LIBRARIES = ("/usr/lib/python3", "/usr/lib/python3.*", "/opt/slipway")
TIMEOUT = 3600.0
#: Bytecode that Python takes as it is: what it was made of does not change, or its package makes it anew.
COMPILE = (
    "-m",
    "compileall",
    "-q",
    "-j",
    "0",
    "--invalidation-mode",
    "unchecked-hash",
    "-x",
    r"/(templates?|test|tests)/",
)


@dataclass(frozen=True)
class Software:
    """``checkout`` goes in whole, ``constraints`` are pip's for the build tools, ``wheels`` a directory or nothing."""

    checkout: Path
    constraints: str = ""
    wheels: str = ""
    pip_args: tuple[str, ...] = ()

    def read_controller(self) -> list[str]:
        """What Ansible's own environment has: all that a release needs except the build tools, which have their own."""
        lines = (self.checkout / "requirements.txt").read_text(encoding="utf-8").splitlines()
        names = (re.split(r"[\s#]", line, maxsplit=1)[0] for line in lines)
        return [name for name in names if name and name not in BUILD_TOOLS]


def copy_checkout(source: Path, tree: Path) -> None:
    """Put what a release needs of a checkout into the tree; links stay links."""
    target = tree / CHECKOUT.lstrip("/")
    missing = [name for name in SHIPPED if not os.path.lexists(source / name)]
    if missing:
        raise SlipwayError(
            "take Slipway's own files from",
            str(source),
            f"{', '.join(missing)} are not there",
            do_next="Name a checkout of Slipway by release_vm_checkout.",
        )
    target.mkdir(parents=True)
    for name in SHIPPED:
        path = source / name
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, target / name, symlinks=True, ignore=shutil.ignore_patterns(*NEVER))
        else:
            shutil.copy2(path, target / name, follow_symlinks=False)


def install(software: Software, tree: Path, *, log: Path) -> None:
    """Make both Python environments, with the tree's own Python, and compile all."""
    shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")  # for pip; what is made here of the base's own stays here
    constraints = (software.checkout / "constraints.txt").read_text(encoding="utf-8")
    _make_environment(
        f"{CHECKOUT}/.venv", software.read_controller(), constraints, software=software, tree=tree, log=log
    )
    pinned = software.constraints or (software.checkout / "roles/build_tools/files/buildstream.txt").read_text("utf-8")
    _make_environment(TOOLS, BUILD_TOOLS, pinned, software=software, tree=tree, log=log)
    places = [f"/{path.relative_to(tree)}" for each in LIBRARIES for path in tree.glob(each.lstrip("/"))]
    # Some of what packages ship is of no Python that there is, which compileall tells by its status.
    _run_inside(["/usr/bin/python3", *COMPILE, *places], tree=tree, log=log, share=(), ok_codes=(0, 1))


def _make_environment(
    directory: str, packages: Sequence[str], constraints: str, *, software: Software, tree: Path, log: Path
) -> None:
    """An environment as the role ``build_tools`` would make it, with its note, so that the role finds it complete."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; "
        "from ansible_collections.slipway.release.plugins.module_utils.slipway.host import venv; "
        "venv.install_packages(venv.Environment(Path(sys.argv[2]), tuple(sys.argv[3].split()), "
        "open(sys.argv[4]).read(), pip_args=tuple(sys.argv[5:])), timeout=1800)"
    )
    wanted = tree / "tmp/constraints.txt"
    wanted.write_text(constraints, encoding="utf-8")
    more = ["--no-index", f"--find-links={software.wheels}"] if software.wheels else []
    words = [f"{CHECKOUT}/collections", directory, " ".join(packages), "/tmp/constraints.txt", "--no-compile", *more]  # noqa: S108
    # Where this machine's pip is told to look is shown to that of the tree.
    links = make_pip_environment(sys.executable).get("PIP_FIND_LINKS", "").split()
    places = (software.wheels, *links, "/etc/pip.conf", "/etc/ssl/certs", "/usr/share/ca-certificates")
    share = tuple(path for path in places if path.startswith("/") and os.path.exists(path))
    _run_inside(["/usr/bin/python3", "-IBc", script, *words, *software.pip_args], tree=tree, log=log, share=share)
    wanted.unlink()


def _run_inside(
    words: Sequence[str], *, tree: Path, log: Path, share: Sequence[str], ok_codes: Sequence[int] = (0,)
) -> None:
    """Run a program of the tree as if it were root there; it can write only to the tree."""
    shown = [word for path in share for word in ("--ro-bind", path, path)]
    run(
        [
            *(
                "bwrap",
                "--unshare-user",
                "--unshare-pid",
                "--unshare-ipc",
                "--uid",
                "0",
                "--gid",
                "0",
                "--die-with-parent",
            ),
            *("--bind", str(tree), "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run", "--tmpfs", "/var/tmp"),  # noqa: S108
            *(
                *shown,
                "--chdir",
                "/",
                "--setenv",
                "HOME",
                "/root",
                "--setenv",
                "PATH",
                "/usr/sbin:/usr/bin:/sbin:/bin",
                "--",
            ),
            *words,
        ],
        attempt="install into the release VM:",
        on=os.path.basename(words[0]),
        do_next="Look into the log, and see that pip reaches its index or the wheels.",
        env=make_pip_environment(sys.executable),
        timeout=TIMEOUT,
        log=log,
        ok_codes=ok_codes,
    )


def list_layer(tree: Path) -> list[Path]:
    """What was installed beside the base: Slipway with its environments, and all bytecode."""
    found = [tree / "opt/slipway"]
    for top in (path for each in LIBRARIES[:2] for path in sorted(tree.glob(each.lstrip("/")))):
        found += sorted(path for path in top.rglob("__pycache__") if path.is_dir())
    return found


def is_left_out(name: str) -> bool:
    """Whether a file is of no use in the image: what pip logged."""
    return name == "slipway.log"


def is_shipped(path: Path) -> bool:
    """Whether a file of a checkout goes in: nothing that Python, git or an editor left does."""
    return not any(fnmatch.fnmatchcase(part, pattern) for part in path.parts for pattern in NEVER)
