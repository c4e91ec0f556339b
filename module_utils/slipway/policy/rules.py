# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done with pages that name the release before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..release.names import find_ref_fault
from .notes import find_place_faults
from .values import describe_kind, find_key_faults, read_texts, show

PREVIOUS = ("previous", "previous_label")
PLACES = (*PREVIOUS, "label", "project", "version")
PATTERNS = ("paths", "except", "review")


@dataclass(frozen=True)
class Rules:
    """``pages`` are mappings: repository, branch, product, paths, replace (from and to), except, review."""

    pages: tuple[dict[str, Any], ...] = ()


def read_rules(value: object, where: str) -> tuple[Rules, list[str]]:
    """The rules, as the module that moves pages takes them."""
    if value is None:
        return Rules(), []
    if not isinstance(value, dict):
        return Rules(), [f"{where}: it is {describe_kind(value)}, not a mapping, such as {{pages: []}}"]
    faults = find_key_faults(value, ("pages",), where)
    pages = value.get("pages") or []
    if not isinstance(pages, list):
        return Rules(), [*faults, f"{where}.pages: it is {describe_kind(pages)}, not a list of rules"]
    rules: list[dict[str, Any]] = []
    for number, entry in enumerate(pages):
        rule, wrong = _read_rule(entry, f"{where}.pages[{number}]")
        faults += wrong
        rules.append(rule)
    return Rules(tuple(rules)), faults


def _read_rule(value: object, where: str) -> tuple[dict[str, Any], list[str]]:
    if not isinstance(value, dict):
        return {}, [f"{where}: it is {describe_kind(value)}, not a mapping with repository, paths and replace"]
    faults = find_key_faults(value, ("repository", "branch", "product", "replace", *PATTERNS), where)
    rule: dict[str, Any] = {"branch": "main", "product": ""}
    for key in ("repository", "branch", "product"):
        text = value.get(key, rule.get(key))
        if (
            not isinstance(text, str)
            or not (text or key == "product")
            or not text.isprintable()
            or text.startswith("-")
        ):
            faults.append(f"{where}.{key}: it is {'missing' if text is None else show(text)}, not the name of a {key}")
        elif key == "branch" and (fault := find_ref_fault(text)) is not None:
            faults.append(f"{where}.branch: {text!r} is no name of a branch: {fault}")
        rule[key] = text
    for key in PATTERNS:
        given = value.get(key, ["**"] if key == "review" else [])
        patterns, wrong = read_texts(given, f"{where}.{key}", "patterns, such as [guides/**]")
        faults += wrong
        for each in patterns:
            faults += find_place_faults(each, f"{where}.{key}", PLACES)
            if each.startswith("/") or ".." in each.split("/"):
                faults.append(f"{where}.{key}: {each!r} is no path inside of a repository")
        rule[key] = patterns
    rule["replace"], wrong = _read_replace(value.get("replace"), f"{where}.replace")
    faults += wrong
    if rule["replace"] and not rule["paths"]:
        faults.append(f"{where}.paths: no page is named in which that is replaced; give patterns, such as [guides/**]")
    return rule, faults


def _read_replace(value: object, where: str) -> tuple[list[dict[str, str]], list[str]]:
    if value is None:
        return [], []
    if not isinstance(value, list):
        return [], [f"{where}: it is {describe_kind(value)}, not a list of {{from: ..., to: ...}}"]
    pairs: list[dict[str, str]] = []
    faults: list[str] = []
    for number, entry in enumerate(value):
        here = f"{where}[{number}]"
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("from", "to")):
            faults.append(f"{here}: it is not {{from: a text, to: another}}")
            continue
        faults += find_key_faults(entry, ("from", "to"), here)
        for key in ("from", "to"):
            faults += find_place_faults(entry[key], f"{here}.{key}", PLACES)
        if not any(f"{{{name}}}" in entry["from"] for name in PREVIOUS):
            faults.append(f"{here}.from: {entry['from']!r} does not name the release before; use {{previous}}")
        pairs.append({"from": entry["from"], "to": entry["to"]})
    return pairs, faults
