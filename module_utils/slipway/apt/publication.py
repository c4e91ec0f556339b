# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Apt archives whose releases appear whole: a client sees the old release or the new one, nothing between.

Below the served directory::

    pool/                        every file ever published; a name never changes its content
    by-hash/SHA256/<digest>      every index ever published
    snapshots/<label>/           one release of one distribution, for ever: dists/, and pool -> ../../pool
    generations/<number>/        what all distributions' current releases are together: dists/, releases.json
    dists -> generations/<number>/dists

Everything is written beside what clients read, and then one rename moves ``dists``. A client that has read the old
InRelease finds the indexes that it names by their digests (Acquire-By-Hash) and their packages in the pool, before and
after that moment. Tools that mirror archives read Release, its signature and the indexes by their names, one after the
other: what they got of two generations does not fit, they see that by the digests, and try again.

A package is described as ``{version, sha256, path, size}``, an index is named ``suite/architecture``, and packages are
``{index: {package: description}}``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..deb.version import compare_versions
from ..errors import SlipwayError, refuse
from ..files import hash_file, name_temporary, write_atomic
from ..locks import hold_flock
from ..release.records import find_differences, format_json
from .dists import (
    Compressed,
    SuiteIndexes,
    find_wrong_dists,
    find_wrong_sizes,
    make_directory,
    read_compressed,
    write_dists,
)
from .generations import (
    CURRENT_LINK,
    GENERATIONS,
    choose_date,
    make_temporary,
    put_in_place,
    read_account,
    read_json,
    remove_leftovers,
    switch_to,
)
from .index import Archive, Deb, format_index, locate_index
from .phases import Phases, Schedule, begin_phases, change_phases, phase_index, reschedule
from .signed import Signer

LOCK = ".slipway.lock"
#: What a generation says of itself.
ACCOUNT = "releases.json"
LABEL = re.compile(r"[a-z0-9][A-Za-z0-9.+~-]*\Z")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*\Z")

