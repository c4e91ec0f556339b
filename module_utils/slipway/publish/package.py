# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release's directory of artifacts: images, compressed or as they are, manifest, checksums, signature."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, name_refusals, refuse
from ..files import copy_hashed, make_directory, open_regular, remove_leftover, replace_file, write_atomic
from ..openpgp.command import normalise_fingerprint
from ..openpgp.keys import find_signing_key
from ..openpgp.signing import sign_detached
from ..openpgp.verifying import Signature, verify_signature
from ..progress import Progress
from ..release import compression
from ..release.artifact import Artifact, check_name, find_differences, inspect_files, read_artifacts
from ..release.records import format_json
from .directory import SUMS, lock_directory

MANIFEST = "manifest.json"
SIGNATURE = "SHA256SUMS.asc"
#: What was compressed by a run that did not end, and from what; gone when the package is whole.
JOURNAL = ".unfinished.json"
MANIFEST_FORMAT = 1
REPORT_INTERVAL = 10.0
GZIP, NONE = compression.GZIP, compression.NONE
COMPRESSIONS = (*compression.METHODS, NONE)
#: What is said of an image and is no fact about it.
NO_FACTS = {"name", "size", "sha256", "compression", "compression_level"}

RESTORE = (
    "Bytes that may be public never change: put the recorded bytes back, for example from where they are published, "
    "and run again."
)


@dataclass(frozen=True)
class Image:
    """A file before it is packaged, and the facts about it that go into the manifest.

    ``path`` is where it is below the directory of the images; empty if it is not there any more.
    """

    artifact: Artifact
    facts: Mapping[str, Any]
    path: str
    compression: str = GZIP
    level: int | None = None

    @property
    def packed(self) -> str:
        """The name that it is published under."""
        return self.artifact.name + compression.find_suffix(self.compression)


@dataclass(frozen=True)
class PreviousPackage:
    """The record of an earlier run of this stage: its files by name, and the date of its signature."""

    files: Mapping[str, Artifact] = field(default_factory=dict)
    signed_at: int | None = None


@dataclass(frozen=True)
class PackageResult:
    """The contents of the directory; in check mode sizes and digests of missing files are None."""

    files: list[Artifact]
    sidecars: list[Artifact]
    made: list[str]
    signed_by: str | None
    signed_at: int | None


@dataclass
class _Work:
    """One run over one directory."""

    directory: Path
    previous: PreviousPackage
    check: bool
    progress: Progress
    level: int
    made: list[str] = field(default_factory=list)
    tools: dict[str, str] = field(default_factory=dict)

    def read_tool(self, method: str) -> str:
        """The version of the program that compresses so."""
        if method not in self.tools:
            self.tools[method] = compression.read_version(method)
        return self.tools[method]


def read_images(
    values: Iterable[Mapping[str, Any]],
    *,
    known: bool = True,
    method: str = GZIP,
    paths: Mapping[str, str] | None = None,
) -> list[Image]:
    """Check what the deploy records say of the images: ``{name, size, sha256, ...facts}``, sorted by name.

    ``paths`` says, by name, where images are that have another path than their name. An image may have a
    ``compression`` and a ``compression_level`` of its own.
    """
    listed = list(values)
    checked = read_artifacts(listed, attempt="package the images", known=known)
    said = {value["name"]: value for value in listed}
    images = [
        Image(
            artifact,
            {key: fact for key, fact in said[artifact.name].items() if key not in NO_FACTS},
            (paths or {}).get(artifact.name, artifact.name),
            said[artifact.name].get("compression") or method,
            said[artifact.name].get("compression_level"),
        )
        for artifact in checked
    ]
    _refuse_images(images)
    return images


