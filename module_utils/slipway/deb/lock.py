# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locking a package to one release: its control fields with the versions of that release's members."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .control import KEPT_FIELDS, LOCKED_FIELDS, SOURCE, Control, identify_package, make_word
from .relations import Relation, check_relations, parse_relation, read_relations
from .version import Rule, version_key

#: Of packages that provide a name without a version, apt prefers the one of the higher priority.
_PRIORITIES = ("required", "important", "standard", "optional", "extra")


@dataclass(frozen=True)
class Member:
    """A package of the release: what it was, and what it is called now.

    ``provides`` holds the names that it stands for as well, with their versions before and after, ``None`` for a name
    without a version.
    """

    package: str
    architecture: str
    version: str
    stamped: str
    provides: tuple[tuple[str, str | None, str | None], ...] = ()
    priority: str = ""


def describe_member(control: Control, rule: Rule) -> Member:
    """What this package is within a release made with ``rule``; ``ValueError`` with the fault."""
    package, version, architecture = identify_package(control)
    check_relations(control)
    provides = read_provides(control, rule)
    return Member(package, architecture, version, rule.apply(version), provides, control.get("Priority") or "")


def read_provides(control: Control, rule: Rule) -> tuple[tuple[str, str | None, str | None], ...]:
    """The names that a package provides, with their versions before and after."""
    found: list[tuple[str, str | None, str | None]] = []
    for relation in read_relations(control, "Provides"):
        if relation.version is None:
            found.append((relation.name, None, None))
        elif relation.operator in {"=", None}:
            found.append((relation.name, relation.version, rule.apply(relation.version)))
        else:
            raise ValueError(f"its Provides has '{relation}', which is not an exact version, and apt ignores that")
    return tuple(found)


@dataclass(frozen=True)
class _Offer:
    """One way in which a package meets a demand: under ``name``, whose version was ``version`` and is ``stamped``.

    A package that provides a name without a version offers itself under its own, and has no version before.
    """

    package: str
    architecture: str
    name: str
    version: str | None
    stamped: str
    priority: str = ""

    @property
    def preference(self) -> tuple[int, str]:
        """What sorts first is what apt would choose among names without a version."""
        known = self.priority in _PRIORITIES
        return _PRIORITIES.index(self.priority) if known else len(_PRIORITIES), self.package


class ReleaseSet:
    """The packages that are locked to each other, found by the names that they have or provide."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._offers: dict[str, dict[str, list[_Offer]]] = {}
        for member in members:
            whole = _Offer(member.package, member.architecture, member.package, member.version, member.stamped)
            self._add(member.package, whole)
            for name, version, stamped in member.provides:
                if version is None or stamped is None:
                    self._add(name, replace(whole, version=None, priority=member.priority))
                else:
                    self._add(name, replace(whole, name=name, version=version, stamped=stamped))

    def _add(self, name: str, offer: _Offer) -> None:
        self._offers.setdefault(name, {}).setdefault(offer.package, []).append(offer)

    def find_offers(self, relation: Relation, architecture: str) -> list[_Offer]:
        """What meets the name of ``relation``, seen from ``architecture``, in the order in which to prefer it.

        The package of that name is first, then those that provide it with a version, the newest first, then others.
        """
        found = [
            offer
            for offers in self._offers.get(relation.name, {}).values()
            for offer in _select_visible(offers, relation.qualifier, architecture)
        ]
        real = [offer for offer in found if offer.version is not None and offer.package == relation.name]
        provided = [offer for offer in found if offer.version is not None and offer.package != relation.name]
        plain = sorted((offer for offer in found if offer.version is None), key=lambda offer: offer.preference)
        return [*_sort_newest_first(real), *_sort_newest_first(provided), *plain]

    def list_choices(self, package: str, architecture: str) -> list[str]:
        """Names and versions, in turn, to which a demand for ``package`` is locked."""
        offers = self.find_offers(Relation(package, None, None, None), architecture)
        choices = dict.fromkeys((offer.name, offer.stamped) for offer in offers)
        return [word for choice in choices for word in choice]


def _select_visible(offers: list[_Offer], qualifier: str | None, architecture: str) -> list[_Offer]:
    """A package's builds that count: those of the wanted architecture, and any if there is none."""
    wanted = architecture if qualifier is None else qualifier
    near = [offer for offer in offers if offer.architecture in {wanted, "all"} or wanted in {"any", "all"}]
    return near or offers


def _sort_newest_first(offers: list[_Offer]) -> list[_Offer]:
    return sorted(offers, key=lambda offer: version_key(offer.stamped), reverse=True)


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
    control.tidy_names()
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
        raise ValueError(f"its Source '{make_word(control.get('Source') or '')}' is not a source")
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
        offers = release.find_offers(relation, member.architecture)
        met = [offer for offer in offers if _accepts(relation, offer)]
        if met:
            locked = (Relation(offer.name, relation.qualifier, "=", offer.stamped) for offer in met)
            return list(dict.fromkeys(locked))
        known = _list_versions(offers)
        if not known:
            return [relation]
        unsatisfied.append((where, str(relation)))
        return [_keep_truth(relation, known, rule=rule, where=where)]

    return lambda raw: _change_relations(raw, where, lock)


def _accepts(relation: Relation, offer: _Offer) -> bool:
    return relation.version is None or (offer.version is not None and relation.accepts(offer.version))


def _make_keep(where: str, member: Member, *, release: ReleaseSet, rule: Rule) -> Callable[[str], str]:
    def keep(relation: Relation) -> list[Relation]:
        known = _list_versions(release.find_offers(relation, member.architecture))
        return [_keep_truth(relation, known, rule=rule, where=where)]

    return lambda raw: _change_relations(raw, where, keep)


def _list_versions(offers: Iterable[_Offer]) -> list[tuple[str, str]]:
    """Versions before and after, of the offers that have one."""
    return list(dict.fromkeys((offer.version, offer.stamped) for offer in offers if offer.version is not None))


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
        texts = _drop_repeated(alternatives)
        if all(new for _text, new in alternatives):
            essence = "|".join(text.strip() for text in texts)
            if essence in locked:
                continue  # (>= 1), (<< 2) have become the same lock
            locked.add(essence)
        groups.append("|".join(texts))
    return ",".join(groups) + raw[len(body) :]


def _drop_repeated(alternatives: Sequence[tuple[str, bool]]) -> list[str]:
    """The texts without those that say again what another has become."""
    kept: dict[str, str] = {}
    for number, (text, new) in enumerate(alternatives):
        kept.setdefault(text.strip() if new else str(number), text)
    *texts, last = kept.values()
    end = alternatives[-1][0]
    return [*texts, last.rstrip() + end[len(end.rstrip()) :]]


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