Packages = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Release:
    """What is published as one: a release (``r468``) of a distribution (``cturtle``), for all its platforms.

    ``indexes`` has the files by suite and architecture; ``inputs`` say what it was made from, are kept, and are
    compared when the same release comes again. ``provenance`` is kept only: where it was taken from at that time.
    ``phases`` are steps by which machines that have its packages already get it, ``package_phases`` those of single
    packages, see :mod:`.phases`.
    """

    distribution: str
    release: str
    indexes: Mapping[str, Mapping[str, tuple[Deb, ...]]]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    phases: Schedule = ()
    package_phases: Mapping[str, Schedule] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name of its snapshot."""
        return make_label(self.distribution, self.release)

    def list_indexes(self) -> list[tuple[str, tuple[Deb, ...]]]:
        """Every index by its name."""
        return [
            (f"{suite}/{architecture}", debs)
            for suite, architectures in sorted(self.indexes.items())
            for architecture, debs in sorted(architectures.items())
        ]

    def describe_packages(self, component: str) -> Packages:
        """What it holds."""
        return {
            index: {
                deb.name: {
                    "version": deb.version,
                    "sha256": deb.sha256,
                    "path": deb.pool_path(component),
                    "size": deb.size,
                }
                for deb in debs
            }
            for index, debs in self.list_indexes()
        }


@dataclass(frozen=True)
class CurrentReleases:
    """What clients see: for each distribution the label in each index, and every label that they ever saw.

    ``published`` is the date of it, in seconds since the epoch, ``files`` has the sizes of its files below ``dists``.
    ``phases`` has, by label, how far a release is that does not reach all machines at once. Clients believe all of it
    for ``valid_days`` after its date, or for ever with 0.
    """

    generation: int = 0
    published: int = 0
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    history: tuple[str, ...] = ()
    files: Mapping[str, int] = field(default_factory=dict)
    phases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    valid_days: float = 0.0

    def find_phases(self, label: str) -> Phases | None:
        """How far a release is; None if it was for all at once."""
        return Phases(**self.phases[label]) if label in self.phases else None


def make_label(distribution: str, release: str) -> str:
    """``cturtle-r468``."""
    return f"{distribution}-{release}"


def read_current(directory: Path) -> CurrentReleases:
    """Read the generation that ``dists`` points to; without one nothing is published."""
    return CurrentReleases(**(read_account(directory, ACCOUNT) or {}))


def read_published(directory: Path, label: str) -> dict[str, Any] | None:
    """What is kept of a release that clients have seen, ``inputs`` and ``packages`` among it; else ``None``."""
    return _read_snapshot(directory, label) if label in read_current(directory).history else None


def read_current_packages(directory: Path, distribution: str) -> Packages:
    """What clients of a distribution see."""
    labels = read_current(directory).labels.get(distribution, {})
    kept = {label: _read_snapshot(directory, label)["packages"] for label in set(labels.values())}
    return {index: kept[label].get(index, {}) for index, label in labels.items()}


def compare_packages(before: Packages, after: Packages) -> dict[str, Any]:
    """``added``, ``updated``, ``removed``: rows of suite, architecture, package, version and was; and a ``diff``.

    An index that ``after`` does not have stays as it is.
    """
    rows: dict[str, list[dict[str, str]]] = {"added": [], "updated": [], "removed": []}
    for index, packages in sorted(after.items()):
        suite, _slash, architecture = index.partition("/")
        old = before.get(index, {})
        for name in sorted({*old, *packages}):
            was, version = (side[name]["version"] if name in side else None for side in (old, packages))
            if was == version:
                continue
            row = {"suite": suite, "architecture": architecture, "package": name}
            row |= {key: value for key, value in (("version", version), ("was", was)) if value is not None}
            rows["added" if was is None else "removed" if version is None else "updated"].append(row)
    old_packages = {index: before.get(index, {}) for index in after}
    return {**rows, "diff": {"before": _format_listing(old_packages), "after": _format_listing(after)}}


def find_downgrades(before: Packages, after: Packages) -> list[str]:
    """A sentence for each package that clients would not take because they have a newer one."""
    return [
        f"{index}: {name} {packages[name]['version']} is older than {old[name]['version']}, which is published"
        for index, packages in sorted(after.items())
        for old in [before.get(index, {})]
        for name in sorted(packages.keys() & old.keys())
        if compare_versions(packages[name]["version"], old[name]["version"]) < 0
    ]


def verify_release(directory: Path, label: str, *, gnupghome: str | os.PathLike[str] | None = None) -> None:
    """Look at a published release, and at what clients see now; the failure lists each file that is not as it was.

    Packages must have their sizes, indexes their digests, and Release files the signature of a key in ``gnupghome``.
    """
    kept, now = _read_snapshot(directory, label), read_current(directory)
    sizes = {row["path"]: row["size"] for packages in kept["packages"].values() for row in packages.values()}
    signer = None if gnupghome is None else Signer(Path(gnupghome))
    dists = {f"snapshots/{label}": kept["indexes"], f"{GENERATIONS}/{now.generation}": now.files}
    refuse(
        "confirm the release",
        f"{label} in {directory}",
        [
            *find_wrong_sizes(directory, sizes),
            *(
                f"{place}/{fault}"
                for place, files in dists.items()
                for fault in find_wrong_dists(directory / place, files, signer=signer)
            ),
        ],
        do_next="Restore them from a copy: a published release is never made again.",
    )


def refuse_other_inputs(directory: Path, label: str, published: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
    """A release that clients have seen cannot be made from other ``inputs``: the failure names each difference."""
    refuse(
        "publish",
        f"{label} in {directory}, where it is published already, made from something else",
        find_differences("", published["inputs"], _normalise_json(inputs)),
        do_next="Give the distribution a new version, or put back what the release was made from.",
    )


def publish_release(
    archive: Archive,
    release: Release,
    *,
    timeout: float = 600.0,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Publish ``release``; return whether clients see something else now.

    A release that was published before stays as it is, also when a later one has taken its place; with other
    packages or inputs it is refused. An index of an earlier release that this one does not have stays, too.
    Wherever this is interrupted, clients see what they saw before.
    """
    _check_release(release)
    directory = archive.directory
    make_directory(directory, top=directory)
    with hold_flock(directory / LOCK, attempt="publish in", on=str(directory), timeout=timeout):
        now = read_current(directory)
        if release.label in now.history:
            _compare_published(archive, release)
            return False
        _remove_leftovers(directory, now)
        _check_other_distributions(directory, release, now)
        _fill_pool(archive, release, now)
        moment = choose_date(directory, now.published, clock=clock, sleep=sleep)
        known = read_compressed(directory / CURRENT_LINK)
        _write_snapshot(archive, release, moment, known)
        labels = {
            **now.labels.get(release.distribution, {}),
            **{index: release.label for index, _debs in release.list_indexes()},
        }
        following = CurrentReleases(
            generation=now.generation + 1,
            published=moment,
            labels={**now.labels, release.distribution: labels},
            history=(*now.history, release.label),
            valid_days=now.valid_days,
        )
        begun = begin_phases(release.phases, release.package_phases, on=release.label, now=moment)
        phases = {**now.phases, **({} if begun is None else {release.label: begun.describe()})}
        current = {label for each in following.labels.values() for label in each.values()}
        following = replace(following, phases={label: each for label, each in phases.items() if label in current})
        _write_generation(archive, following, known)
        os.sync()
        switch_to(directory, following.generation)
        return True


