# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control file of a deb: read without losing a byte, and locked to the other packages of its release."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from . import version as debversion
from .version import Rule

#: Fields whose relations are locked to the versions of the release.
LOCKED_FIELDS = ("Pre-Depends", "Depends", "Recommends", "Suggests", "Enhances")
#: Fields whose relations must stay as true, or as false, as they were.
KEPT_FIELDS = ("Breaks", "Conflicts", "Replaces")
#: Fields that stamping sets itself, or that dpkg gives a meaning of its own.
RESERVED_FIELDS = frozenset(
    name.lower()
    for name in (
        *LOCKED_FIELDS,
        *KEPT_FIELDS,
        *("Package", "Version", "Architecture", "Source", "Provides", "Description", "Essential", "Multi-Arch"),
        *("Package-Type", "Installed-Size", "Filename", "Size", "MD5sum", "SHA1", "SHA256", "Status", "Conffiles"),
    )
)

#: Fields that dpkg refuses in a deb, or that change the version by other means.
_FORBIDDEN_FIELDS = (
    *("Status", "Config-Version", "Conffiles", "Triggers-Pending", "Triggers-Awaited"),
    *("Revision", "Package-Revision", "Package_Revision"),
)
_CHOICES = {
    "Essential": ("yes", "no"),
    "Protected": ("yes", "no"),
    "Multi-Arch": ("no", "same", "foreign", "allowed"),
}

FIELD_NAME = re.compile(r"[!\"$-,.-9;-~][!-9;-~]+", re.ASCII)
PACKAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*", re.ASCII)
ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_RELATION = re.compile(
    r"(?P<lead>\s*)(?P<name>[A-Za-z0-9][A-Za-z0-9+._-]*)(?::(?P<qualifier>[a-z0-9][a-z0-9-]*))?"
    r"(?:\s*\(\s*(?P<operator><<|<=|>=|>>|=|<|>)?\s*(?P<version>[A-Za-z0-9][^\s()]*)\s*\))?(?P<trail>\s*)",
    re.ASCII,
)
_SOURCE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9+._-]*)(?:\s+\((?P<version>[^\s()]+)\))?", re.ASCII)


class Control:
    """One stanza: its fields in their order, each with the very text it was written with.

    A text that dpkg would not read as one stanza raises ``ValueError`` with the fault.
    """

    def __init__(self, text: str) -> None:
        self._before, self._fields, self._after = _split(text)
        self._index = {name.lower(): position for position, (name, _raw) in enumerate(self._fields)}

    def __str__(self) -> str:
        return self._before + "".join(f"{name}:{raw}" for name, raw in self._fields) + self._after

    def get(self, name: str) -> str | None:
        """The value of a field without the white space around it, or ``None``."""
        position = self._index.get(name.lower())
        return None if position is None else self._fields[position][1].strip()

    def folded(self, name: str) -> bool:
        """Whether the value of a field begins on the line after its name."""
        position = self._index.get(name.lower())
        return position is not None and self._fields[position][1].lstrip(" \t").startswith("\n")

    def set(self, name: str, value: str, *, before: str = "", after: str = "") -> None:
        """Give a field a value; a new one goes beside the named field, or to the end."""
        position = self._index.get(name.lower())
        if position is not None:
            self._fields[position] = (self._fields[position][0], f" {value}\n")
            return
        place = len(self._fields)
        if before.lower() in self._index:
            place = self._index[before.lower()]
        elif after.lower() in self._index:
            place = self._index[after.lower()] + 1
        self._fields.insert(place, (name, f" {value}\n"))
        self._index = {name.lower(): position for position, (name, _raw) in enumerate(self._fields)}

    def edit(self, name: str, change: Callable[[str], str]) -> None:
        """Pass the raw value of a field, if there is one, through ``change``, white space included."""
        position = self._index.get(name.lower())
        if position is not None:
            own, raw = self._fields[position]
            self._fields[position] = (own, change(raw))


