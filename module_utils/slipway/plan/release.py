# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of a release: what is to be made of which commit, checked as a whole before anything is changed.

Nothing here writes outside a temporary directory that is removed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import SlipwayError
from ..git import remote as git
from ..image.writers import WRITERS
from ..process import run
from ..release import names
from ..release.records import Record, load_all
from ..yamltext import NotPlainError, read
from .cluster import Cluster, Deployment, System, guess, read_cluster, sanitised, system_architecture

#: The architectures that Baserock's definitions knew.
ARCHITECTURES = (
    *("armv5l", "armv6l", "armv7b", "armv7l", "armv7lhf", "armv8b64", "armv8l64"),
    *("mips32b", "mips32l", "mips64b", "mips64l", "ppc64", "x86_32", "x86_64"),
)
DIRECTORIES = ("records", "images", "artifacts", "logs", "source")

Plan = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What somebody wants released, and where; ``build_hosts`` maps an architecture to its hosts.

    Without ``deployment_types``, deployments must be what Slipway itself can make of their type and settings.
    """

    version: object
    project: object
    url: str
    mirror_url: str
    path: str
    ref: str
    cluster: str
    state_directory: str
    build_hosts: Mapping[str, Sequence[str]]
    allow_missing_arches: Collection[str] = ()
    architectures: Collection[str] = ARCHITECTURES
    deployment_types: Collection[str] = ()
    timeout: float = 60.0


@dataclass(frozen=True)
class Planned:
    """The plan, the records that stand already, and what is odd but no fault."""

    plan: Plan
    records: dict[str, Record]
    warnings: list[str]


@dataclass(frozen=True)
class Remote:
    """What the public Trove holds of this release; commits are ``None`` where there is none."""

    branch_commit: str | None
    tag_commit: str | None
    ref_commit: str | None
    previous_tag: str | None
    previous_commit: str | None
    newer_tags: list[str]


@dataclass(frozen=True)
class Resolved:
    """The systems of a cluster with what their files say; keys are where an entry stands."""

    architecture: dict[str, str] = field(default_factory=dict)
    file: dict[str, str] = field(default_factory=dict)
    name: dict[tuple[str, str], str] = field(default_factory=dict)


def make_plan(request: Request) -> Planned:
    """Look at everything, change nothing, and say what the release is; every fault of a kind is listed at once."""
    called = names.names(request.project, request.version)
    _check(request, called)
    directories = release_directories(request.state_directory, called.version)
    records = load_all(Path(directories["records"]))
    remote = look_at_trove(request.url, called, ref=request.ref, timeout=request.timeout)
    commit = _commit(request, called, remote, records)
    with _holding(request.url, commit) as repository:
        definitions = _Definitions(repository, commit, f"{request.path} at {commit[:12]}")
        data = definitions.cluster(sanitised(request.cluster))
        cluster = read_cluster(data, label=called.label, types=request.deployment_types or WRITERS.keys())
        resolved, faults = _resolve(cluster, definitions, request.architectures)
        epoch = definitions.epoch()
    faults = [*cluster.faults, *([] if request.deployment_types else _setting_faults(cluster)), *faults]
    missing = _missing(cluster, resolved, request, faults)
    deployments, skipped = _deployments(cluster, resolved, called.label, missing)
    if not faults and not deployments:
        faults.append(
            "nothing is left to release: every deployment needs an architecture that is allowed to be missing"
        )
    if faults:
        raise SlipwayError(
            "plan",
            called.label,
            f"{sanitised(request.cluster)} ({request.path} at {commit[:12]}) has "
            + ("1 fault" if len(faults) == 1 else f"{len(faults)} faults"),
            do_next="Nothing was changed. Mend what is listed here and run again:",
            findings=faults,
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
        "cluster": sanitised(request.cluster),
        "cluster_sha256": hashlib.sha256(data).hexdigest(),
        "epoch": epoch,
        "systems": _systems(deployments),
        "deployments": deployments,
        "skipped": skipped,
        "directories": directories,
        "remote": asdict(remote),
    }
    return Planned(plan, records, cluster.remarks)


def systems_at(repository: Path, commit: str, *, cluster: str) -> list[Plan]:
    """Every system (``name``, ``file``, ``architecture``) of a cluster at a commit that ``repository`` holds."""
    definitions = _Definitions(repository, commit, f"the definitions at {commit[:12]}")
    found = read_cluster(definitions.cluster(sanitised(cluster)), label=commit[:12])
    resolved, faults = _resolve(found, definitions, ARCHITECTURES)
    if faults := [*found.faults, *faults]:
        raise SlipwayError(
            "read the cluster",
            f"{sanitised(cluster)} at {commit[:12]}",
            "it has 1 fault" if len(faults) == 1 else f"it has {len(faults)} faults",
            do_next="Mend what is listed here:",
            findings=faults,
        )
    systems = {where: (resolved.file[where], resolved.architecture[where]) for where in resolved.file}
    return [
        {"name": resolved.name[system], "file": system[0], "architecture": system[1]}
        for system in dict.fromkeys(systems.values())
    ]


def release_directories(state_directory: str, version: str) -> dict[str, str]:
    """The absolute directories of one release."""
    state = Path(os.path.abspath(Path(state_directory).expanduser()))
    release = state / "releases" / version
    return {"state": str(state), "release": str(release), **{name: str(release / name) for name in DIRECTORIES}}


def look_at_trove(url: str, called: names.Names, *, ref: str, timeout: float = 60.0) -> Remote:
    """See in one call what the public Trove has of this release, and what was released before it."""
    branch = f"refs/heads/{called.branch}"
    candidates = [ref] if ref == "HEAD" or ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
    tags = f"refs/tags/{called.project}-*"
    wanted = [pattern for candidate in candidates for pattern in (candidate, f"{candidate}^{{}}")]
    refs = git.remote_refs(url, branch, tags, *wanted, attempt="reach the definitions at", timeout=timeout)

    def commit(name: str) -> str | None:
        return refs.get(f"{name}^{{}}") or refs.get(name)

    found = (name.removeprefix("refs/tags/") for name in refs if name.startswith("refs/tags/"))
    tagged = names.tagged_versions(called.project, (name for name in found if not name.endswith("^{}")))
    previous = names.previous_version(called.version, tagged)
    previous_tag = None if previous is None else tagged[previous]
    key = names.version_key(called.version)
    return Remote(
        branch_commit=commit(branch),
        tag_commit=commit(f"refs/tags/{called.tag}"),
        ref_commit=ref if git.COMMIT.match(ref) else next(filter(None, map(commit, candidates)), None),
        previous_tag=previous_tag,
        previous_commit=None if previous_tag is None else commit(f"refs/tags/{previous_tag}"),
        newer_tags=[tag for version, tag in tagged.items() if names.version_key(version) > key],
    )


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
    if faults:
        raise SlipwayError(
            "plan",
            called.label,
            "a setting is wrong" if len(faults) == 1 else f"{len(faults)} settings are wrong",
            do_next="Nothing was changed. Correct what is listed here and run again:",
            findings=faults,
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


@contextlib.contextmanager
def _holding(url: str, commit: str) -> Iterator[Path]:
    """A repository that holds ``commit``: the one of ``url`` itself if it is a directory here, else a copy of it."""
    if not Path(url).is_dir():
        with git.scratch(url, commit) as repository:
            yield repository
        return
    git.git(
        *("cat-file", "-e", f"{commit}^{{commit}}"),
        attempt="find the commit to release in",
        on=url,
        cwd=url,
        do_next="Set release_definitions_ref to a branch, a tag or a commit that is there, and run again.",
    )
    yield Path(url)


class _Definitions:
    """The files of one commit in a repository that holds it."""

    def __init__(self, repository: Path, commit: str, shown: str) -> None:
        self.repository = repository
        self.commit = commit
        self.shown = shown

    def read(self, paths: Iterable[str]) -> dict[str, bytes | None]:
        """The contents of files, ``None`` for what is no file; links inside the repository are followed."""
        wanted = list(dict.fromkeys(paths))
        return dict(zip(wanted, self._objects([f"{self.commit}:{path}" for path in wanted]), strict=True))

    def cluster(self, path: str) -> bytes:
        """The cluster file; when it is missing, the failure names what may have been meant."""
        data = self.read([path])[path]
        if data is None:
            same = [name for name in self.paths() if posixpath.basename(name) == posixpath.basename(path)]
            hint = f" (did you mean {same[0]}?)" if same else guess(path, self.paths())
            raise SlipwayError(
                "read the cluster",
                path,
                f"there is no such file in {self.shown}{hint}",
                do_next="Nothing was changed. Set release_cluster to a cluster file of the definitions and run again.",
            )
        return data

    def epoch(self) -> int:
        """When the commit was made, in seconds since the epoch."""
        (data,) = self._objects([self.commit])
        stamp = re.search(rb"^committer .* (-?\d+) [+-]\d{4}$", data or b"", re.MULTILINE)
        return max(0, int(stamp[1])) if stamp else 0

    def paths(self) -> list[str]:
        """Every file of the commit."""
        done = self._git("ls-tree", "-r", "-z", "--name-only", self.commit)
        return [os.fsdecode(name) for name in done.split(b"\0") if name]

    def _objects(self, specs: Sequence[str]) -> list[bytes | None]:
        rest = self._git(
            "cat-file", "--batch", "--follow-symlinks", stdin="".join(f"{spec}\n" for spec in specs).encode()
        )
        found: list[bytes | None] = []
        for _unused in specs:
            header, _newline, rest = rest.partition(b"\n")
            words = header.split(b" ")
            if header.endswith((b" missing", b" ambiguous")):
                found.append(None)
                continue
            size = int(words[-1])
            found.append(rest[:size] if len(words) == 3 and words[1] in (b"blob", b"commit") else None)
            rest = rest[size + 1 :]
        return found

    def _git(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        return run(
            ["git", *arguments],
            attempt="read",
            on=self.shown,
            cwd=self.repository,
            env=git.ENVIRONMENT,
            stdin=stdin,
            timeout=60,
        ).raw


def _resolve(cluster: Cluster, definitions: _Definitions, known: Collection[str]) -> tuple[Resolved, list[str]]:
    """Find every system's file and architecture, and give each system its name."""
    entries = list(cluster.walk())
    if not entries:
        return Resolved(), []
    prefix = _element_path(definitions)
    resolved, faults = Resolved(), []
    contents = definitions.read(path for entry in entries for path in (entry.file, posixpath.join(prefix, entry.file)))
    told: set[str] = set()
    for entry in entries:
        file, data = _element(entry.file, prefix, contents)
        if data is None:
            near = [
                path.removeprefix(f"{prefix}/") for path in definitions.paths() if path.endswith((".bst", ".morph"))
            ]
            hint = guess(entry.file, near)
            faults.append(
                f"{entry.where}.morph: there is no file {entry.file} in {definitions.shown}{hint} (line {entry.line})"
            )
            continue
        stated, wrong = system_architecture(file, data)
        faults += [fault for fault in wrong if fault not in told]
        told.update(wrong)
        architecture = entry.arch or stated
        if architecture is None and not wrong:
            faults.append(f"{entry.where}: {_no_architecture(file)} (line {entry.line})")
        elif architecture is not None and architecture not in known:
            by = f"{entry.where}.arch" if entry.arch else f"{entry.where}.morph: {file}"
            faults.append(
                f"{by}: {architecture!r} is not a known architecture{guess(architecture, known)}; "
                f"known are {', '.join(sorted(known))} (line {entry.line})"
            )
        elif architecture is not None:
            resolved.architecture[entry.where] = architecture
            resolved.file[entry.where] = file
    resolved.name.update(
        _system_names({(resolved.file[where], resolved.architecture[where]) for where in resolved.file})
    )
    return resolved, faults


