# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must be right before a release begins: programs, room, the signing key, repositories, free names.

Each check only looks. It returns sentences, so that all faults are reported at once.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, count_of
from ..git.remote import list_remote_refs
from ..http import FAILURES, explain_failure, fetch_url
from ..image.deploy import Deployment, list_programs
from ..openpgp.keys import find_signing_key
from ..openpgp.signing import try_signing
from ..release.compression import GZIP, METHODS
from ..release.tombstone import find_tombstone, parse_tombstone

GIB = 1 << 30
DAY = 86400
SCHEMES = ("http", "https")
#: No status is longer.
MOST_STATUS = 16 << 20
#: The advice for what is no Debian package.
BY_SETUP = (
    "install it with make setup, with an installed collection by pip beside Ansible, "
    "or put the directory that holds it on the PATH"
)
#: Where programs are that an ordinary user's PATH may leave out.
MORE_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass
class Report:
    """What was found: ``findings`` forbid to begin, ``warnings`` do not."""

    findings: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def fetch_status(
    url: str, *, of: str, ca_path: str | None = None, timeout: float = 60.0, schemes: Collection[str] = SCHEMES
) -> object:
    """The status that a host publishes as JSON at ``url``, fetched within bounds of size and time."""
    attempt = f"read the status of {of} at"
    if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise SlipwayError(
            attempt, url, f"it is not an address of {' or '.join(schemes)}", do_next="Give the address of its page."
        )
    try:
        answer = fetch_url(url, size=MOST_STATUS, timeout=timeout, trust=ssl.create_default_context(cafile=ca_path))
    except FAILURES as error:
        do_next = "Check that its web server can be reached from here."
        raise SlipwayError(attempt, url, explain_failure(error), do_next=do_next) from error
    try:
        return json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise SlipwayError(attempt, url, "it is not JSON", do_next=f"Check that this is the page of {of}.") from error


def find_missing_programs(programs: Iterable[Mapping[str, str]], *, path: str | None = None) -> list[str]:
    """A sentence for each program (``name``, and the Debian ``package`` it comes in) that is not there."""
    searched = os.pathsep.join([os.environ.get("PATH", os.defpath) if path is None else path, *MORE_PATH])
    findings = []
    for program in programs:
        if shutil.which(program["name"], path=searched) is None:
            package = program.get("package")
            cure = f"install the Debian package {package} (apt-get install {package})" if package else BY_SETUP
            findings.append(f"the program {program['name']} is missing: {cure}")
    return findings


def list_needed_programs(plan: Mapping[str, Any], *, makes: bool) -> list[dict[str, str]]:
    """What compresses the files of a release and, where it ``makes`` them of its systems, what they are made by."""
    planned = plan.get("deployments") or []
    methods = {str(each.get("compression") or GZIP) for each in planned}
    found = {METHODS[each].program: METHODS[each].package for each in sorted(methods & METHODS.keys())}
    if makes:
        found |= {each.name: each.package for each in list_programs(map(Deployment.from_plan, planned))}
    return [{"name": name, "package": package} for name, package in found.items()]


def check_room(directory: str | os.PathLike[str], *, gib: float) -> list[str]:
    """Whether the place that holds, or will hold, ``directory`` can take a release of at most ``gib`` GiB."""
    place = Path(os.path.abspath(directory))
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return [f"{place} is not a directory, so {directory} cannot be made: move it away, or set another directory"]
    if not os.access(place, os.W_OK | os.X_OK):
        return [f"{place} is not writable for this user: change its owner, or set release_state_directory"]
    room = os.statvfs(place)
    free = room.f_bavail * room.f_frsize / GIB
    if free >= gib:
        return []
    return [
        f"only {free:.1f} GiB are free in {place}, and a release needs {gib:.12g} GiB "
        "(release_preflight_min_free_gib): "
        "make room, or set release_state_directory to a larger disk"
    ]


def find_unwritable(directories: Iterable[str]) -> list[str]:
    """A sentence for each directory that is to be published to and that cannot be written to, or made, by this user."""
    findings = []
    for directory in directories:
        place = Path(directory)
        while not os.path.lexists(place) and place != place.parent:
            place = place.parent
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            what = "is not writable for this user" if place.is_dir() else "is not a directory"
            findings.append(
                f"{place} {what}, so nothing can be published to {directory}: change its owner, or the setting"
            )
    return findings


