# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The platforms of a site: releases of Debian or Ubuntu, which distributions are for which, and what is left out where.

A place is a platform with an architecture, such as ``bookworm-i386``.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ..errors import SlipwayError, refuse
from .file import NAME

#: What is said of a platform, and each value's form.
TEXTS: Mapping[str, re.Pattern[str]] = {
    "name": re.compile(r"[a-z][a-z0-9.+]*\Z"),
    "version": re.compile(r"[0-9][0-9a-z.]*\Z"),
    "distribution": re.compile(r"[A-Za-z][A-Za-z0-9 .+-]*\Z"),
    "mirror": re.compile(r"(machine|[a-z][a-z+]*:[!-~]+)\Z"),
}
LISTS: Mapping[str, re.Pattern[str]] = {
    "components": re.compile(r"[a-z][a-z0-9./-]*\Z"),
    "architectures": re.compile(r"[a-z0-9][a-z0-9-]*\Z"),
    "base": re.compile(r"deb\s+[^\x00-\x1f]+\Z"),
}
EXCLUDE_KEYS = ("stack", "places", "reason", "until")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")

Platform = dict[str, Any]


def find_platform_faults(platforms: object) -> list[str]:
    """A sentence for each thing that is wrong with a site's list of platforms."""
    if not isinstance(platforms, Sequence) or isinstance(platforms, str):
        return ["the platforms are no list"]
    faults = []
    names: set[str] = set()
    for number, platform in enumerate(platforms, 1):
        if not isinstance(platform, Mapping):
            faults.append(f"number {number} is no mapping with {', '.join([*TEXTS, *LISTS])}")
            continue
        name = platform.get("name")
        where = f"the platform {name}" if isinstance(name, str) and name else f"number {number}"
        if isinstance(name, str) and name in names:
            faults.append(f"{where} is there twice")
        names.add(str(name))
        faults += [f"{where}: {fault}" for fault in _find_value_faults(platform)]
    return faults


def _find_value_faults(platform: Mapping[str, Any]) -> list[str]:
    faults = [f"{key} is no value of a platform" for key in platform if key not in {*TEXTS, *LISTS}]
    for key, form in TEXTS.items():
        value = platform.get(key)
        if value is None:
            faults.append(f"it has no {key}")
        elif not isinstance(value, str):
            faults.append(f"its {key} is {value!r}, not text: write it in quotes, since 12.10 would be 12.1")
        elif not form.match(value):
            faults.append(f"its {key} cannot be {value!r}")
    for key, form in LISTS.items():
        values = platform.get(key)
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            faults.append(f"it has no list of {key}")
            continue
        faults += [f"its {key} cannot have {each!r}" for each in values if not _fits(each, form)]
        faults += [f"its {key} have {each!r} twice" for each in _find_doubles(values)]
    return faults


def _fits(value: object, form: re.Pattern[str]) -> bool:
    return isinstance(value, str) and form.match(value) is not None


def _find_doubles(values: Sequence[Any]) -> list[Any]:
    return [each for number, each in enumerate(values) if each in values[:number]]