def decode(data: bytes) -> str:
    """Control files are UTF-8; what is not, is kept as it is by surrogates."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The bytes that :func:`decode` came from."""
    return text.encode("utf-8", "surrogateescape")


def printable(text: str) -> str:
    """``text`` without surrogates, for people and for JSON."""
    return encode(text).decode("utf-8", "replace")


def _split(text: str) -> tuple[str, list[tuple[str, str]], str]:
    if not text.endswith("\n"):
        raise ValueError("the last line of its control file is not ended")
    if _CONTROL_CHARACTER.search(text):
        raise ValueError("its control file has a control character")
    lines = text.split("\n")[:-1]
    first = next((number for number, line in enumerate(lines) if line), len(lines))
    last = max((number for number, line in enumerate(lines) if line), default=first - 1)
    fields: list[tuple[str, str]] = []
    seen = set()
    for number, line in enumerate(lines[first : last + 1], start=first + 1):
        if line[:1] in {" ", "\t"}:
            if not fields or not line.strip():
                raise ValueError(f"line {number} of its control file continues no field or is blank")
            fields[-1] = (fields[-1][0], f"{fields[-1][1]}{line}\n")
            continue
        name, colon, value = line.partition(":")
        if not line:
            raise ValueError("its control file has more than one paragraph")
        if not colon or not FIELD_NAME.fullmatch(name):
            raise ValueError(f"line {number} of its control file is no field")
        if name.lower() in seen:
            raise ValueError(f"its control file has the field {name} twice")
        seen.add(name.lower())
        fields.append((name, f"{value}\n"))
    return "\n" * first, fields, "\n" * (len(lines) - last - 1)


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


def identify(control: Control) -> tuple[str, str, str]:
    """Package, version and architecture; ``ValueError`` with the fault if dpkg would refuse one of them."""
    values = []
    for name, pattern in (("Package", PACKAGE_NAME), ("Version", None), ("Architecture", ARCHITECTURE)):
        value = control.get(name)
        if not value or control.folded(name):
            raise ValueError(f"its control file has no {name}")
        fault = debversion.fault_of(value) if pattern is None else None
        if fault:
            raise ValueError(f"the version '{printable(value)}' {fault}")
        if pattern is not None and not pattern.fullmatch(value):
            raise ValueError(f"the {name.lower()} name '{printable(value)}' is not allowed")
        values.append(value)
    for name in _FORBIDDEN_FIELDS:
        if control.get(name) is not None:
            raise ValueError(f"its control file has the field {name}, which a deb must not have")
    for name, choices in _CHOICES.items():
        choice = control.get(name)
        if choice and choice.lower() not in choices:
            raise ValueError(f"its {name} is '{printable(choice)}' and not {' or '.join(choices)}")
    package, version, architecture = values
    return package, version, architecture


def describe(control: Control, rule: Rule) -> Member:
    """What this package is within a release made with ``rule``; ``ValueError`` with the fault."""
    package, version, architecture = identify(control)
    provides = []
    for relation in relations(control, "Provides"):
        if relation.version:
            if relation.operator not in {"=", None}:
                raise ValueError(f"its Provides has '{relation}', which is no exact version")
            provides.append((relation.name, relation.version, rule.apply(relation.version)))
    check_relations(control)
    return Member(package, architecture, version, rule.apply(version), tuple(provides))


def check_relations(control: Control) -> None:
    """Raise ``ValueError`` with the fault if dpkg would refuse a relation."""
    for name in (*LOCKED_FIELDS, *KEPT_FIELDS, "Provides"):
        relations(control, name)


@dataclass(frozen=True)
class Relation:
    """One name in a relation field, with what it demands."""

    name: str
    qualifier: str | None
    operator: str | None
    version: str | None

    def __str__(self) -> str:
        qualified = self.name if self.qualifier is None else f"{self.name}:{self.qualifier}"
        return qualified if self.version is None else f"{qualified} ({self.operator or '='} {self.version})"

    def accepts(self, version: str) -> bool:
        """Whether a package of this name and ``version`` is meant."""
        return self.version is None or debversion.satisfies(version, self.operator or "=", self.version)

    def bounded(self, operator: str | None, version: str) -> Relation:
        """The same name with another demand."""
        return Relation(self.name, self.qualifier, operator, version)