def _refuse_images(images: Sequence[Image]) -> None:
    faults = [
        f"{image.artifact.name} has the compression {image.compression!r}, and not one of {', '.join(COMPRESSIONS)}"
        for image in images
        if image.compression not in COMPRESSIONS
    ]
    faults += [
        f"{image.artifact.name} has the level {image.level}, which {image.compression} has not"
        for image in images
        if image.level is not None and image.compression in COMPRESSIONS and image.level not in _list_levels(image)
    ]
    faults += [
        f"{image.artifact.name} has the path {image.path!r}, which is none below the directory of the images"
        for image in images
        if image.path.startswith("/") or ".." in image.path.split("/")
    ]
    taken = {MANIFEST: MANIFEST, SUMS: SUMS, SIGNATURE: SIGNATURE}
    for image in images:
        names = (image.packed, f"{image.packed}.sha256")
        clash = next((name for name in names if name in taken), None)
        if clash is not None:
            faults.append(f"{image.artifact.name} and {taken[clash]} would both be published as {clash}")
        taken |= dict.fromkeys(names, image.artifact.name)
    refuse(
        "package the images",
        "",
        faults,
        summary="the list of files is not usable",
        do_next="Correct it and run again.",
    )


def _list_levels(image: Image) -> range:
    method = compression.METHODS.get(image.compression)
    return method.levels if method else range(0)


def _choose_level(image: Image, level: int) -> int:
    """An image's own level, or that of the release, which is one of gzip, or what its method's users expect."""
    if image.level is not None or image.compression == GZIP:
        return level if image.level is None else image.level
    return compression.METHODS[image.compression].level


def read_previous(outputs: Mapping[str, Any] | None) -> PreviousPackage:
    """Read the outputs of this stage's record; None when there is no record."""
    if not outputs:
        return PreviousPackage()
    listed = read_artifacts([*outputs["files"], *outputs["sidecars"]], attempt="read the package record", known=False)
    return PreviousPackage({file.name: file for file in listed if file.sha256 is not None}, outputs.get("signed_at"))


def package_release(
    source: Path,
    images: Sequence[Image],
    *,
    directory: Path,
    label: str,
    manifest: Mapping[str, Any],
    gnupghome: Path,
    fingerprint: str | None = None,
    level: int = 6,
    previous: PreviousPackage | None = None,
    progress: Progress | None = None,
    check: bool = False,
) -> PackageResult:
    """Make the files that are missing in ``directory`` and verify the digests of the others.

    A file that has other bytes than the record (or the manifest of a run before) is a failure that names it
    and both digests, before anything is made. ``check`` only says what would be made.
    """
    check_name(label, attempt="package the release")
    work = _Work(directory, previous or PreviousPackage(), check, progress or Progress(None), level)
    _refuse_other_names(work, images)
    if check:
        return _package_files(work, source, images, label, manifest, gnupghome, fingerprint)
    with name_refusals("package", label):
        make_directory(directory)
        with lock_directory(directory, attempt="package", on=label):
            for leftover in directory.glob(".*.tmp"):
                remove_leftover(leftover)
            return _package_files(work, source, images, label, manifest, gnupghome, fingerprint)


def format_checksums(files: Iterable[Artifact]) -> bytes:
    """The text of SHA256SUMS as coreutils writes it, sorted by name."""
    return "".join(f"{file.sha256}  {file.name}\n" for file in sorted(files)).encode()


def _package_files(
    work: _Work,
    source: Path,
    images: Sequence[Image],
    label: str,
    manifest: Mapping[str, Any],
    gnupghome: Path,
    fingerprint: str | None,
) -> PackageResult:
    packed = _pack_all(work, source, images)
    unknown = any(file.sha256 is None for file in packed.values())
    digests = [
        _write_if_changed(work, f"{file.name}.sha256", None if file.sha256 is None else format_checksums([file]))
        for file in packed.values()
    ]
    content = (
        None if unknown else format_json(_make_manifest(images, packed, label=label, level=work.level, facts=manifest))
    )
    listed = sorted([*packed.values(), _write_if_changed(work, MANIFEST, content)])
    checksums = _write_if_changed(work, SUMS, None if unknown else format_checksums(listed))
    signature, signed = _sign_checksums(work, gnupghome, fingerprint)
    if not work.check:
        (work.directory / JOURNAL).unlink(missing_ok=True)
    return PackageResult(
        files=listed,
        sidecars=sorted([*digests, checksums, signature]),
        made=sorted(work.made),
        signed_by=signed.fingerprint if signed else None,
        signed_at=signed.made if signed else None,
    )