def _setting_faults(cluster: Cluster) -> list[str]:
    """What our own writers of files have against the settings of the deployments."""
    return [
        f"{deployment.where}: {fault} (line {deployment.line})"
        for system in cluster.walk()
        for deployment in system.deployments
        for fault in WRITERS[deployment.type].faults(deployment.settings)
    ]


def _element_path(definitions: _Definitions) -> str:
    """Where a BuildStream project keeps its elements; empty when that is the top, or it is no such project."""
    data = definitions.read(["project.conf"])["project.conf"]
    try:
        root, _unused = read(data or b"{}")
    except NotPlainError:
        return ""  # BuildStream itself will tell what is wrong with it
    stated = (root.mapping or {}).get("element-path")
    return "" if stated is None or stated.text in (None, ".") else posixpath.normpath(str(stated.text))


def _element(file: str, prefix: str, contents: Mapping[str, bytes | None]) -> tuple[str, bytes | None]:
    """A system's file as its build tool calls it (elements: without the element path), and its content."""
    if file.endswith(".bst") and prefix:
        below = contents.get(posixpath.join(prefix, file))
        if below is not None:
            return file, below
        if file.startswith(f"{prefix}/"):
            return file.removeprefix(f"{prefix}/"), contents.get(file)
        return file, None
    return file, contents.get(file)


