# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of a release: what is to be made of which commit, checked as a whole before anything is changed.

Nothing here writes outside a temporary directory that is removed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from ..errors import SlipwayError, refuse
from ..escape import redacted
from ..image.writers import WRITERS
from ..policy.bills import TYPE as BILL
from ..policy.values import suggest
from ..release import names
from ..release.records import Record, load_records
from .cluster import read_cluster, sanitise_path
from .definitions import Definitions, list_uncommitted, open_commit
from .deployments import find_missing, find_setting_faults, list_deployments, list_systems
from .moved import Move, judge_move
from .products import share_systems
from .request import PlanResult, Request, name_directories
from .systems import resolve_systems
from .trove import RemoteState, query_trove


def make_plan(request: Request) -> PlanResult:
    """Plan a release without changing anything; all faults of a kind are listed at once."""
    release_names = names.make_names(request.project, request.version)
    _check_settings(request, release_names)
    directories = name_directories(request.state_directory, release_names.version)
    records = load_records(Path(directories["records"]))
    remote = query_trove(request.url, release_names, ref=request.ref, timeout=request.timeout)
    move = _choose_commit(request, release_names, remote, records)
    commit = move.commit
    with open_commit(request.url, commit) as repository:
        definitions = Definitions(repository, commit, f"{request.path} at {commit[:12]}")
        data = definitions.read_cluster(sanitise_path(request.cluster))
        types, ours = request.deployment_types or WRITERS.keys(), not request.deployment_types
        cluster = read_cluster(data, label=release_names.label, types=types, plain=ours)
        resolved, faults = resolve_systems(cluster, definitions, request.architectures)
        epoch = definitions.read_epoch()
    faults = [*cluster.faults, *(find_setting_faults(cluster) if ours else []), *faults]
    shares = share_systems(
        request.policy,
        project=release_names.project,
        systems=resolved.list_names(cluster),
        records=records,
        wanted=request.products,
    )
    faults += shares.faults
    cluster = shares.limit(cluster, resolved)
    missing = find_missing(cluster, resolved, request, faults)
    deployments, skipped = list_deployments(cluster, resolved, release_names.label, missing)
    if not faults and not deployments:
        faults.append(
            "nothing is left to release: every deployment needs an architecture that is allowed to be missing"
        )
    marked = shares.mark_compressed(deployments) if not faults else []
    extras, wrong = shares.list_extras(marked, label=release_names.label, bills=request.bills)
    if "package" in records:  # what is packaged is not added to by a newer version of this project
        extras = [each for each in extras if each["type"] != BILL or f"extra-{each['name']}" in records]
    faults += wrong if not faults else []
    refuse(
        "plan",
        f"{release_names.label} by {sanitise_path(request.cluster)} ({request.path} at {commit[:12]})",
        faults,
        several="faults",
        do_next="Nothing was changed. Fix this and run again.",
    )
    plan = {
        "project": release_names.project,
        "version": release_names.version,
        "label": release_names.label,
        "branch": release_names.branch,
        "tag": release_names.tag,
        "definitions": {
            "url": request.url,
            "mirror_url": request.mirror_url,
            "path": request.path,
            "ref": request.ref,
            "commit": commit,
        },
        "coordinator": request.coordinator,
        "build_hosts": {architecture: list(hosts) for architecture, hosts in request.build_hosts.items()},
        "cluster": sanitise_path(request.cluster),
        "cluster_sha256": hashlib.sha256(data).hexdigest(),
        "epoch": epoch,
        "systems": list_systems(deployments),
        "deployments": marked,
        "extras": extras,
        "skipped": skipped,
        **shares.describe(list(dict.fromkeys(each["system_name"] for each in deployments))),
        "directories": directories,
        "remote": asdict(remote),
        "move": asdict(move),
    }
    records = {stage: record for stage, record in records.items() if stage not in move.outdated}
    remarks = [f"{plan['cluster']}: {remark}" for remark in cluster.remarks]
    if remote.branch_commit is None and (changed := list_uncommitted(request.url)):
        remarks.append(
            f"{request.url}: {', '.join(changed[:5])}{' and more' if changed[5:] else ''} differ from what is "
            f"committed; {release_names.label} is made of the commit {commit[:12]}"
        )
    return PlanResult(plan, records, remarks)


def _check_settings(request: Request, release_names: names.Names) -> None:
    """Refuse invalid settings before any other host is asked."""
    faults = []
    if not request.url or request.url.startswith("-"):
        faults.append(
            f"release_definitions_url is {request.url!r}; give the URL of the definitions on the public Trove"
        )
    if not request.mirror_url:
        faults.append("release_definitions_mirror_url is empty; give the URL of the definitions on the local Trove")
    if fault := names.find_ref_fault(request.ref):
        faults.append(f"release_definitions_ref is {request.ref!r}: {fault}; give a branch, a tag or a commit")
    cluster = PurePosixPath(sanitise_path(request.cluster) if request.cluster else "")
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
            hint = suggest(value, request.architectures)
            faults.append(f"{name} names the unknown architecture {value!r}{hint}; known are {known}")
    refuse(
        "plan",
        release_names.label,
        faults,
        several="settings are wrong",
        do_next="Nothing was changed. Correct this and run again.",
    )


def _choose_commit(
    request: Request, release_names: names.Names, remote: RemoteState, records: Mapping[str, Record]
) -> Move:
    """The commit to release; branches, tags or records that contradict it are refused."""
    move = judge_move(
        request.url, release_names, remote=remote, records=records, state_directory=request.state_directory
    )
    commit = move.commit if move else remote.branch_commit or remote.ref_commit
    if commit is None:
        raise SlipwayError(
            "find",
            f"{request.ref} in {redacted(request.url)}",
            "it has no branch or tag of this name",
            do_next="Set release_definitions_ref to a branch, a tag or a whole commit, and run again.",
        )
    if remote.tag_commit is not None and remote.tag_commit != commit:
        branch = f"the head of the branch {release_names.branch} is" if remote.branch_commit else f"{request.ref} is"
        raise SlipwayError(
            "release",
            release_names.label,
            f"the tag {release_names.tag} of {redacted(request.url)} exists already on the commit {remote.tag_commit}, "
            f"and {branch} {commit}",
            do_next="Nothing was changed. A tag is never moved: release under another version.",
        )
    return move or Move(commit)