def _make_manifest(
    images: Sequence[Image], packed: Mapping[str, Artifact], *, label: str, level: int, facts: Mapping[str, Any]
) -> dict[str, Any]:
    compressed = [image for image in images if _is_usual(image)]
    return {
        **facts,
        "format": MANIFEST_FORMAT,
        "label": label,
        **({"compression": {"method": "gzip", "level": level}} if compressed else {}),
        "files": [
            {
                **image.facts,
                **packed[image.packed].as_dict(),
                **_describe_compression(image, level),
            }
            for image in images
        ],
    }


def _is_usual(image: Image) -> bool:
    """Whether an image is compressed as the manifest says of all that say nothing."""
    return image.compression == GZIP and image.level is None


def _describe_compression(image: Image, level: int) -> dict[str, Any]:
    if image.compression == NONE:
        return {}
    own = {"method": image.compression, "level": _choose_level(image, level)}
    said = {} if _is_usual(image) else {"compression": own}
    return {**said, "uncompressed": image.artifact.as_dict()}


def _refuse_other_names(work: _Work, images: Sequence[Image]) -> None:
    """A record of other files than those to be packaged is drift, found before anything is compressed."""
    if not work.previous.files:
        return
    wanted = {image.packed for image in images}
    wanted |= {f"{name}.sha256" for name in wanted} | {MANIFEST, SUMS, SIGNATURE}
    faults = [
        f"{name} is on record, but is not a file of this release now" for name in work.previous.files.keys() - wanted
    ]
    faults += [
        f"{name} is a file of this release now, but is not on record" for name in wanted - work.previous.files.keys()
    ]
    refuse(
        "package",
        str(work.directory),
        sorted(faults),
        summary="its record names other files",
        do_next="Put back what changed (cluster, deployments), or release the change under a new version.",
    )


def _pack_all(work: _Work, source: Path, images: Sequence[Image]) -> dict[str, Artifact]:
    """What is published of every image, by name."""
    as_they_are = {image.packed: image.artifact for image in images if image.compression == NONE}
    before = {**_read_manifest(work, images), **as_they_are, **work.previous.files}
    known = [before[image.packed] for image in images if image.packed in before]
    seen = inspect_files(work.directory, [Artifact(image.packed, None, None) for image in images])
    faults = find_differences(known, seen)
    refuse("confirm the package in", str(work.directory), faults, summary="files changed", do_next=RESTORE)
    journal = _Journal(work)
    kept = {
        image.packed: seen[image.packed]
        for image in images
        if image.packed in seen and (image.packed in before or journal.vouches_for(image, seen[image.packed]))
    }
    missing = [image for image in images if image.packed not in kept]
    work.made += [image.packed for image in missing]
    work.progress.total = len(missing) + 1
    work.progress.total_bytes = sum(image.artifact.size or 0 for image in missing)
    if work.check:
        return {**kept, **{image.packed: _expect_artifact(work, image) for image in missing}}
    for method in sorted({image.compression for image in missing} - {NONE}):
        work.read_tool(method)
    return kept | _pack_missing(work, source, missing, journal) if missing else kept


def _expect_artifact(work: _Work, image: Image) -> Artifact:
    unknown = image.artifact if image.compression == NONE else Artifact(image.packed, None, None)
    return work.previous.files.get(image.packed) or unknown


