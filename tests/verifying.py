# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small public directory, made by what makes real ones, for tests that look at it from outside."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.slipway.release.plugins.action.release_index import render_pages
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import find_signing_key, make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import sign_detached
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.links import Release, update_links
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.package import (
    package_release,
    read_images,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.pages import update_pages
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.releases import Site, describe_site
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.tombstone import Tombstone
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.dsse import (
    LATEST,
    STATEMENT,
    sign_envelopes,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.keys import make_key_list
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.moments import format_moment
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.strictjson import dump_line

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = str(ROOT / "roles/release_current/templates")
PROJECT = "baserock"
DAY = 86400


@dataclass
class Made:
    """A project's keys and public directory."""

    top: Path
    project: str = PROJECT

    @property
    def public(self) -> Path:
        return self.top / "public"

    @property
    def home(self) -> Path:
        return self.top / "gnupg"

    @property
    def key(self) -> Path:
        return self.top / "key.asc"

    @property
    def fingerprint(self) -> str:
        return find_signing_key(self.home).fingerprint

    @property
    def url(self) -> str:
        return f"file://{self.public}"

    def copied(self, top: Path) -> Made:
        """The same elsewhere, to be changed."""
        shutil.copytree(self.top, top, symlinks=True, ignore=shutil.ignore_patterns("S.*"))
        return Made(top, self.project)

    def label(self, version: str) -> str:
        return f"{self.project}-{version}"

    def sign(self, payload_type: str, payload: Mapping[str, Any], *, at: int | None = None) -> bytes:
        (line,) = sign_envelopes(
            [dump_line(dict(payload))], payload_type, gnupghome=self.home, fingerprint=self.fingerprint, at=at
        )
        return line

    def sign_file(self, path: Path) -> None:
        """The signature beside a file."""
        signature = path.with_name(f"{path.name}.asc")
        sign_detached(self.home, self.fingerprint, data=path, signature=signature)


def make_project(top: Path, *, expires: str = "2y") -> Made:
    """The key of a project, and an empty public directory with it."""
    made = Made(top)
    made.public.mkdir(parents=True)
    fingerprint = make_key(made.home, "Releases <releases@example.org>", expires=expires)
    made.key.write_bytes(export_public_key(made.home, fingerprint))
    shutil.copy(made.key, made.public / "release-key.asc")
    return made


def release(made: Made, version: str, files: Mapping[str, bytes], *, pages: bool = True, **current: Any) -> None:
    """Package, publish and state a release of ``files`` by location, and make it current."""
    label = made.label(version)
    images = made.top / f"images-{version}"
    images.mkdir()
    listed = []
    for location, data in files.items():
        (images / f"{label}-{location}").write_bytes(data)
        facts = {"system": f"systems/{location}.bst", "architecture": "x86_64", "type": "rawdisk"}
        digest = hashlib.sha256(data).hexdigest()
        listed.append({"name": f"{label}-{location}", "size": len(data), "sha256": digest, **facts})
    package_release(
        images,
        read_images(listed),
        directory=made.public / label,
        label=label,
        manifest={"project": made.project, "version": version, "commit": "c" * 40},
        gnupghome=made.home,
    )
    shutil.rmtree(images)
    for path in (made.public / label).glob(".*"):
        path.unlink()
    for path in (made.public / label).glob(f"{label}-*.gz"):
        (made.public / path.name).symlink_to(f"{label}/{path.name}")
    state(made, version)
    make_current(made, version, **current)
    if pages:
        index(made)


def read_sums(made: Made, version: str) -> dict[str, str]:
    """The digests by name."""
    lines = (made.public / made.label(version) / "SHA256SUMS").read_text().splitlines()
    return {line[66:]: line[:64] for line in lines}


def state(made: Made, version: str, sums: Mapping[str, str] | None = None) -> None:
    """A statement for each file."""
    own = hashlib.sha256((made.public / made.label(version) / "SHA256SUMS").read_bytes()).hexdigest()
    payloads = [
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": name, "digest": {"sha256": digest}}],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {"buildDefinition": {"buildType": "https://example.org/release"}},
        }
        for name, digest in ({**read_sums(made, version), "SHA256SUMS": own} if sums is None else sums).items()
    ]
    lines = sign_envelopes(
        [dump_line(payload) for payload in payloads], STATEMENT, gnupghome=made.home, fingerprint=made.fingerprint
    )
    (made.public / f"{made.label(version)}.intoto.jsonl").write_bytes(b"".join(lines))


def make_current(
    made: Made,
    version: str,
    *,
    serial: int = 1,
    date: int | None = None,
    days: int = 30,
    withdrawn: Sequence[str] = (),
    links: bool = True,
    keys: bool = True,
    **changed: Any,
) -> None:
    """Links and ``latest.json`` for a release, and the list of keys."""
    label = made.label(version)
    moment = int(time.time()) if date is None else date
    sums = (made.public / label / "SHA256SUMS").read_bytes()
    statements = made.public / f"{label}.intoto.jsonl"
    payload = {
        "format": 1,
        "project": made.project,
        "product": None,
        "serial": serial,
        "date": format_moment(moment),
        "believe_until": format_moment(moment + days * DAY),
        "version": version,
        "label": label,
        "url": f"{label}/",
        "sums": {"url": f"{label}/SHA256SUMS", "sha256": hashlib.sha256(sums).hexdigest()},
        "statements": {"url": statements.name, "sha256": hashlib.sha256(statements.read_bytes()).hexdigest()},
        "keys": {"url": "keys.json"},
        "attestations": None,
        "withdrawn": [*withdrawn],
        **changed,
    }
    if links:
        files = sorted(path.name for path in (made.public / label).iterdir())
        update_links(Release(made.public, made.project, label, files), allow_downgrade=True)
    (made.public / "latest.json").write_bytes(made.sign(LATEST, payload))
    if not keys:
        return
    line = make_key_list(
        made.top,
        project=made.project,
        gnupghome=made.home,
        signing_key=made.fingerprint,
        date=moment,
        believe_until=moment + days * DAY,
    )
    (made.public / "keys.json").write_bytes(line)


def index(made: Made) -> None:
    """Pages, list and feed."""
    site = Site(made.public, made.project)
    update_pages(site, render_pages([TEMPLATES], describe_site(site)))


def withdraw(made: Made, version: str, reason: str = "It does not start.") -> None:
    """A tombstone with its signature."""
    label = made.label(version)
    path = made.public / f"{label}.withdrawn.json"
    path.write_text(Tombstone(made.project, version, label, "2026-11-30T00:00:00Z", "the team", reason).format())
    made.sign_file(path)


def read_payload(path: Path) -> dict[str, Any]:
    """What an envelope holds."""
    found: dict[str, Any] = json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))
    return found


def append(path: Path, data: bytes = b"!") -> None:
    """Change a file that may be a link's target, and nothing that says so."""
    before = path.stat()
    with open(path, "ab") as stream:
        stream.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
