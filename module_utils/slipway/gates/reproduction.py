# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether what was made again is what was published, and if it is not, which input differs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import SlipwayError, refuse
from ..publish.channel import fetch_published, fetch_published_mapping
from ..publish.directory import SUMS, parse_sums
from ..publish.package import MANIFEST
from ..publish.releases import name_inputs
from ..release.records import find_differences

SECONDS = 120.0


@dataclass(frozen=True)
class Reference:
    """A published release: its digests, its manifest, and its inputs if they are published."""

    url: str
    sums: Mapping[str, str]
    manifest: Mapping[str, Any]
    inputs: Mapping[str, Any] = field(default_factory=dict)


def fetch_reference(url: str, *, ca_path: str | None = None) -> Reference:
    """What is published in the directory of a release at ``url``; whether it is signed is not looked at."""
    base = url.rstrip("/")
    above, _slash, label = base.rpartition("/")
    how: dict[str, Any] = {"attempt": "read", "do_next": "Correct the address.", "timeout": SECONDS, "ca_path": ca_path}
    sums = parse_sums((fetch_published(base, SUMS, **how) or b"").decode("utf-8", "replace"))
    manifest = fetch_published_mapping(base, MANIFEST, **how)
    if manifest is None or MANIFEST not in sums:
        fault = f"there is no {MANIFEST}" if manifest is None else f"its {SUMS} does not list {MANIFEST}"
        raise SlipwayError("read the release at", base, fault, do_next="Correct the address.")
    return Reference(base, sums, manifest, fetch_published_mapping(above, name_inputs(label), **how) or {})


def compare_release(
    reference: Reference,
    files: Sequence[Mapping[str, Any]],
    manifest: Mapping[str, Any],
    inputs: Mapping[str, Any],
) -> list[str]:
    """The files that are the same; that one differs is a failure, which names the inputs that do.

    ``files`` are what ``SHA256SUMS`` lists of what was made now, ``manifest`` and ``inputs`` are of that too.
    """
    now = {file["name"]: file["sha256"] for file in files}
    faults = [
        f"{name} has sha256 {now.get(name, 'nothing: it was not made')} and was published with {published}"
        for name, published in sorted(reference.sums.items())
        if now.get(name) != published
    ]
    faults += [f"{name} was made now, and is not published" for name in sorted(now.keys() - reference.sums.keys())]
    if faults:
        plain = [
            {key: value for key, value in each.items() if key != "files"} for each in (reference.manifest, manifest)
        ]
        causes = [f"input: {each}" for each in find_differences("manifest", *plain)]
        if reference.inputs:
            causes += [f"input: {each}" for each in find_differences("", reference.inputs, _plain(inputs))]
        faults += causes or ["no input differs that is known: look into the files that do"]
    refuse(
        "reproduce",
        reference.url,
        faults,
        summary=f"{len(reference.sums)} files are published, and what was made now differs",
        do_next="Bring what is named as input to what it was, and run again.",
    )
    return sorted(reference.sums)


def _plain(value: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(value))
