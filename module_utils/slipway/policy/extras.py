# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files that a product has besides those of its deployments: what a policy says of them, and which those are."""

from __future__ import annotations

import posixpath
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ..release.names import FILE_NAME, MAX_FILE_NAME, begins_with_label, make_file_name
from .compression import Compression, read_compression
from .values import describe_kind, find_key_faults, name_place, read_count, read_line, read_texts, show, suggest

#: What may stand in braces in a name.
NAME_FIELDS = ("system", "architecture", "product")
#: What may stand in braces in the words of a command. ``output`` is the file that it writes, if not to standard output.
WORD_FIELDS = (*NAME_FIELDS, "label", "version", "definitions", "images", "output")
COMMON_KEYS = ("type", "name", "systems", "compression")
FORMATS = ("text", "csv")
UNKNOWN = ("list", "fail")
#: Where a kernel is in a system's tree, the likeliest first.
KERNELS = (
    *("boot/zImage", "boot/vmlinuz", "boot/bzImage", "boot/Image", "boot/uImage"),
    *("boot/zImage-*", "boot/vmlinuz-*", "boot/bzImage-*", "boot/Image-*", "boot/uImage-*", "boot/vmlinux*"),
    *("usr/lib/modules/*/vmlinuz", "systems/*/kernel"),  # the last on a disk that Morph made
)
#: What most of them are: as they are made.
PLAIN = Compression("none")
#: The path of a kernel; ``*``, ``?`` and brackets stand for others.
PATH = re.compile(r"[A-Za-z0-9._+~@*?\[\]-]+(?:/[A-Za-z0-9._+~@*?\[\]-]+)*\Z")
#: The types whose files tell of one system each.
OF_SYSTEMS = ("baseline-manifest", "licence-manifest", "kernel")
Plain = dict[str, Any]
_Reader = Callable[[Mapping[str, Any], str], tuple[Plain, list[str]]]


@dataclass(frozen=True)
class Extra:
    """One kind of file. ``systems`` are patterns; without any, it is for all systems of the product."""

    type: str
    name: str
    systems: tuple[str, ...] = ()
    compression: Compression = PLAIN
    settings: Plain = field(default_factory=dict)

    @property
    def fields(self) -> set[str]:
        """What stands in braces in the name."""
        return {found for _text, found, _form, _how in string.Formatter().parse(self.name) if found is not None}


def read_extras(value: object, where: str) -> tuple[tuple[Extra, ...], list[str]]:
    """What is asked for, and the faults; ``None`` is what a policy has that says nothing."""
    if value is None:
        return (), []
    if not isinstance(value, list):
        return (), [f"{where}: it is {describe_kind(value)}, not a list of files"]
    extras, faults = [], []
    for number, entry in enumerate(value):
        extra, wrong = _read_extra(entry, f"{where}[{number}]")
        extras += [] if extra is None else [extra]
        faults += wrong
    return tuple(extras), faults


def _read_extra(value: object, where: str) -> tuple[Extra | None, list[str]]:
    if not isinstance(value, dict):
        return None, [
            f'{where}: it is {describe_kind(value)}, not a mapping such as {{type: kernel, name: "{{system}}-zImage"}}'
        ]
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in SETTINGS:
        hint = suggest(str(kind), SETTINGS)
        return None, [f"{where}.type: {show(kind)} is no type of extra file{hint}; known are {', '.join(SETTINGS)}"]
    reader, keys = SETTINGS[kind]
    faults = find_key_faults(value, (*COMMON_KEYS, *keys), where)
    name = value.get("name")
    faults += _find_template_faults(name, NAME_FIELDS, f"{where}.name")
    systems, wrong = read_texts(value.get("systems"), f"{where}.systems", "patterns of systems, such as [genivi-*]")
    faults += wrong
    compression, wrong = read_compression(value.get("compression", "none"), f"{where}.compression")
    faults += wrong
    settings, wrong = reader(value, where)
    extra = Extra(kind, str(name), tuple(systems), compression or PLAIN, settings)
    return (None if faults else extra), [*faults, *wrong]


def _find_template_faults(value: object, fields: Sequence[str], where: str) -> list[str]:
    """What is wrong with text in which ``{field}`` stands for a value."""
    if not isinstance(value, str) or not value:
        return [f"{where}: it is {describe_kind(value)}, not text"]
    try:
        parts = list(string.Formatter().parse(value))
    except ValueError as error:
        return [f"{where}: {value!r} has a brace too many or too few ({error}); a brace itself is written twice"]
    wrong = [
        found + (f":{form}" if form else "")
        for _text, found, form, how in parts
        if found is not None and (found not in fields or form or how)
    ]
    known = ", ".join(f"{{{each}}}" for each in fields)
    return [f"{where}: {{{each}}} stands for nothing{suggest(each, fields)}; there are {known}" for each in wrong]


