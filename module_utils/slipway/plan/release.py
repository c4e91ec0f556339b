# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of a release: what is to be made of which commit, checked as a whole before anything is changed.

Nothing here writes outside a temporary directory that is removed again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from ..errors import SlipwayError, refuse
from ..git import remote as git
from ..image.writers import WRITERS
from ..release import names
from ..release.records import Record, load_all
from .cluster import guess, read_cluster, sanitised
from .definitions import Definitions, hold_commit
from .deployments import find_missing, find_setting_faults, list_deployments, list_systems
from .request import Planned, Request
from .systems import resolve
from .trove import Remote, look_at_trove

DIRECTORIES = ("records", "images", "artifacts", "logs", "source")


def make_plan(request: Request) -> Planned:
    """Look at everything, change nothing, and say what the release is; every fault of a kind is listed at once."""
    called = names.names(request.project, request.version)
    _check(request, called)
    directories = release_directories(request.state_directory, called.version)
    records = load_all(Path(directories["records"]))
    remote = look_at_trove(request.url, called, ref=request.ref, timeout=request.timeout)
    commit = _commit(request, called, remote, records)
    with hold_commit(request.url, commit) as repository:
        definitions = Definitions(repository, commit, f"{request.path} at {commit[:12]}")
        data = definitions.cluster(sanitised(request.cluster))
        cluster = read_cluster(data, label=called.label, types=request.deployment_types or WRITERS.keys())
        resolved, faults = resolve(cluster, definitions, request.architectures)
        epoch = definitions.epoch()
    faults = [*cluster.faults, *([] if request.deployment_types else find_setting_faults(cluster)), *faults]
    missing = find_missing(cluster, resolved, request, faults)
    deployments, skipped = list_deployments(cluster, resolved, called.label, missing)
    if not faults and not deployments:
        faults.append(
            "nothing is left to release: every deployment needs an architecture that is allowed to be missing"
        )
    refuse(
        "plan",
        f"{called.label} by {sanitised(request.cluster)} ({request.path} at {commit[:12]})",
        faults,
        several="faults are in it",
        do_next="Nothing was changed. Mend this and run again.",
    )
    plan = {
        "project": called.project,
        "version": called.version,
        "label": called.label,
        "branch": called.branch,
        "tag": called.tag,
        "definitions": {
            "url": request.url,
            "mirror_url": request.mirror_url,
            "path": request.path,
            "ref": request.ref,
            "commit": commit,
        },
        "coordinator": request.coordinator,
        "build_hosts": {architecture: list(hosts) for architecture, hosts in request.build_hosts.items()},
        "cluster": sanitised(request.cluster),
        "cluster_sha256": hashlib.sha256(data).hexdigest(),
        "epoch": epoch,
        "systems": list_systems(deployments),
        "deployments": deployments,
        "skipped": skipped,
        "directories": directories,
        "remote": asdict(remote),
    }
    return Planned(plan, records, cluster.remarks)


def release_directories(state_directory: str, version: str) -> dict[str, str]:
    """The absolute directories of one release."""
    state = Path(os.path.abspath(Path(state_directory).expanduser()))
    release = state / "releases" / version
    return {"state": str(state), "release": str(release), **{name: str(release / name) for name in DIRECTORIES}}


def _check(request: Request, called: names.Names) -> None:
    """Refuse settings that cannot be right before anybody is asked anything."""
    faults = []
    if not request.url or request.url.startswith("-"):
        faults.append(
            f"release_definitions_url is {request.url!r}; give the URL of the definitions on the public Trove"
        )
    if not request.mirror_url:
        faults.append("release_definitions_mirror_url is empty; give the URL of the definitions on the local Trove")
    if fault := names.ref_fault(request.ref):
        faults.append(f"release_definitions_ref is {request.ref!r}: {fault}; give a branch, a tag or a commit")
    cluster = PurePosixPath(sanitised(request.cluster) if request.cluster else "")
    if not cluster.name or cluster.is_absolute() or ".." in cluster.parts or not str(cluster).isprintable():
        faults.append(
            f"release_cluster is {request.cluster!r}; "
            "give a path inside the definitions, such as clusters/release.morph"
        )
    if not request.state_directory:
        faults.append("release_state_directory is empty; give the directory that keeps releases")
    known = ", ".join(sorted(request.architectures))
    for name, value in (
        *(("release_allow_missing_arches", arch) for arch in request.allow_missing_arches),
        *((f"build_host_architectures of {', '.join(hosts)}", arch) for arch, hosts in request.build_hosts.items()),
    ):
        if value not in request.architectures:
            hint = guess(value, request.architectures)
            faults.append(f"{name} names the unknown architecture {value!r}{hint}; known are {known}")
    refuse(
        "plan",
        called.label,
        faults,
        several="settings are wrong",
        do_next="Nothing was changed. Correct this and run again.",
    )


def _commit(request: Request, called: names.Names, remote: Remote, records: Mapping[str, Record]) -> str:
    """The commit that is to be released, once nothing that exists speaks against it."""
    trove = git.shown(request.url)
    recorded = records.get("branch", {}).get("outputs", {}).get("commit")
    commit = remote.branch_commit or recorded or remote.ref_commit
    if recorded is not None and remote.branch_commit != recorded:
        moved = f"is at {remote.branch_commit}" if remote.branch_commit else "does not exist any more"
        raise SlipwayError(
            "go on with",
            called.label,
            f"the branch {called.branch} of {trove} was created at {recorded}, but {moved}",
            do_next="Nothing was changed. Put the branch back"
            + (
                ", or release under another version."
                if "publication" in records
                else "; or, if the change is wanted and nothing of this version is public, remove "
                f"{release_directories(request.state_directory, called.version)['release']} and run again."
            ),
        )
    if commit is None:
        raise SlipwayError(
            "find",
            f"{request.ref} in {trove}",
            "it has no branch or tag of this name",
            do_next="Set release_definitions_ref to a branch, a tag or a whole commit, and run again.",
        )
    if remote.tag_commit is not None and remote.tag_commit != commit:
        branch = f"the head of the branch {called.branch} is" if remote.branch_commit else f"{request.ref} is"
        raise SlipwayError(
            "release",
            called.label,
            f"the tag {called.tag} of {trove} exists already on the commit {remote.tag_commit}, and {branch} {commit}",
            do_next="Nothing was changed. A tag is never moved: release under another version.",
        )
    return commit