def plan_phases(
    now: CurrentReleases, label: str, order: str, *, schedules: tuple[Schedule, Mapping[str, Schedule]], moment: int
) -> Phases | None:
    """How far a release will be by an order (see :func:`.phases.change_phases`); None if it is for all.

    ``schedules`` are those of the release and of its packages as they are to be now, if any.
    """
    if label not in {each for labels in now.labels.values() for each in labels.values()}:
        came_back = "clients do not see it" if label in now.history else "it is not published"
        do_next = "Name the current release of the distribution."
        raise SlipwayError("change the phase of", label, came_back, do_next=do_next)
    phases = now.find_phases(label)
    if phases is None:
        if order == "applied":
            return None
        phases = Phases(state="complete", started=moment)
    return change_phases(reschedule(phases, *schedules, on=label), order, on=label, now=moment)


def is_phased_so(before: Phases | None, after: Phases | None) -> bool:
    """Whether a release is as far as it is to be; without phases it is for all."""
    return after is None or after == before or (before is None and after.state == "complete")


def find_current_label(directory: Path, distribution: str) -> str:
    """The newest release of a distribution that clients see."""
    now = read_current(directory)
    current = set(now.labels.get(distribution, {}).values())
    if not current:
        came_back = f"only {', '.join(sorted(now.labels)) or 'nothing'} is published there"
        do_next = "Correct the name, or publish it."
        raise SlipwayError("find the release of", f"{distribution} in {directory}", came_back, do_next=do_next)
    return next(label for label in reversed(now.history) if label in current)


