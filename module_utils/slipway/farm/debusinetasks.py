# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What debusine is asked to do for a build: the data of its tasks, and a source package that installs others."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..binary.autopkgtest import make_install_test
from ..binary.job import Job
from ..deb.architectures import ALL
from ..deb.dsc import read_dsc
from ..errors import SlipwayError
from ..files import make_scratch, write_atomic

SBUILD, AUTOPKGTEST, MMDEBSTRAP = "sbuild", "autopkgtest", "mmdebstrap"
SOURCE, UPLOAD, LOG, TESTS, TARBALL, DEBUG = (
    "debian:source-package",
    "debian:upload",
    "debian:package-build-log",
    "debian:autopkgtest",
    "debian:system-tarball",
    "debusine:work-request-debug-logs",
)
#: How environments are described from which debusine makes a tarball itself.
BOOTSTRAP = re.compile(r"deb (?P<mirror>https?://\S+) (?P<suite>\S+)(?P<components>(?: \S+)+)", re.ASCII)
DEFAULT_ENVIRONMENT = "deb http://deb.debian.org/debian {platform} main"
_FIELD = re.compile(r"^([A-Za-z0-9-]+):[ \t]*(.*(?:\n[ \t].*)*)$", re.MULTILINE)


def find_fault(job: Job) -> str:
    """What of a job debusine does not do; empty if it does all of it."""
    if job.chroot != job.architecture:
        return f"debusine does not build for {job.architecture} in a chroot of {job.chroot}"
    if job.rebuild and ALL in job.parts:
        return "debusine makes no binary rebuild of packages for all architectures, so the source needs a new version"
    return ""


def make_build(job: Job, source: int, environment: int | str) -> dict[str, Any]:
    """The data of the task that builds."""
    data: dict[str, Any] = {
        **_make_common(job, environment),
        "input": {"source_artifact": source},
        "build_components": list(job.parts),
    }
    if job.profiles:
        data["build_profiles"] = list(job.profiles)
    if job.rebuild:
        data["binnmu"] = {
            "changelog": f"Rebuild for {job.platform}.",
            "suffix": f"+b{job.rebuild}",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(job.epoch)),
            **({"maintainer": job.maintainer} if job.maintainer else {}),
        }
    return data


def make_test(job: Job, source: int, uploads: Sequence[int], environment: int | str) -> dict[str, Any]:
    """The data of the task that runs the tests of a source package with these packages."""
    return {
        **_make_common(job, environment),
        "input": {"source_artifact": source, "binary_artifacts": list(uploads)},
        # Not "global", which debusine 0.16 has and no autopkgtest.
        "timeout": {"test": int(job.limits.seconds)},
    }


def _make_common(job: Job, environment: int | str) -> dict[str, Any]:
    return {
        "backend": "unshare",
        "build_architecture": job.architecture,
        "environment": environment,
        "extra_repositories": [
            {"url": url, "suite": suite, "components": components, "signing_key": repository.key}
            for repository in job.repositories
            for url, suite, *components in [repository.line.split()]
        ],
    }


def make_bootstrap(line: str, architecture: str) -> dict[str, Any]:
    """The data of the task that makes an environment of a line such as those of sources.list."""
    said = BOOTSTRAP.fullmatch(line)
    if said is None:
        do_next = (
            "Give the number of an artifact, a lookup, or a line such as deb http://deb.debian.org/debian trixie main."
        )
        raise SlipwayError("make an environment of", line, "it is no line of sources.list", do_next=do_next)
    return {
        "bootstrap_options": {"architecture": architecture, "variant": "buildd", "extra_packages": ["passwd"]},
        "bootstrap_repositories": [
            {"mirror": said["mirror"], "suite": said["suite"], "components": said["components"].split()}
        ],
    }


def describe_source(files: Sequence[Path]) -> dict[str, Any]:
    """What debusine wants to know of a source package; the .dsc is among its files."""
    dsc = next(path for path in files if path.suffix == ".dsc")
    try:
        _data, read = read_dsc(dsc)
    except (ValueError, OSError) as fault:
        do_next = "Make the source package again."
        raise SlipwayError("use the source package", dsc.name, str(fault), do_next=do_next) from fault
    fields = {name: value.strip() for name, value in _FIELD.findall(read.text)}
    return {"type": "dpkg", "name": read.source, "version": read.version, "dsc_fields": fields}


def make_install_source(directory: Path, packages: Sequence[str]) -> list[Path]:
    """A source package whose only test is that these packages can be installed together; the same bytes each time."""
    with make_scratch("slipway-install-") as scratch:
        tree = make_install_test(scratch, packages)
        packed = io.BytesIO()
        with (
            gzip.GzipFile("", "wb", mtime=0, fileobj=packed) as compressed,
            tarfile.open(fileobj=compressed, mode="w", format=tarfile.GNU_FORMAT) as tar,
        ):
            tar.add(tree, arcname=tree.name, filter=_forget_owner)
    name, version = tree.name.rsplit("-", 1)
    tarball = directory / f"{name}_{version}.tar.gz"
    write_atomic(tarball, packed.getvalue())
    dsc = directory / f"{name}_{version}.dsc"
    write_atomic(dsc, _make_dsc(name, version, tarball.name, packed.getvalue()).encode())
    return [dsc, tarball]


def _forget_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = "root"
    member.mode = 0o755 if member.isdir() else 0o644
    return member


def _make_dsc(name: str, version: str, tarball: str, data: bytes) -> str:
    lines = [
        *("Format: 1.0", f"Source: {name}", f"Binary: {name}", "Architecture: all", f"Version: {version}"),
        *("Maintainer: Nobody <nobody@localhost>", "Standards-Version: 4.6.2", "Testsuite: autopkgtest"),
    ]
    for field, algorithm in (("Checksums-Sha1", "sha1"), ("Checksums-Sha256", "sha256"), ("Files", "md5")):
        digest = hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()
        lines += [f"{field}:", f" {digest} {len(data)} {tarball}"]
    return "\n".join([*lines, ""])


def read_tests(data: Mapping[str, Any]) -> dict[str, str]:
    """What became of each test, as autopkgtest's summary has it."""
    results = data.get("results")
    if not isinstance(results, dict):
        return {}
    return {
        str(name): " ".join([str(row.get("status")), *str(row.get("details") or "").split()])
        for name, row in results.items()
        if isinstance(row, dict)
    }