def _no_architecture(file: str) -> str:
    if file.endswith(".bst"):
        return (
            f"{file} does not say its architecture; add `public: {{slipway: {{arch: x86_64}}}}` to it, "
            "or `arch: x86_64` to this entry"
        )
    return f"{file} does not say its architecture; add `arch: x86_64` to it"


def _system_names(systems: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Short names of systems: the file's own, with its directories, architecture or a digest only where needed."""
    stems = {system: PurePosixPath(system[0]).stem for system in systems}
    exact = {each: f"{stems[each]}-{each[1]}-{hashlib.sha256(each[0].encode()).hexdigest()[:8]}" for each in systems}
    forms = (
        stems,
        {each: f"{stems[each]}-{each[1]}" for each in systems},
        {each: posixpath.splitext(each[0])[0].replace("/", "-") for each in systems},
        exact,
    )
    counts = [Counter(form.values()) for form in forms]
    found = {
        system: next(form[system] for form, count in zip(forms, counts, strict=True) if count[form[system]] == 1)
        for system in systems
    }
    count = Counter(found.values())
    return {system: name if count[name] == 1 else exact[system] for system, name in found.items()}


def _missing(cluster: Cluster, resolved: Resolved, request: Request, faults: list[str]) -> set[str]:
    """Where the systems stand that nobody can build and that may be left out; others become faults."""
    without: dict[str, list[str]] = {}
    missing = set()
    for entry in cluster.walk():
        architecture = resolved.architecture.get(entry.where)
        if architecture is None or request.build_hosts.get(architecture):
            continue
        if architecture in request.allow_missing_arches:
            missing.add(entry.where)
        elif resolved.file[entry.where] not in without.setdefault(architecture, []):
            without[architecture].append(resolved.file[entry.where])
    faults += [
        f"no build host builds for {architecture}, which {' and '.join(files)} need{'s' if len(files) == 1 else ''}: "
        f"add a host to the group build_hosts with {architecture} in its build_host_architectures, "
        f"or leave this out with release_allow_missing_arches: [{architecture}]"
        for architecture, files in without.items()
    ]
    return missing


def _deployments(
    cluster: Cluster, resolved: Resolved, label: str, missing: Collection[str]
) -> tuple[list[Plan], list[Plan]]:
    """What is made of the systems that can be built, and what is left out with the reason."""
    made: list[Plan] = []
    skipped: dict[tuple[str, str], Plan] = {}
    for entry in cluster.systems:
        lacking = [each for each in entry.walk() if each.where in missing]
        if not lacking and all(each.where in resolved.file for each in entry.walk()):
            made += [
                {**_deployment(entry, deployment, resolved), "file": names.file_name(label, deployment.location)}
                for deployment in entry.deployments
            ]
        for each in [entry, *(each for each in lacking if each is not entry)] if lacking else []:
            _skip(skipped, each, resolved, lacking)
    return made, list(skipped.values())


def _skip(skipped: dict[tuple[str, str], Plan], entry: System, resolved: Resolved, lacking: Sequence[System]) -> None:
    if entry.where not in resolved.file:
        return
    system = resolved.file[entry.where], resolved.architecture[entry.where]
    cause = entry if entry in lacking else lacking[0]
    architecture = resolved.architecture[cause.where]
    because = "" if cause is entry else f"{resolved.file[cause.where]} is a part of it, and "
    found = skipped.setdefault(
        system,
        {
            "system": system[0],
            "architecture": system[1],
            "deployments": [],
            "reason": f"{because}no build host builds for {architecture}",
        },
    )
    found["deployments"] += [deployment.name for deployment in entry.deployments]


def _deployment(entry: System, deployment: Deployment, resolved: Resolved) -> Plan:
    file, architecture = resolved.file[entry.where], resolved.architecture[entry.where]
    return {
        "name": deployment.name,
        "system": file,
        "system_name": resolved.name[file, architecture],
        "architecture": architecture,
        "type": deployment.type,
        "location": deployment.location,
        "settings": dict(deployment.settings),
        "subsystems": [
            _deployment(subsystem, each, resolved) for subsystem in entry.subsystems for each in subsystem.deployments
        ],
    }


def _systems(deployments: Iterable[Plan]) -> list[Plan]:
    """Every system that some deployment needs, once, in the order of the cluster."""
    found: dict[str, Plan] = {}
    for deployment in deployments:
        found.setdefault(
            deployment["system_name"],
            {
                "name": deployment["system_name"],
                "file": deployment["system"],
                "architecture": deployment["architecture"],
            },
        )
        for system in _systems(deployment["subsystems"]):
            found.setdefault(system["name"], system)
    return list(found.values())