def _pack_missing(work: _Work, source: Path, missing: Sequence[Image], journal: _Journal) -> dict[str, Artifact]:
    _refuse_gone(work, source, missing)
    cores = len(os.sched_getaffinity(0))
    at_once = max(1, min(len(missing), cores // compression.MIN_THREADS))
    faults: list[str] = []

    def one(image: Image) -> Artifact | None:
        try:
            if image.compression == NONE:
                return _copy_image(work, source, image)
            return _compress_image(work, source, image, journal, threads=cores // at_once)
        except SlipwayError as error:
            faults.append(str(error))
            work.progress.step(f"{image.packed} failed")
            return None

    with ThreadPoolExecutor(max_workers=at_once) as pool:
        made = [file for file in pool.map(one, missing) if file is not None]
    refuse(
        "package",
        str(source),
        sorted(faults),
        summary=f"{len(faults)} of {len(missing)} images failed",
        do_next="Fix what is listed and run again; what was made is kept.",
    )
    return {file.name: file for file in made}


def _refuse_gone(work: _Work, source: Path, missing: Sequence[Image]) -> None:
    faults = [
        f"{image.artifact.name} is neither there nor in {work.directory} any more"
        for image in missing
        if not image.path
    ]
    refuse("package the files in", str(source), faults, summary="files are gone", do_next=RESTORE)


def _report_reading(work: _Work, image: Image, verb: str) -> Callable[[int], None]:
    """Say that an image is read, and now and then how much of it."""
    total = image.artifact.size or 1
    reported_at = time.monotonic()
    work.progress.report(f"{verb} {image.artifact.name} ({_format_size(total)})")

    def on_read(count: int) -> None:
        nonlocal reported_at
        if time.monotonic() - reported_at >= REPORT_INTERVAL:
            reported_at = time.monotonic()
            work.progress.report(f"{verb} {image.artifact.name}: {100 * count // total} %")

    return on_read


def _require_deployed(source: Path, image: Image, size: int, sha256: str) -> None:
    """Refuse an image with other bytes than its record says."""
    if fault := image.artifact.describe_difference(size, sha256):
        raise SlipwayError(
            "package",
            str(source / image.path),
            f"it changed since it was deployed: {fault}",
            do_next="Put back what it was, or remove it to have it made again, and run again.",
        )


def _copy_image(work: _Work, source: Path, image: Image) -> Artifact:
    """Take an image as it is; it appears only when it is complete and has the right bytes."""
    path, on_read = source / image.path, _report_reading(work, image, "copying")
    with (
        name_refusals("package", str(path), do_next="See that it is readable and that there is room, and run again."),
        open(open_regular(path, os.O_RDONLY), "rb", buffering=0) as reader,
        replace_file(work.directory / image.packed) as writer,
    ):
        size, sha256 = copy_hashed(reader, writer, on_read=on_read)
        _require_deployed(source, image, size, sha256)
    work.progress.step(f"{image.packed} is there", size=image.artifact.size)
    return image.artifact


def _compress_image(work: _Work, source: Path, image: Image, journal: _Journal, *, threads: int) -> Artifact:
    on_read = _report_reading(work, image, "compressing")

    def accept(done: compression.CompressionResult) -> None:
        _require_deployed(source, image, done.source_size, done.source_sha256)
        if fault := _find_drift(work, Artifact(image.packed, done.size, done.sha256)):
            raise SlipwayError("package", image.packed, fault, do_next=RESTORE)

    done = compression.compress_file(
        source / image.path,
        work.directory / image.packed,
        method=image.compression,
        level=_choose_level(image, work.level),
        threads=threads,
        accept=accept,
        on_read=on_read,
    )
    made = Artifact(image.packed, done.size, done.sha256)
    journal.note(image, made)
    work.progress.step(f"{image.packed} has {_format_size(done.size)}", size=image.artifact.size)
    return made


def _find_drift(work: _Work, now: Artifact) -> str | None:
    """How bytes made now are not those on record, if there is a record."""
    before = work.previous.files.get(now.name)
    fault = before.describe_difference(now.size or 0, now.sha256 or "") if before else None
    return f"made again it comes out with other bytes than its record says: {fault}" if fault else None


def _write_if_changed(work: _Work, name: str, content: bytes | None) -> Artifact:
    """Write a small file if it differs; None means that the content is not known yet (check mode)."""
    path = work.directory / name
    if content is None:
        work.made.append(name)
        return work.previous.files.get(name) or Artifact(name, None, None)
    wanted = Artifact(name, len(content), hashlib.sha256(content).hexdigest())
    if fault := _find_drift(work, wanted):
        raise SlipwayError("package", name, fault, do_next=RESTORE)
    if path.is_file() and path.read_bytes() == content:
        return wanted
    if path.exists() and name in work.previous.files:
        faults = find_differences([wanted], inspect_files(work.directory, [wanted]))
        raise SlipwayError(
            "confirm the package in", str(work.directory), "files changed", do_next=RESTORE, findings=faults
        )
    work.made.append(name)
    if not work.check:
        write_atomic(path, content)
    return wanted


def _sign_checksums(work: _Work, gnupghome: Path, fingerprint: str | None) -> tuple[Artifact, Signature | None]:
    """Keep the signature that is good, or make one; a lost one comes back with its recorded date and bytes."""
    data, path = work.directory / SUMS, work.directory / SIGNATURE
    wanted = None if fingerprint is None else normalise_fingerprint(fingerprint)
    unsigned = Artifact(SIGNATURE, None, None)
    before = work.previous.files.get(SIGNATURE)
    seen = inspect_files(work.directory, [unsigned])
    if before and (faults := find_differences([before], seen)):
        raise SlipwayError(
            "confirm the package in", str(work.directory), "files changed", do_next=RESTORE, findings=faults
        )
    sums_would_come = work.check and SUMS in work.made
    if sums_would_come and before and SIGNATURE in seen:
        return before, None  # what it signs will come back with the recorded bytes
    found = None if sums_would_come else verify_signature(gnupghome, data=data, signature=path)
    # What is on record stays, whichever key of the keyring signs from now on.
    if found is not None and (before or wanted in {None, found.fingerprint}):
        return seen[SIGNATURE], found
    if before and SIGNATURE in seen:
        raise SlipwayError(
            "confirm the signature",
            str(path),
            f"it is the recorded one, but it is not a good signature by any key in {gnupghome}",
            do_next="Put back the key that signed it, and run again.",
        )
    work.made.append(SIGNATURE)
    if work.check:
        return before or unsigned, None
    key = find_signing_key(gnupghome, wanted)
    work.progress.report(f"signing {SUMS} with {key.fingerprint}")
    sign_detached(gnupghome, key.fingerprint, data=data, signature=path, at=work.previous.signed_at)
    made = inspect_files(work.directory, [unsigned])[SIGNATURE]
    if fault := _find_drift(work, made):
        path.unlink()
        raise SlipwayError("sign", str(data), fault, do_next=RESTORE)
    work.progress.step(f"{SUMS} is signed")
    return made, verify_signature(gnupghome, data=data, signature=path)


def _read_manifest(work: _Work, images: Sequence[Image]) -> dict[str, Artifact]:
    """What the manifest of a run before says of these very images at this level."""
    try:
        manifest = json.loads((work.directory / MANIFEST).read_text(encoding="utf-8"))
        usual = manifest.get("compression")
        described = {entry["name"]: entry for entry in manifest["files"] if "uncompressed" in entry}
        return {
            image.packed: Artifact(image.packed, entry["size"], entry["sha256"])
            for image in images
            if image.compression != NONE
            and (entry := described.get(image.packed)) is not None
            and entry["uncompressed"]["sha256"] == image.artifact.sha256
            and entry.get("compression", usual)
            == {"method": image.compression, "level": _choose_level(image, work.level)}
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # none, or not one of ours: everything is then compressed again and compared with the record


class _Journal:
    """Compressed files that an interrupted run finished, so that they need not be made twice."""

    def __init__(self, work: _Work) -> None:
        self._path = work.directory / JOURNAL
        self._work = work
        self._lock = threading.Lock()
        try:
            self._entries: dict[str, Any] = dict(json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            self._entries = {}  # absent or truncated: the files are compressed again

    def vouches_for(self, image: Image, seen: Artifact) -> bool:
        """Whether ``seen`` was made from this very image, by this very tool."""
        if image.packed not in self._entries:
            return False
        return bool(self._entries[image.packed] == self._make_entry(image, seen))

    def note(self, image: Image, made: Artifact) -> None:
        with self._lock:
            self._entries[image.packed] = self._make_entry(image, made)
            write_atomic(self._path, format_json(self._entries))

    def _make_entry(self, image: Image, made: Artifact) -> list[Any]:
        tool = self._work.read_tool(image.compression)
        return [image.artifact.sha256, tool, _choose_level(image, self._work.level), made.sha256]


def _format_size(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
