# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locking a package to one release: its control fields with the versions of that release's members."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .control import KEPT_FIELDS, LOCKED_FIELDS, SOURCE, Control, identify_package, make_printable
from .relations import Relation, check_relations, parse_relation, read_relations
from .version import Rule, version_key


@dataclass(frozen=True)
class Member:
    """A package of the release: what it was, and what it is called now.

    ``provides`` holds the versioned names that it stands for as well, with their versions before and after.
    """

    package: str
    architecture: str
    version: str
    stamped: str
    provides: tuple[tuple[str, str, str], ...] = ()


def describe_member(control: Control, rule: Rule) -> Member:
    """What this package is within a release made with ``rule``; ``ValueError`` with the fault."""
    package, version, architecture = identify_package(control)
    provides = []
    for relation in read_relations(control, "Provides"):
        if relation.version:
            if relation.operator not in {"=", None}:
                raise ValueError(f"its Provides has '{relation}', which is not an exact version")
            provides.append((relation.name, relation.version, rule.apply(relation.version)))
    check_relations(control)
    return Member(package, architecture, version, rule.apply(version), tuple(provides))


class ReleaseSet:
    """The packages that are locked to each other, found by name and architecture."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._real: dict[str, list[tuple[str, str, str]]] = {}
        self._provided: dict[str, list[tuple[str, str, str]]] = {}
        for member in members:
            self._real.setdefault(member.package, []).append((member.architecture, member.version, member.stamped))
            for name, version, stamped in member.provides:
                self._provided.setdefault(name, []).append((member.architecture, version, stamped))

    def find_real(self, relation: Relation, architecture: str) -> list[tuple[str, str]]:
        """Versions before and after of the packages that ``relation`` names, seen from ``architecture``."""
        return _select_visible(self._real.get(relation.name, []), relation.qualifier, architecture)

    def find_provided(self, relation: Relation, architecture: str) -> list[tuple[str, str]]:
        """The same for the names that packages provide with a version."""
        return _select_visible(self._provided.get(relation.name, []), relation.qualifier, architecture)


def _select_visible(
    found: list[tuple[str, str, str]], qualifier: str | None, architecture: str
) -> list[tuple[str, str]]:
    wanted = architecture if qualifier is None else qualifier
    near = [entry for entry in found if entry[0] in {wanted, "all"} or wanted in {"any", "all"}]
    return sorted({(version, stamped) for _architecture, version, stamped in near or found})


@dataclass
class StampedControl:
    """A control file after stamping; ``unsatisfied`` are relations that the release does not satisfy."""

    text: str
    unsatisfied: list[tuple[str, str]] = field(default_factory=list)


def stamp_control(
    control: Control, member: Member, *, release: ReleaseSet, rule: Rule, fields: Mapping[str, str]
) -> StampedControl:
    """Give ``control`` (changed in place) its new version, and lock it to the packages of ``release``.

    ``fields`` are marker fields, set as they are. A relation that cannot be kept as true or as false as
    it was raises ``ValueError`` with the fault.
    """
    unsatisfied: list[tuple[str, str]] = []
    for name in LOCKED_FIELDS:
        control.edit(name, _make_lock(name, member, release=release, rule=rule, unsatisfied=unsatisfied))
    for name in KEPT_FIELDS:
        control.edit(name, _make_keep(name, member, release=release, rule=rule))
    control.edit(
        "Provides", lambda raw: _change_relations(raw, "Provides", lambda relation: [_stamp_provided(relation, rule)])
    )
    _name_source(control, member)
    control.set("Version", member.stamped)
    for name, value in fields.items():
        control.set(name, value, before="Description")
    return StampedControl(str(control), unsatisfied)


def _name_source(control: Control, member: Member) -> None:
    """Add the source version to Source, since the version of the package changes."""
    source = SOURCE.fullmatch(control.get("Source") or member.package)
    if source is None:
        raise ValueError(f"its Source '{make_printable(control.get('Source') or '')}' is not a source")
    if source["version"] is None:
        control.set("Source", f"{source['name']} ({member.version})", after="Package")


def _stamp_provided(relation: Relation, rule: Rule) -> Relation:
    if relation.version is None:
        return relation
    return relation.with_bound(relation.operator, rule.apply(relation.version))


def _make_lock(
    where: str, member: Member, *, release: ReleaseSet, rule: Rule, unsatisfied: list[tuple[str, str]]
) -> Callable[[str], str]:
    def lock(relation: Relation) -> list[Relation]:
        real = release.find_real(relation, member.architecture)
        provided = release.find_provided(relation, member.architecture)
        for candidates in (real, provided):
            news = {new for old, new in candidates if relation.accepts(old)}
            if news:
                return [relation.with_bound("=", new) for new in sorted(news, key=version_key, reverse=True)]
        if not real and not provided:
            return [relation]
        unsatisfied.append((where, str(relation)))
        return [_keep_truth(relation, real + provided, rule=rule, where=where)]

    return lambda raw: _change_relations(raw, where, lock)


def _make_keep(where: str, member: Member, *, release: ReleaseSet, rule: Rule) -> Callable[[str], str]:
    def keep(relation: Relation) -> list[Relation]:
        known = release.find_real(relation, member.architecture) + release.find_provided(relation, member.architecture)
        return [_keep_truth(relation, known, rule=rule, where=where)]

    return lambda raw: _change_relations(raw, where, keep)


def _keep_truth(relation: Relation, known: list[tuple[str, str]], *, rule: Rule, where: str) -> Relation:
    """A relation that says of the new versions what ``relation`` says of the old ones."""
    if relation.version is None:
        return relation
    for candidate in _list_candidates(relation, known, rule):
        if all(candidate.accepts(new) == relation.accepts(old) for old, new in known):
            return candidate
    raise ValueError(f"its {where} has '{relation}', which no version can express for the stamped packages")


def _list_candidates(relation: Relation, known: list[tuple[str, str]], rule: Rule) -> Iterable[Relation]:
    if relation.version is None:
        raise AssertionError("relation.version is always set here")
    operator = relation.operator or "="
    yield relation
    yield relation.with_bound(operator, rule.apply(relation.version))
    strict, loose = ("<<", "<=") if operator.startswith("<") else (">>", ">=")
    for _old, new in known:
        for bound in ("=",) if operator == "=" else (loose, strict):
            yield relation.with_bound(bound, new)


def _change_relations(raw: str, where: str, change: Callable[[Relation], list[Relation]]) -> str:
    """Pass every relation of a field through ``change``; text that stays the same keeps its white space."""
    if not raw.strip():
        return raw
    body = raw.rstrip()
    groups: list[str] = []
    locked: set[str] = set()
    for group in body.split(","):
        alternatives = [
            alternative for text in group.split("|") for alternative in _change_relation(text, where, change)
        ]
        texts = [text for text, _new in alternatives]
        if all(new for _text, new in alternatives):
            essence = "|".join(dict.fromkeys(text.strip() for text in texts))
            if essence in locked:
                continue  # (>= 1), (<< 2) have become the same lock
            locked.add(essence)
        groups.append("|".join(texts))
    return ",".join(groups) + raw[len(body) :]


def _change_relation(text: str, where: str, change: Callable[[Relation], list[Relation]]) -> list[tuple[str, bool]]:
    lead, relation, trail = parse_relation(text, where)
    changed = change(relation)
    if changed == [relation]:
        return [(text, False)]
    texts = [str(one) for one in changed]
    return [
        (f"{lead if not number else ' '}{one}{trail if number == len(texts) - 1 else ' '}", True)
        for number, one in enumerate(texts)
    ]