def list_places(platforms: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The places of each platform, by its name."""
    return {
        platform["name"]: [f"{platform['name']}-{each}" for each in platform["architectures"]] for platform in platforms
    }


def choose_platforms(
    platforms: Sequence[Mapping[str, Any]], targets: Mapping[str, Sequence[str]], distribution: str | None = None
) -> list[Platform]:
    """The platforms that a distribution is for, in its order; without a distribution those of any, in the site's.

    A target is a platform, or a place, which leaves the platform's other architectures out.
    """
    _refuse_faults(find_platform_faults(platforms))
    known = list_places(platforms)
    _refuse_faults(_find_target_faults(targets, known))
    if distribution is not None and distribution not in targets:
        there = ", ".join(sorted(targets)) or "none"
        found = f"there are no targets of {distribution}; there are those of {there}"
        raise _make_error(found)
    wanted = [place for name in targets if distribution in (None, name) for place in targets[name]]
    chosen = {place for target in wanted for place in known.get(target, [target])}
    first = {target.partition("-")[0]: None for target in wanted}
    whole = {
        platform["name"]: {
            **platform,
            "architectures": [each for each in platform["architectures"] if f"{platform['name']}-{each}" in chosen],
        }
        for platform in platforms
    }
    order = [name for name in whole if name in first] if distribution is None else [*first]
    return [whole[name] for name in order]


def _find_target_faults(targets: object, known: Mapping[str, Sequence[str]]) -> list[str]:
    if not isinstance(targets, Mapping):
        return ["the targets are no mapping of distributions to platforms"]
    faults = []
    for distribution, wanted in targets.items():
        if not isinstance(wanted, Sequence) or isinstance(wanted, str) or not wanted:
            faults.append(f"the targets of {distribution} are no list of platforms")
            continue
        faults += [
            f"{target!r}, a target of {distribution}, is {_explain_place(target, known)}"
            for target in wanted
            if not _is_place(target, known)
        ]
        faults += [f"{target!r} is twice among the targets of {distribution}" for target in _find_doubles(wanted)]
    return faults


def _is_place(target: object, known: Mapping[str, Sequence[str]]) -> bool:
    return isinstance(target, str) and (target in known or any(target in places for places in known.values()))


def _explain_place(target: object, known: Mapping[str, Sequence[str]]) -> str:
    places = known.get(str(target).partition("-")[0])
    if places:
        return f"no place; there are {', '.join(places)}"
    return f"on no platform; there are {', '.join(known)}"


def find_excluded(
    excludes: Mapping[str, Sequence[Mapping[str, Any]]],
    distribution: str,
    *,
    today: object,
    platforms: Sequence[Mapping[str, Any]] | None = None,
    within: Sequence[Mapping[str, Any]] | None = None,
    stacks: Collection[str] | None = None,
) -> tuple[dict[str, list[str]], list[str]]:
    """The places where stacks of a distribution may be missing ``today``, and a warning for each exclude that ended.

    With ``platforms``, all of the site, a place may be a whole platform, and must be one of them. Of the places only
    those ``within`` these platforms are returned, if they are given. With ``stacks`` those excluded must be among them.
    An exclude counts on its last day too.
    """
    if platforms is not None:
        _refuse_faults(find_platform_faults(platforms))
    known = None if platforms is None else list_places(platforms)
    entries = _read_excludes(excludes, distribution)
    day = read_day(today)
    if day is None:
        raise _make_error(f"today cannot be {today!r}")
    _refuse_faults(
        [fault for number, entry in enumerate(entries, 1) for fault in _explain_exclude(entry, number, known, stacks)]
    )
    kept = None if within is None else {place for places in list_places(within).values() for place in places}
    found: dict[str, list[str]] = {}
    warnings = []
    for entry in entries:
        end = read_day(entry["until"])
        if end is None or end < day:
            what = f"{entry['stack']} was excluded of {distribution} until {end} ({entry['reason']})"
            warnings.append(f"{what}: build it, or say until when it still is")
            continue
        places = [place for each in entry["places"] for place in (known or {}).get(each, [each])]
        found.setdefault(entry["stack"], []).extend(place for place in places if kept is None or place in kept)
    return {stack: sorted({*places}) for stack, places in found.items() if places}, warnings


def find_excluded_platforms(platforms: Sequence[Mapping[str, Any]], places: Collection[str]) -> list[str]:
    """The platforms that are excluded as a whole: by name, or by each of their architectures."""
    return [name for name, own in list_places(platforms).items() if name in places or all(one in places for one in own)]


def _read_excludes(excludes: object, distribution: str) -> Sequence[Any]:
    if not isinstance(excludes, Mapping):
        raise _make_error("the excludes are no mapping of distributions to lists")
    entries = excludes.get(distribution) or []
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise _make_error(f"the excludes of {distribution} are no list")
    return entries


def _explain_exclude(
    entry: object, number: int, known: Mapping[str, Sequence[str]] | None, stacks: Collection[str] | None
) -> list[str]:
    """What is wrong with an exclude, each as a sentence."""
    if not isinstance(entry, Mapping):
        return [f"exclude {number} is no mapping with {', '.join(EXCLUDE_KEYS)}"]
    stack, places = entry.get("stack"), entry.get("places")
    where = f"the exclude of {stack}" if _fits(stack, NAME) else f"exclude {number}"
    checks: dict[str, Callable[[], bool]] = {
        "it names no stack": lambda: _fits(stack, NAME),
        f"there is no stack {stack}": lambda: stacks is None or not isinstance(stack, str) or stack in stacks,
        "it has no reason": lambda: isinstance(entry.get("reason"), str) and bool(entry["reason"].strip()),
        "it has no day 'until', such as 2030-12-31": lambda: read_day(entry.get("until")) is not None,
        "it has no list of places": lambda: isinstance(places, list) and bool(places),
    }
    faults = [fault for fault, check in checks.items() if not check()]
    faults += [f"{key} is no value of an exclude" for key in entry if key not in EXCLUDE_KEYS]
    for place in places if isinstance(places, list) else []:
        if known is not None and not _is_place(place, known):
            faults.append(f"{place!r} is {_explain_place(place, known)}")
        elif known is None and (not isinstance(place, str) or "-" not in place):
            faults.append(f"{place!r} is no place such as bookworm-i386")
    return [f"{where}: {fault}" for fault in faults]


def read_day(value: object) -> datetime.date | None:
    """A day, as YAML's readers give it or as text."""
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    if not isinstance(value, str) or not DAY.match(value):
        return None
    try:
        return datetime.date.fromisoformat(value)
    except ValueError:
        return None


def _refuse_faults(faults: Sequence[str]) -> None:
    refuse("use", "the site's platforms", faults, several="faults", do_next=_CORRECT)


def _make_error(found: str) -> SlipwayError:
    return SlipwayError("use", "the site's platforms", found, do_next=_CORRECT)


_CORRECT = "Correct the variables debs_platforms, debs_targets or debs_excludes."
