# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of a release of files that something else made: no definitions, no cluster, nothing to build.

Nothing here writes. Once the release is packaged its files are those on record, and the directory that they came from
is only looked at for what differs.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError, refuse
from ..escape import escape_line
from ..release import names
from ..release.compression import find_suffix
from ..release.records import Record, load_record, load_records
from .filenames import find_facts, find_location_fault, find_other_version, name_public_file
from .found import MAGIC, MOST, Found, Selection, Wanted, clip_faults, open_directory, select_files
from .products import Shares, share_systems
from .records import FILE_FACTS
from .request import Plan, PlanResult, name_directories
from .sums import read_sums

#: How the preflight record of such a release is known.
MADE_FROM = "files"


@dataclass(frozen=True)
class FileRequest:
    """What to release from which directory; ``exclude`` are patterns for what is not.

    ``sums`` is the path of a file there with the checksums that the files must have; ``policy`` is what the site wants.
    """

    version: object
    project: object
    directory: str
    wanted: Sequence[Wanted]
    state_directory: str
    coordinator: str
    exclude: Sequence[str] = ()
    sums: str = ""
    policy: object = None


def make_file_plan(request: FileRequest) -> PlanResult:
    """Plan the release without changing anything; all faults are listed at once."""
    release_names = names.make_names(request.project, request.version)
    label = release_names.label
    if not request.state_directory:
        raise SlipwayError(
            "plan",
            label,
            "release_state_directory is empty",
            do_next="Nothing was changed. Give the directory that keeps releases, and run again.",
        )
    directories = name_directories(request.state_directory, release_names.version)
    records = load_records(Path(directories["records"]))
    _refuse_definitions(label, records)
    known = _read_packaged(records)
    source, deployments, remarks = (
        _confirm_packaged(request, release_names, known) if known else _choose_files(request, release_names)
    )
    marked = [{**each, "of": each["system"] or each["name"]} for each in deployments]
    shares = share_systems(
        request.policy,
        project=release_names.project,
        systems=list(dict.fromkeys(each["of"] for each in marked)),
        records=records,
    )
    _refuse_faults("plan", label, [*shares.faults, *_find_extras(shares)])
    plan = {
        "project": release_names.project,
        "version": release_names.version,
        "label": label,
        **dict.fromkeys(("branch", "tag", "definitions", "cluster", "cluster_sha256")),
        "coordinator": request.coordinator,
        "build_hosts": {},
        "epoch": 0,
        "systems": [],
        "deployments": [
            {key: fact for key, fact in each.items() if key != "of"} for each in shares.mark(marked, system="of")
        ],
        "skipped": [],
        **shares.describe(list(dict.fromkeys(each["of"] for each in marked))),
        "directories": {**directories, "images": source},
        "remote": {},
        "move": None,
        "previous": find_previous_files(Path(directories["release"]).parent, release_names),
    }
    return PlanResult(plan, records, remarks)


def _find_extras(shares: Shares) -> list[str]:
    """Extra files tell of systems that are built, which there are none of here."""
    return [
        f"release_policy.products.{product.name}.extras: what else made has no extra files beside it; "
        "leave this out, and make them like the others"
        for product in shares.policy.products
        if product.name in shares.chosen and product.extras
    ]


def _choose_files(request: FileRequest, release_names: names.Names) -> tuple[str, list[Plan], list[str]]:
    """Where the files are, what is released of them, and what is odd."""
    selection, source = _select(request, release_names)
    deployments = _describe_files(selection, release_names)
    faults = [*_find_faults(selection, deployments), *_find_others(selection, release_names)]
    if request.sums:
        faults += _expect_sums(deployments, read_sums(Path(source), request.sums), request.sums)
    _refuse_faults(f"plan {release_names.label} from the files in", source, faults)
    return source, deployments, _list_remarks(selection, source)


def _confirm_packaged(
    request: FileRequest, release_names: names.Names, known: Mapping[str, Plan]
) -> tuple[str, list[Plan], list[str]]:
    """The same of a release that is packaged: what lies in its directory may be gone, or be of other versions."""
    selection, source = Selection(), request.directory
    if Path(request.directory).is_dir():
        selection, source = _select(request, release_names)
        selection.files = [each for each in selection.files if not _find_other_version(each, release_names)]
    _refuse_faults(f"confirm {release_names.label} by the files in", source, selection.faults)
    deployments = _describe_files(selection, release_names)
    return source, _match_packaged(release_names.label, source, deployments, known), []


def _select(request: FileRequest, release_names: names.Names) -> tuple[Selection, str]:
    directory = open_directory(request.directory, label=release_names.label)
    exclude = [*request.exclude, *([glob.escape(request.sums)] if request.sums else [])]
    return select_files(directory, request.wanted, exclude), str(directory)


def find_previous_files(releases: Path, wanted: names.Names) -> Plan | None:
    """Label and files of the project's release before this one, by its record; None if there is none here.

    One that was withdrawn is none.
    """
    published = {path.parent.parent.name: path for path in releases.glob("*/records/publication.json")}
    versions = [version for version in published if names.VERSION.match(version)]
    while (version := names.find_previous_version(wanted.version, versions)) is not None:
        versions.remove(version)
        try:
            record, withdrawal = load_record(published[version]), published[version].with_name("withdrawal.json")
            if withdrawal.exists() and load_record(withdrawal)["outputs"].get("withdrawn"):
                continue
        except SlipwayError:
            continue  # it is the business of a run that is about it
        if record["project"] == wanted.project:
            label = f"{wanted.project}-{version}"
            return {"version": version, "label": label, "files": record["outputs"].get("files") or []}
    return None


