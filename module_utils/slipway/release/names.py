# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a release is called: its version, and the label, branch, tag and file names made from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..errors import SlipwayError

#: Digits separated by points, then one optional word such as ``rc1``.
VERSION = re.compile(r"(?P<numbers>[0-9]+(?:\.[0-9]+)+)(?:[.-]?(?P<word>[A-Za-z]+)(?P<count>[0-9]*))?\Z")
PROJECT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z")
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*\Z")
MAX_VERSION = 64
MAX_PROJECT = 64
#: A file name leaves room for `.gz`, `.sha256` and the marks of a temporary file within 255 bytes.
MAX_FILE_NAME = 200
#: How far a file name after a label may go on as the number or the suffix of another version.
_LONGER_VERSION = re.compile(r"\.?[0-9]|[A-Za-z]")
#: What git check-ref-format refuses inside a ref's name.
PLACE = re.compile(r"\{(\w*)\}")
_NOT_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|\Z)")

HOW_TO_WRITE = "Give numbers separated by points, such as 26.47 or 26.47.1, with at most one suffix such as rc1."

VersionKey = tuple[tuple[int, ...], int, str, int, str]


@dataclass(frozen=True)
class Names:
    """Everything that derives from project and version."""

    project: str
    version: str
    label: str
    branch: str
    tag: str


def fill_places(text: str, names: Mapping[str, str]) -> str:
    """A text with what names say in the place of ``{version}`` and others; what no name says stays as it is."""
    return PLACE.sub(lambda found: names.get(found[1], found[0]), text)


def make_names(project: object, version: object) -> Names:
    """The names of a release; a project or a version that cannot be used is a failure that says why."""
    checked_project, checked_version = check_project(project), check_version(version)
    label = f"{checked_project}-{checked_version}"
    if fault := find_ref_fault(label):
        raise SlipwayError(
            "use the version", repr(checked_version), f"as the tag {label} {fault}", do_next=HOW_TO_WRITE
        )
    return Names(checked_project, checked_version, label, f"{checked_project}/release/{label}", label)


def extract_version(label: str, project: str) -> str | None:
    """The version in the label of one of the project's releases; ``None`` if it is not such a label."""
    version = label.removeprefix(f"{project}-")
    return version if version != label and VERSION.match(version) else None


def make_file_name(label: str, location: str) -> str:
    """The name under which a deployment with this ``location`` is published."""
    return f"{label}-{location}"


def check_version(version: object) -> str:
    """``version`` if it can name a release."""
    if version is None or version == "":
        raise SlipwayError(
            "plan", "the release", "no version was given", do_next="Run ansible-playbook release.yml -e version=X.Y."
        )
    if not isinstance(version, str):
        raise SlipwayError(
            "use the version",
            repr(version),
            f"it is {_describe_kind(version)} and not text, so what was written may be lost (26.40 arrives as 26.4)",
            do_next="""Quote it: -e '{"version": "X.Y"}', or write -e version=X.Y.""",
        )
    if fault := _find_version_fault(version):
        raise SlipwayError("use the version", repr(version), fault, do_next=HOW_TO_WRITE)
    return version


def check_project(project: object) -> str:
    """``project`` if it can begin branch, tag and file names."""
    fault = None
    if not isinstance(project, str) or not project:
        fault = "it is empty" if project in (None, "") else f"it is {_describe_kind(project)} and not text"
    elif len(project) > MAX_PROJECT:
        fault = f"it is longer than {MAX_PROJECT} characters"
    elif not PROJECT.match(project):
        fault = (
            "it may hold letters, digits, points, hyphens and underscores, and begins and ends with a letter or digit"
        )
    elif ref := find_ref_fault(project):
        fault = f"as part of a branch's name {ref}"
    if fault is not None:
        raise SlipwayError(
            "use the project", repr(project), fault, do_next="Give a name such as acme (release_project)."
        )
    return str(project)


def version_key(version: str) -> VersionKey:
    """Orders versions: by their numbers, then a suffix such as ``rc1`` before the version without one."""
    parts = VERSION.match(version)
    if parts is None:
        raise ValueError(f"not a version: {version!r}")
    numbers = tuple(int(number) for number in parts["numbers"].split("."))
    word = (parts["word"] or "").lower()
    return numbers, 0 if word else 1, word, int(parts["count"] or 0), version


def is_final(version: str) -> bool:
    """Whether ``version`` has no suffix."""
    return version_key(version)[1] == 1


def find_tagged_versions(project: str, tags: Iterable[str]) -> dict[str, str]:
    """The versions among ``tags`` that are this project's releases: version to tag, oldest first."""
    prefix = f"{project}-"
    found = {tag[len(prefix) :]: tag for tag in tags if tag.startswith(prefix)}
    return {version: found[version] for version in sorted(filter(VERSION.match, found), key=version_key)}


def find_previous_version(version: str, versions: Iterable[str]) -> str | None:
    """The newest of ``versions`` before ``version``; a version without suffix follows one without suffix."""
    key = version_key(version)
    earlier = [other for other in versions if version_key(other) < key and (is_final(other) or not is_final(version))]
    return max(earlier, key=version_key, default=None)


def begins_with_label(location: str, label: str) -> bool:
    """Whether ``location`` begins with ``label``, and not with that of a longer version (15.25 for 15.2)."""
    rest = location[len(label) :]
    return location.startswith(label) and not _LONGER_VERSION.match(rest)


def find_ref_fault(name: str) -> str | None:
    """Why git would refuse ``name`` as a ref or as a part of one; ``None`` when it would not."""
    if not name:
        return "it is empty"
    if name.startswith("-"):
        return "it begins with '-', which git takes for an option"
    if name.startswith((".", "/")):
        return f"it begins with {name[0]!r}, which git refuses"
    if name.endswith((".", "/")):
        return f"it ends with {name[-1]!r}, which git refuses"
    if name == "@":
        return "it is '@', which git takes for HEAD"
    if found := _NOT_IN_REF.search(name):
        return f"it holds {found.group()!r}, which git refuses"
    return None


def _find_version_fault(version: str) -> str | None:
    if len(version) > MAX_VERSION:
        return f"it is longer than {MAX_VERSION} characters"
    for character, meaning in (
        ("/", "a slash"),
        (" ", "a space"),
        ("\\", "a backslash"),
        ("..", "two points in a row"),
    ):
        if character in version:
            return f"it holds {meaning}"
    if not version.isprintable():
        return "it holds a control character"
    if version[0] in "-.":
        return f"it begins with {version[0]!r}"
    return None if VERSION.match(version) else "it is not of the form X.Y"


def _describe_kind(value: object) -> str:
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, (int, float)):
        return "a number"
    return (
        "a list" if isinstance(value, (list, tuple)) else "a mapping" if isinstance(value, dict) else "something else"
    )
