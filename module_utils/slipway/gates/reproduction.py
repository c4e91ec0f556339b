# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether what was made again is what was published, and if it is not, which input differs."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit

from ..errors import SlipwayError, refuse
from ..http import FAILURES, Limit, explain_failure, open_url, receive_body
from ..release.records import find_differences

SUMS, MANIFEST = "SHA256SUMS", "manifest.json"
LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<name>[^/\n]+)\Z")
SCHEMES = ("file", "http", "https")
MOST_BYTES = 16 << 20
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
    if urlsplit(url).scheme not in SCHEMES:
        raise SlipwayError(
            "read the release",
            repr(url),
            "it is not an address",
            do_next=f"Give the address of its directory, beginning with {', '.join(SCHEMES)}.",
        )
    base, trust = quote(url.rstrip("/"), safe="%/:?#[]@!$&'()*+,;=~"), ssl.create_default_context(cafile=ca_path)
    sums = {
        found["name"]: found["sha256"]
        for line in (_fetch(f"{base}/{SUMS}", trust) or "").splitlines()
        if (found := LINE.match(line))
    }
    manifest = _read_json(f"{base}/{MANIFEST}", _fetch(f"{base}/{MANIFEST}", trust))
    inputs = _fetch(f"{base}.inputs.json", trust, must=False)
    if not sums or MANIFEST not in sums:
        raise SlipwayError("read", f"{base}/{SUMS}", f"it does not list {MANIFEST}", do_next="Correct the address.")
    return Reference(base, sums, manifest, {} if inputs is None else _read_json(f"{base}.inputs.json", inputs))


def _fetch(url: str, trust: ssl.SSLContext, *, must: bool = True) -> str | None:
    data = bytearray()
    try:
        with open_url(url, Limit(SECONDS, SECONDS), trust=trust) as answer:
            receive_body(answer, data.extend, size=MOST_BYTES)
    except HTTPError as error:
        if not must and error.code in (404, 410):
            return None
        raise SlipwayError("read", url, f"{error.code} {error.reason}", do_next="Correct the address.") from error
    except FAILURES as error:
        if not must:
            return None
        raise SlipwayError("read", url, explain_failure(error), do_next="Correct the address.") from error
    return data.decode("utf-8", "replace")


def _read_json(url: str, text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SlipwayError("read", url, "it is not a mapping in JSON", do_next="Correct the address.")
    return found


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