def publish_phases(
    archive: Archive,
    label: str,
    order: str,
    *,
    schedules: tuple[Schedule, Mapping[str, Schedule]] = ((), {}),
    timeout: float = 600.0,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Carry out an order for a published release in a generation of its own; return whether anything is different.

    Packages and snapshots stay as they are.
    """
    directory = archive.directory
    with hold_flock(directory / LOCK, attempt="publish in", on=str(directory), timeout=timeout):
        now = read_current(directory)
        planned = plan_phases(now, label, order, schedules=schedules, moment=int(clock()))
        if planned is None or is_phased_so(now.find_phases(label), planned):
            return False
        _remove_leftovers(directory, now)
        moment = choose_date(directory, now.published, clock=clock, sleep=sleep)
        known = read_compressed(directory / CURRENT_LINK)
        phases = {**now.phases, label: planned.describe()}
        following = replace(now, generation=now.generation + 1, published=moment, phases=phases)
        _write_generation(archive, following, known)
        os.sync()
        switch_to(directory, following.generation)
        return True


def _check_release(release: Release) -> None:
    words = [("the distribution", release.distribution), ("the label", release.label)]
    words += [("the index", word) for index, _debs in release.list_indexes() for word in index.split("/")]
    words += [("the source", deb.source) for _index, debs in release.list_indexes() for deb in debs]
    findings = [
        f"{what} {word!r} is not a name"
        for what, word in words
        if not (LABEL if what == "the label" else WORD).match(word)
    ]
    for index, debs in release.list_indexes():
        names = [deb.name for deb in debs]
        twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
        findings += [f"{index} would have {name} twice" for name in sorted(twice)]
        findings += [] if names else [f"{index} would be empty"]
    contents: dict[str, str] = {}
    for deb in {deb.path: deb for _index, debs in release.list_indexes() for deb in debs}.values():
        path = deb.pool_path("")
        if contents.setdefault(path, deb.sha256) != deb.sha256:
            findings.append(f"two different files would be {path.rpartition('/')[2]}")
    refuse("publish", release.label, list(dict.fromkeys(findings)), do_next="Correct this and run again.")


def _compare_published(archive: Archive, release: Release) -> None:
    kept = _read_snapshot(archive.directory, release.label)
    refuse_other_inputs(archive.directory, release.label, kept, release.inputs)
    refuse(
        "publish",
        f"{release.label} in {archive.directory}, where it is published already with other packages",
        find_differences("packages", kept["packages"], _normalise_json(release.describe_packages(archive.component))),
        do_next="Give the distribution a new version: what is public is never changed.",
    )
    verify_release(archive.directory, release.label, gnupghome=archive.gnupghome)


def _check_other_distributions(directory: Path, release: Release, now: CurrentReleases) -> None:
    """Distributions share the suites, so they must not share names of packages."""
    mine = {index: {deb.name for deb in debs} for index, debs in release.list_indexes()}
    findings = [
        f"{name} in {index} belongs to {other}"
        for other in sorted(now.labels.keys() - {release.distribution})
        for index, packages in sorted(read_current_packages(directory, other).items())
        for name in sorted(mine.get(index, set()) & packages.keys())
    ]
    refuse("publish", f"{release.label} in {directory}", findings, do_next="Give these packages names of their own.")


def _fill_pool(archive: Archive, release: Release, now: CurrentReleases) -> None:
    """Add every file to the pool; other content under a published name is refused."""
    directory = archive.directory
    files = {deb.pool_path(archive.component): deb for _index, debs in release.list_indexes() for deb in debs}
    for parent in {(directory / path).parent for path in files}:
        make_directory(parent, top=directory)
    there = [path for path, deb in files.items() if not _link_or_copy(deb.path, directory / path, top=directory)]
    other = [path for path in there if hash_file(directory / path) != files[path].sha256]
    taken = _list_published_paths(directory, now) if other else {}
    refuse(
        "publish",
        f"{release.label} in {directory}",
        [f"{path} would change, and {taken[path]} has published it" for path in other if path in taken],
        do_next="Give these packages new versions and run again.",
    )
    for path in other:
        (directory / path).unlink()  # left by an interrupted run: it was never published
        _link_or_copy(files[path].path, directory / path, top=directory)


def _list_published_paths(directory: Path, now: CurrentReleases) -> dict[str, str]:
    return {
        row["path"]: label
        for label in now.history
        for packages in _read_snapshot(directory, label)["packages"].values()
        for row in packages.values()
    }


def _link_or_copy(source: Path, target: Path, *, top: Path) -> bool:
    """Link ``source`` to ``target``, or copy it from another file system; False if ``target`` is there.

    The copy is begun in ``top``, where the next run finds it.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError:
        temporary = name_temporary(top / target.name)
        try:
            shutil.copyfile(source, temporary)
            os.link(temporary, target)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
    target.chmod(0o644)
    return True


def _write_snapshot(archive: Archive, release: Release, moment: int, known: Compressed) -> None:
    target = archive.directory / "snapshots" / release.label
    indexes = {
        suite: {name: format_index(debs, component=archive.component) for name, debs in architectures.items()}
        for suite, architectures in release.indexes.items()
    }
    temporary = make_temporary(target)
    sizes = _write_dists(archive, temporary, indexes, moment=moment, known=known)
    os.symlink("../../pool", temporary / "pool")
    kept = {
        "distribution": release.distribution,
        "release": release.release,
        "published": moment,
        "inputs": release.inputs,
        "provenance": release.provenance,
        "packages": release.describe_packages(archive.component),
        "indexes": sizes,
    }
    write_atomic(temporary / "release.json", format_json(kept))
    put_in_place(temporary, target)


def _write_generation(archive: Archive, following: CurrentReleases, known: Compressed) -> None:
    directory = archive.directory
    indexes: dict[str, dict[str, str]] = {}
    for distribution, labels in sorted(following.labels.items()):
        for index, label in sorted(labels.items()):
            suite, _slash, architecture = index.partition("/")
            below = locate_index(suite, archive.component, architecture)
            text = (
                (directory / "snapshots" / label / below / "Packages").read_bytes().decode("utf-8", "surrogateescape")
            )
            release = label.removeprefix(f"{distribution}-")
            text = phase_index(text, following.find_phases(label), source=distribution, release=release)
            indexes.setdefault(suite, {})[architecture] = indexes.get(suite, {}).get(architecture, "") + text
    target = directory / GENERATIONS / str(following.generation)
    temporary = make_temporary(target)
    sizes = _write_dists(
        archive, temporary, indexes, moment=following.published, known=known, days=following.valid_days
    )
    write_atomic(temporary / ACCOUNT, format_json(asdict(replace(following, files=sizes))))
    put_in_place(temporary, target)


def _write_dists(
    archive: Archive,
    place: Path,
    indexes: Mapping[str, Mapping[str, str]],
    *,
    moment: int,
    known: Compressed,
    days: float = 0.0,
) -> dict[str, int]:
    """Write indexes, by suite and architecture, and look at them as clients will, before they can."""
    signer = Signer(archive.gnupghome, archive.key)
    suites = {
        suite: SuiteIndexes(
            {
                "Origin": archive.origin,
                "Label": archive.origin,
                "Suite": suite,
                "Codename": suite,
                "Architectures": " ".join(sorted(texts)),
                "Components": archive.component,
            },
            {f"{archive.component}/binary-{architecture}": text for architecture, text in texts.items()},
        )
        for suite, texts in indexes.items()
    }
    sizes = write_dists(place, suites, signer=signer, moment=moment, known=known, valid_days=days)
    refuse(
        "publish in",
        str(archive.directory),
        find_wrong_dists(place, sizes, signer=signer),
        do_next="Clients see what they saw before. Check the disk and the key, and run again.",
    )
    return sizes


def _remove_leftovers(directory: Path, now: CurrentReleases) -> None:
    """Remove what killed runs have begun, whole snapshots that never became public among it."""
    remove_leftovers(directory, "snapshots")
    for path in (directory / "snapshots").glob("*/release.json"):
        if path.parent.name not in now.history:
            shutil.rmtree(path.parent)


def _read_snapshot(directory: Path, label: str) -> dict[str, Any]:
    return read_json(directory, directory / "snapshots" / label / "release.json")


def _normalise_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _format_listing(packages: Packages) -> str:
    lines = [f"{index} {name} {row['version']}\n" for index, rows in packages.items() for name, row in rows.items()]
    return "".join(sorted(lines))