def relations(control: Control, name: str) -> list[Relation]:
    """All relations of a field, alternatives in a row; ``ValueError`` with the fault."""
    return [relation for group in groups(control, name) for relation in group]


def groups(control: Control, name: str) -> list[list[Relation]]:
    """The demands of a field, each with its alternatives; ``ValueError`` with the fault."""
    value = control.get(name)
    if not value:
        return []
    if control.folded(name):
        raise ValueError(f"its {name} begins on the line after, which dpkg does not take")
    found = [[_relation(text, name)[1] for text in group.split("|")] for group in value.split(",")]
    if name not in LOCKED_FIELDS and any(len(group) > 1 for group in found):
        raise ValueError(f"its {name} has alternatives, which dpkg does not allow there")
    return found


def _relation(text: str, where: str) -> tuple[str, Relation, str]:
    match = _RELATION.fullmatch(text)
    fault = None if match is None or match["version"] is None else debversion.fault_of(match["version"])
    if match is None or fault:
        raise ValueError(f"its {where} has '{printable(text.strip())}', which is no relation")
    return (
        match["lead"],
        Relation(match["name"], match["qualifier"], match["operator"], match["version"]),
        match["trail"],
    )


class ReleaseSet:
    """The packages that are locked to each other, found by name and architecture."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._real: dict[str, list[tuple[str, str, str]]] = {}
        self._provided: dict[str, list[tuple[str, str, str]]] = {}
        for member in members:
            self._real.setdefault(member.package, []).append((member.architecture, member.version, member.stamped))
            for name, version, stamped in member.provides:
                self._provided.setdefault(name, []).append((member.architecture, version, stamped))

    def real(self, relation: Relation, architecture: str) -> list[tuple[str, str]]:
        """Versions before and after of the packages that ``relation`` names, seen from ``architecture``."""
        return _seen_from(self._real.get(relation.name, []), relation.qualifier, architecture)

    def provided(self, relation: Relation, architecture: str) -> list[tuple[str, str]]:
        """The same for the names that packages provide with a version."""
        return _seen_from(self._provided.get(relation.name, []), relation.qualifier, architecture)


def _seen_from(found: list[tuple[str, str, str]], qualifier: str | None, architecture: str) -> list[tuple[str, str]]:
    wanted = architecture if qualifier is None else qualifier
    near = [entry for entry in found if entry[0] in {wanted, "all"} or wanted in {"any", "all"}]
    return sorted({(version, stamped) for _architecture, version, stamped in near or found})


@dataclass
class Stamped:
    """A control file after stamping; ``unsatisfied`` are relations that the release does not satisfy."""

    text: str
    unsatisfied: list[tuple[str, str]] = field(default_factory=list)


def stamp(control: Control, member: Member, *, release: ReleaseSet, rule: Rule, fields: Mapping[str, str]) -> Stamped:
    """Give ``control`` (changed in place) its new version, and lock it to the packages of ``release``.

    ``fields`` are marker fields, set as they are. A relation that cannot be kept as true or as false as
    it was raises ``ValueError`` with the fault.
    """
    unsatisfied: list[tuple[str, str]] = []
    for name in LOCKED_FIELDS:
        control.edit(name, _locker(name, member, release=release, rule=rule, unsatisfied=unsatisfied))
    for name in KEPT_FIELDS:
        control.edit(name, _keeper(name, member, release=release, rule=rule))
    control.edit("Provides", lambda raw: _each(raw, "Provides", lambda relation: [_provide(relation, rule)]))
    _name_source(control, member)
    control.set("Version", member.stamped)
    for name, value in fields.items():
        control.set(name, value, before="Description")
    return Stamped(str(control), unsatisfied)


def _name_source(control: Control, member: Member) -> None:
    """Say of which source version this was built, for it is no longer the version of the package."""
    source = _SOURCE.fullmatch(control.get("Source") or member.package)
    if source is None:
        raise ValueError(f"its Source '{printable(control.get('Source') or '')}' is no source")
    if source["version"] is None:
        control.set("Source", f"{source['name']} ({member.version})", after="Package")


def _provide(relation: Relation, rule: Rule) -> Relation:
    if relation.version is None:
        return relation
    return relation.bounded(relation.operator, rule.apply(relation.version))


def _locker(
    where: str, member: Member, *, release: ReleaseSet, rule: Rule, unsatisfied: list[tuple[str, str]]
) -> Callable[[str], str]:
    def lock(relation: Relation) -> list[Relation]:
        real = release.real(relation, member.architecture)
        provided = release.provided(relation, member.architecture)
        for candidates in (real, provided):
            news = {new for old, new in candidates if relation.accepts(old)}
            if news:
                return [relation.bounded("=", new) for new in sorted(news, key=debversion.key, reverse=True)]
        if not real and not provided:
            return [relation]
        unsatisfied.append((where, str(relation)))
        return [_as_true(relation, real + provided, rule=rule, where=where)]

    return lambda raw: _each(raw, where, lock)


def _keeper(where: str, member: Member, *, release: ReleaseSet, rule: Rule) -> Callable[[str], str]:
    def keep(relation: Relation) -> list[Relation]:
        known = release.real(relation, member.architecture) + release.provided(relation, member.architecture)
        return [_as_true(relation, known, rule=rule, where=where)]

    return lambda raw: _each(raw, where, keep)


def _as_true(relation: Relation, known: list[tuple[str, str]], *, rule: Rule, where: str) -> Relation:
    """A relation that says of the new versions what ``relation`` says of the old ones."""
    if relation.version is None:
        return relation
    for candidate in _candidates(relation, known, rule):
        if all(candidate.accepts(new) == relation.accepts(old) for old, new in known):
            return candidate
    raise ValueError(f"its {where} has '{relation}', which no version says of the stamped packages")


def _candidates(relation: Relation, known: list[tuple[str, str]], rule: Rule) -> Iterable[Relation]:
    if relation.version is None:
        raise AssertionError("relation.version is always set here")
    operator = relation.operator or "="
    yield relation
    yield relation.bounded(operator, rule.apply(relation.version))
    strict, loose = ("<<", "<=") if operator.startswith("<") else (">>", ">=")
    for _old, new in known:
        for bound in ("=",) if operator == "=" else (loose, strict):
            yield relation.bounded(bound, new)


def _each(raw: str, where: str, change: Callable[[Relation], list[Relation]]) -> str:
    """Pass every relation of a field through ``change``; text that stays the same keeps its white space."""
    if not raw.strip():
        return raw
    body = raw.rstrip()
    groups: list[str] = []
    locked: set[str] = set()
    for group in body.split(","):
        alternatives = [alternative for text in group.split("|") for alternative in _alternatives(text, where, change)]
        texts = [text for text, _new in alternatives]
        if all(new for _text, new in alternatives):
            essence = "|".join(dict.fromkeys(text.strip() for text in texts))
            if essence in locked:
                continue  # (>= 1), (<< 2) have become the same lock
            locked.add(essence)
        groups.append("|".join(texts))
    return ",".join(groups) + raw[len(body) :]


def _alternatives(text: str, where: str, change: Callable[[Relation], list[Relation]]) -> list[tuple[str, bool]]:
    lead, relation, trail = _relation(text, where)
    changed = change(relation)
    if changed == [relation]:
        return [(text, False)]
    texts = [str(one) for one in changed]
    return [
        (f"{lead if not number else ' '}{one}{trail if number == len(texts) - 1 else ' '}", True)
        for number, one in enumerate(texts)
    ]