def _read_choice(value: object, where: str, choices: Sequence[str]) -> tuple[str, list[str]]:
    """One of some words; the first if nothing is said."""
    chosen = choices[0] if value is None else value
    if not isinstance(chosen, str) or chosen not in choices:
        return choices[0], [f"{where}: {show(chosen)} is neither {' nor '.join(choices)}"]
    return chosen, []


def _read_baseline(value: Mapping[str, Any], where: str) -> tuple[Plain, list[str]]:
    form, faults = _read_choice(value.get("format"), f"{where}.format", FORMATS)
    skip, wrong = _read_skipped(value.get("skip"), f"{where}.skip")
    stated, also = read_stated(value.get("stated"), f"{where}.stated")
    lorries = value.get("lorries")
    if lorries is not None and (not isinstance(lorries, str) or not lorries or lorries.startswith("-")):
        also.append(
            f"{where}.lorries: it is {describe_kind(lorries)}, not the address of a repository with lorry files"
        )
    if form == "text":
        also += [
            f"{where}.{key}: it is for the format csv; leave it out, or set format: csv"
            for key in ("skip", "stated", "lorries")
            if value.get(key)
        ]
    return {"format": form, "skip": skip, "stated": stated, "lorries": lorries or ""}, [*faults, *wrong, *also]


def _read_licences(value: Mapping[str, Any], where: str) -> tuple[Plain, list[str]]:
    unknown, faults = _read_choice(value.get("unknown"), f"{where}.unknown", UNKNOWN)
    skip, wrong = _read_skipped(value.get("skip"), f"{where}.skip")
    stated, also = read_stated(value.get("stated"), f"{where}.stated")
    return {"unknown": unknown, "skip": skip, "stated": stated}, [*faults, *wrong, *also]


def _read_skipped(value: object, where: str) -> tuple[list[Plain], list[str]]:
    """Components that are left out, some for each reason."""
    if value is None:
        return [], []
    if not isinstance(value, list):
        return [], [
            f"{where}: it is {describe_kind(value)}, not a list such as [{{names: [gcc], reason: only built with}}]"
        ]
    skipped, faults = [], []
    for number, entry in enumerate(value):
        place = f"{where}[{number}]"
        if not isinstance(entry, dict):
            faults.append(f"{place}: it is {describe_kind(entry)}, not a mapping of names and reason")
            continue
        faults += find_key_faults(entry, ("names", "reason"), place)
        names, wrong = read_texts(entry.get("names"), f"{place}.names", "names of components")
        faults += wrong or ([] if names else [f"{place}.names: it is empty; name the components"])
        reason = entry.get("reason")
        faults += [
            f"{fault}; say why they are left out" for fault in read_line(reason, f"{place}.reason", most=1000)[1]
        ]
        skipped.append({"names": names, "reason": str(reason)})
    return skipped, faults


def read_stated(value: object, where: str) -> tuple[dict[str, list[str]], list[str]]:
    """Licences that somebody knows, by the names of components."""
    if value is None:
        return {}, []
    if not isinstance(value, dict):
        return {}, [f"{where}: it is {describe_kind(value)}, not licences by the names of components"]
    stated, faults = {}, []
    for name, said in value.items():
        licences, wrong = read_texts(said, name_place(where, name), "licences, such as [GPL-2.0-only]")
        stated[str(name)] = licences
        faults += wrong or ([] if licences else [f"{name_place(where, name)}: it is empty; name its licences"])
    return stated, faults


def _read_kernel(value: Mapping[str, Any], where: str) -> tuple[Plain, list[str]]:
    paths, faults = read_texts(value.get("paths"), f"{where}.paths", "paths in the system, such as [boot/zImage]")
    plain = [path.lstrip("/") for path in paths]
    faults += [
        f"{where}.paths: {path!r} is no plain path; write it as boot/zImage or boot/vmlinuz-*"
        for path in plain
        if not PATH.match(path) or ".." in path.split("/")
    ]
    return {"paths": plain or list(KERNELS)}, faults


def _read_file(value: Mapping[str, Any], where: str) -> tuple[Plain, list[str]]:
    path = value.get("path")
    if not isinstance(path, str) or not path:
        return {}, [f"{where}.path: it is {describe_kind(path)}, not the path of a file in the definitions"]
    faults = _find_template_faults(path, NAME_FIELDS, f"{where}.path")
    if path.startswith(("/", "-")) or ".." in path.split("/"):
        faults.append(f"{where}.path: {path!r} leads out of the definitions")
    return {"path": posixpath.normpath(path)}, faults