def find_published(paths: Iterable[str]) -> list[str]:
    """A sentence for each path that is public, though the release's branch moved since it was made."""
    return [
        f"{path} is public already, and what is public never changes: put the release branch back to where it was, and "
        "release the fix under another version"
        for path in paths
        if os.path.lexists(path)
    ]


def find_withdrawal(label: str, record: Mapping[str, Any] | None, *, public: str | None) -> list[str]:
    """Why a release may not be made again: it was withdrawn, by the coordinator's record or by a server's tombstone."""
    tombstone = find_tombstone(Path(public), label) if public else None
    if tombstone is None and record and record["withdrawn"]:
        tombstone = parse_tombstone(record["tombstone"], label)
    if tombstone is None:
        return []
    return [
        f"{tombstone.explain()}. Release the change under another version; or, if it was withdrawn in error, bring the "
        "same files back with -e release_reinstate=true"
    ]


def check_signing_key(gnupghome: str, fingerprint: str | None, *, warning_days: float, now: float) -> Report:
    """Whether the key signs, which is tried; that it soon cannot is a warning."""
    try:
        key = find_signing_key(gnupghome, fingerprint, now=now)
        try_signing(gnupghome, key.fingerprint)
    except SlipwayError as error:
        return Report([str(error)])
    if key.expires is None or key.expires - now > warning_days * DAY:
        return Report()
    day = time.strftime("%Y-%m-%d", time.gmtime(key.expires))
    left = int((key.expires - now) // DAY)
    (part,) = [fingerprint for fingerprint, end in key.ends.items() if end == key.expires][:1]
    what = f"key {part}" if part == key.fingerprint else f"subkey {part} of the key {key.fingerprint}"
    extend = key.explain_extension(gnupghome, until=now + warning_days * DAY)
    return Report(warnings=[f"the signing {what} expires on {day}, {count_of(left, 'day')} from now: {extend}"])


def find_unreachable(repositories: Iterable[Mapping[str, str]], *, timeout: float) -> list[str]:
    """A sentence for each repository (``name``, ``url``) that git cannot read."""
    findings = []
    for repository in repositories:
        url = repository["url"]
        if url.startswith("/") and not os.path.exists(url):
            cure = "provision the coordinator, which makes it (playbooks/provision.yml), or set another one"
            findings.append(f"the {repository['name']} {url} is not there: {cure}")
            continue
        try:
            list_remote_refs(url, "HEAD", attempt=f"reach the {repository['name']} at", timeout=timeout)
        except SlipwayError as error:
            findings.append(str(error))
    return findings


def check_names(plan: Mapping[str, Any], records: Collection[str], *, public_directory: str | None = None) -> Report:
    """Whether branch, tag and public names are free, or are what an earlier run of this release made."""
    found = Report()
    if plan["definitions"] is not None:
        _check_refs(found, plan, records)
    label = plan["label"]
    if public_directory and "publication" not in records and (there := _find_public(Path(public_directory), label)):
        found.warnings.append(
            f"{there} is public already, but there is no record here of its publication: "
            "publishing accepts it only if every byte is the same"
        )
    return found


def _check_refs(found: Report, plan: Mapping[str, Any], records: Collection[str]) -> None:
    commit, remote = plan["definitions"]["commit"], plan["remote"]
    for what, name in (("branch", plan["branch"]), ("tag", plan["tag"])):
        there = remote[f"{what}_commit"]
        if there not in (None, commit):
            found.findings.append(f"the {what} {name} exists on {there}, not on {commit}: release another version")
    if remote["tag_commit"] == commit and "tag" not in records:
        found.warnings.append(
            f"the tag {plan['tag']} exists already on the right commit, but there is no record of it here: "
            "this version may have been released from another machine"
        )


def list_newer(plan: Mapping[str, Any]) -> list[str]:
    """A sentence about releases with higher versions, if there are any."""
    newer = (plan.get("remote") or {}).get("newer_tags") or []
    if not newer:
        return []
    return [f"{newer[-1]} is tagged already and newer than {plan['label']}, so links and pages stay with what is newer"]


def list_left_out(plan: Mapping[str, Any]) -> list[str]:
    """A sentence for each system that this release will not have."""
    return [
        f"{each['system']} ({each['architecture']}) is left out: {each['reason']}"
        + (f"; there will be no {', '.join(each['deployments'])}" if each["deployments"] else "")
        for each in plan["skipped"]
    ]


def _find_public(directory: Path, label: str) -> Path | None:
    whole = directory / label
    return whole if whole.exists() else next(iter(sorted(directory.glob(f"{label}-*"))), None)