def _refuse_definitions(label: str, records: Mapping[str, Record]) -> None:
    preflight = records.get("preflight")
    if preflight is not None and preflight["inputs"].get("made_from") != MADE_FROM:
        raise SlipwayError(
            "plan",
            label,
            "it was begun as a release of definitions",
            do_next="Nothing was changed. Release the files under another version, or in another state directory.",
        )


def _read_packaged(records: Mapping[str, Record]) -> dict[str, Plan]:
    """The files of a release that is packaged, by their names; empty as long as it is not."""
    images = records["package"]["inputs"]["images"] if "package" in records else []
    return {image["name"]: image for image in images}


def _describe_files(selection: Selection, release_names: names.Names) -> list[Plan]:
    return [_describe_file(found, release_names) for found in selection.files]


def _describe_file(found: Found, release_names: names.Names) -> Plan:
    wanted, guessed = found.wanted, find_facts(found.path, release_names)
    name = name_public_file(wanted.name or found.path.replace("/", "-"), release_names)
    architecture = wanted.architecture or guessed.architecture
    return {
        "name": name.removeprefix(f"{release_names.label}-"),
        "file": name,
        "path": found.path,
        "size": found.size,
        "system": wanted.system or (guessed.system if architecture else ""),
        "architecture": architecture,
        "type": wanted.type or guessed.type,
        "compression": wanted.compression or "none",
    }


def _find_faults(selection: Selection, deployments: Sequence[Plan]) -> list[str]:
    faults = [*selection.absent, *selection.faults]
    if not faults and not deployments:
        faults.append("there is no file to release")
    taken: dict[str, str] = {}
    for found, deployment in zip(selection.files, deployments, strict=True):
        location = found.wanted.name or found.path.replace("/", "-")
        if fault := find_location_fault(location, deployment["file"]):
            faults.append(f"{location!r} {fault}; rename it, or give it a name in release_files")
            continue
        packed = deployment["file"] + find_suffix(deployment["compression"])
        claims = {packed: repr(found.path), f"{packed}.sha256": f"the checksum file of {found.path!r}"}
        clash = next((name for name in claims if name in taken), None)
        if clash is not None:
            faults.append(
                f"{claims[clash]} and {taken[clash]} would both be published as {clash}: leave one out with "
                "release_files_exclude, or give it another name in release_files"
            )
        taken |= claims
    return faults


def _find_other_version(found: Found, release_names: names.Names) -> str | None:
    """The version that a file is of by its name, if that is another one and nobody asked for this very file."""
    asked_for = found.wanted.name or not MAGIC & set(found.wanted.path)
    return None if asked_for else find_other_version(found.path.rpartition("/")[2], release_names)


def _find_others(selection: Selection, release_names: names.Names) -> list[str]:
    """What an earlier version left beside the files of this one is not released once more under its name."""
    return [
        f"{found.path!r} is of the version {other}: name what is of this one, such as "
        f"{release_names.project + '_{{ version }}*'!r}, or leave it out with release_files_exclude"
        for found in selection.files
        if (other := _find_other_version(found, release_names))
    ]


def _expect_sums(deployments: Sequence[Plan], sums: Mapping[str, str], path: str) -> list[str]:
    """Note of each file the digest that it must have; one that is not listed is a fault."""
    for deployment in deployments:
        deployment["expected"] = sums.get(deployment["path"])
    return [
        f"{deployment['path']!r} is not listed in {path!r}"
        for deployment in deployments
        if deployment["expected"] is None
    ]


def _match_packaged(label: str, source: str, found: Sequence[Plan], known: Mapping[str, Plan]) -> list[Plan]:
    """The files on record, each with its path if it is still there; other ones are drift."""
    there = {deployment["file"]: deployment for deployment in found}
    _refuse_faults(
        f"confirm {label} by the files in",
        source,
        [
            f"{there[name]['path']!r} is new: it is not one of the files of {label}"
            for name in there
            if name not in known
        ],
        do_next="Public releases never change: release it under another version, or leave it out with "
        "release_files_exclude.",
    )
    return [
        {
            "name": image["deployment"],
            "file": name,
            "path": "",
            "size": image["size"],
            **{fact: image.get(fact) or "" for fact in FILE_FACTS},
            **there.get(name, {}),
        }
        for name, image in known.items()
    ]


def _refuse_faults(
    attempted: str,
    source: str,
    faults: Sequence[str],
    *,
    do_next: str = "Nothing was changed. Fix this and run again.",
) -> None:
    refuse(attempted, source, clip_faults(faults), several="faults", do_next=do_next)


def _list_remarks(selection: Selection, source: str) -> list[str]:
    left = [escape_line(each) for each in selection.left_out]
    if not left:
        return []
    more = f" and {len(left) - MOST} more" if len(left) > MOST else ""
    return [f"not released of {source}: {', '.join(left[:MOST])}{more}"]