def _read_command(value: Mapping[str, Any], where: str) -> tuple[Plain, list[str]]:
    words, faults = read_texts(
        value.get("command"), f"{where}.command", 'words, such as [make-list, --for, "{system}"]', lines=True
    )
    if not words and not faults:
        faults.append(f"{where}.command: it is empty; give the program and its words")
    if len(words) == 1 and isinstance(value.get("command"), str) and " " in words[0]:
        faults.append(
            f"{where}.command: {show(words[0])} is one word with spaces; give a list of words, no shell reads it"
        )
    faults += [fault for word in words for fault in _find_template_faults(word, WORD_FIELDS, f"{where}.command")]
    timeout, wrong = read_count(value.get("timeout", 600), f"{where}.timeout")
    return {"command": words, "timeout": timeout}, [*faults, *wrong]


#: How the settings of each type are read, and their keys.
SETTINGS: dict[str, tuple[_Reader, tuple[str, ...]]] = {
    "baseline-manifest": (_read_baseline, ("format", "skip", "stated", "lorries")),
    "licence-manifest": (_read_licences, ("skip", "stated", "unknown")),
    "kernel": (_read_kernel, ("paths",)),
    "file": (_read_file, ("path",)),
    "command": (_read_command, ("command", "timeout")),
}


def list_extras(
    extras: Mapping[str, Sequence[Extra]],
    deployments: Sequence[Mapping[str, Any]],
    *,
    label: str,
    more: Sequence[Plain] = (),
) -> tuple[list[Plain], list[str]]:
    """The extra files of a release, as its plan lists them, and the faults; ``extras`` are those of each product.

    ``more`` are described already.

    Manifests and kernels are of one system each, and so is what has ``{system}`` in its name; others are not.
    """
    found: list[Plain] = []
    faults: list[str] = []
    for product, wanted in extras.items():
        of_product = [each for each in deployments if each["product"] == product]
        systems = {each["system_name"]: each for each in of_product}
        for number, extra in enumerate(wanted):
            where = f"release_policy.products.{product}.extras[{number}]"
            chosen = [name for name in systems if not extra.systems or _matches(name, extra.systems)]
            if systems and not chosen:
                patterns = " or ".join(extra.systems)
                faults.append(
                    f"{where}.systems: no system of the product is called {patterns}; there are {', '.join(systems)}"
                )
            single = extra.type not in OF_SYSTEMS and not extra.fields & {"system", "architecture"}
            entries = [None] if single and chosen else [systems[name] for name in chosen]
            described = [_describe(extra, product, system, label=label) for system in entries]
            wrong = _find_location_faults(extra, [each["name"] for each in described], label, where)
            found += [] if wrong else described
            faults += wrong
    found += more
    return found, [*faults, *_find_clashes(found, deployments)]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _describe(extra: Extra, product: str, system: Mapping[str, Any] | None, *, label: str) -> Plain:
    known = {"system": "", "architecture": ""}
    if system is not None:
        known = {"system": system["system_name"], "architecture": system["architecture"]}
    location = extra.name.format(product=product, **known)
    settings = extra.settings
    if "path" in settings:
        settings = {**settings, "path": settings["path"].format(product=product, **known)}
    level = {} if extra.compression.level is None else {"compression_level": extra.compression.level}
    return {
        "name": location,
        "product": product,
        "type": extra.type,
        "system": "" if system is None else system["system"],
        "system_name": known["system"],
        "architecture": known["architecture"],
        "file": make_file_name(label, location),
        "settings": settings,
        "compression": extra.compression.method,
        **level,
    }


def _find_location_faults(extra: Extra, locations: Sequence[str], label: str, where: str) -> list[str]:
    if len(locations) > 1 and len({*locations}) < len(locations):
        return [
            f'{where}.name: {extra.name!r} is the same for each of {len(locations)} systems; put "{{system}}" into it'
        ]
    wrong = []
    for location in locations:
        if begins_with_label(location, label):
            wrong.append(f"{where}.name: {location!r} begins with the release's label, which is put before it anyway")
        elif not FILE_NAME.match(location) or len(make_file_name(label, location)) > MAX_FILE_NAME:
            wrong.append(
                f"{where}.name: {location!r} is not a safe file name; use letters, digits and . _ + ~ - (at most "
                f"{MAX_FILE_NAME} characters with the label)"
            )
    return wrong


def _find_clashes(extras: Sequence[Plain], deployments: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names that two files would have, as they are made or as they are published."""
    taken: dict[str, str] = {}
    for deployment in deployments:
        for suffix in ("", ".gz", ".xz", ".zst", ".sha256"):
            taken[deployment["file"] + suffix] = f"the deployment {deployment['name']}"
    faults = []
    for number, extra in enumerate(extras):
        mine = f"the extra file {extra['name']} of {extra['product']}"
        suffixes = ("", ".sha256") if extra["compression"] == "none" else ("", ".gz", ".xz", ".zst", ".sha256")
        theirs = next((taken[extra["file"] + suffix] for suffix in suffixes if extra["file"] + suffix in taken), None)
        if theirs is not None:
            faults.append(f"{mine} would be published under a name of {theirs}; give each its own")
        taken.update({extra["file"] + suffix: f"{mine} (number {number + 1})" for suffix in suffixes})
    return faults
