# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Distro files (``.rosdistro``): the stacks of a distribution, their versions and rules, and its variants.

Where the tools of the time disagreed, this is what counts here:

* A released stack without rules is a fault, also where its rule mapping has no known kind (``boxturtle``'s
  ``ros_experimental``). Who needs no sources can have it as a remark: the stack and its version count then.
* ``extends`` takes one name or a list, in any order of definition; the parents' stacks come first, each stack once.
* A stack without a version is not released. Its rules that need one have no value.
* Versions are text as written: ``1.10`` is not ``1.1``. They may have an epoch.
* ``$STACK_VERSION`` is the version as it can be written there: without its epoch in the name of a ``.dsc``, and as
  DEP-14 says in what is a ref of git or hg (``1:2~rc1`` is ``1%2_rc1``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from ..deb.version import find_version_fault, strip_epoch
from ..errors import SlipwayError, refuse
from ..yamltext import Node, NotPlainError, read

TOP_KEYS = frozenset({"release", "version", "stacks", "variants", "_rules"})
STACK_KEYS = frozenset({"version", "_rules"})
VARIANT_KEYS = frozenset({"stacks", "extends"})
#: The variant that is made of every released stack.
ALL = "all"

_SVN = ("dev", "distro-tag", "release-tag")
_DVCS = ("uri", "dev-branch", "distro-tag", "release-tag")
#: What a rule of each kind must say; every URL may have an ``anon-`` twin for reading without an account.
RULES: Mapping[str, tuple[str, ...]] = {"svn": _SVN, "git": _DVCS, "hg": _DVCS, "bzr": _DVCS, "dsc": ("uri",)}
TWINS = frozenset({"uri", "dev", "distro-tag", "release-tag"})
#: The first form of Subversion rules, which overlays what stands above it key by key.
LEGACY = {"dev-svn": "dev", "distro-svn": "distro-tag", "release-svn": "release-tag"}
LEGACY_KEYS = {**LEGACY, **{f"anon-{old}": f"anon-{new}" for old, new in LEGACY.items()}}

NAME = re.compile(r"[a-z0-9][a-z0-9_+.-]*\Z")
#: What stands in the names of branches and tags for characters of a version that they must not have.
REF_SIGNS: Mapping[str, Mapping[str, str]] = {"git": {":": "%", "~": "_"}, "hg": {":": "%"}}
DISTRO_VERSION = re.compile(r"[A-Za-z0-9.+~]+\Z")
#: What programs take as an address or the name of a branch or a tag, and not as an option.
USABLE = re.compile(r"(?![- ])[^\x00-\x1f\x7f-\x9f]+\Z")
REVISION = re.compile(r"\$Revision:\s*([0-9]+)\s*\$")
UNEXPANDED = re.compile(r"\$(Rev|Revision|LastChangedRevision|Id):?\s*\$")
VARIABLE = re.compile(r"\$(STACK_NAME|STACK_VERSION|RELEASE_NAME|REVISION)")


@dataclass(frozen=True)
class Rules:
    """Where a stack's source is: ``kind`` is svn, git, hg, bzr or dsc.

    ``values`` are expanded, anon twins always present; one that needs the version of an unreleased stack is ``None``.
    ``templates`` are what they were before.
    """

    kind: str
    values: Mapping[str, str | None]
    templates: Mapping[str, str] = field(default_factory=dict)

    def expand(self, *, stack: str, version: str | None, release: str) -> Rules:
        """The same rules for a stack in a version, which may be another than the distro file's."""
        values = {
            key: expand_rule(
                template,
                stack=stack,
                version=None if version is None else format_version(version, self.kind, key),
                release=release,
            )
            for key, template in self.templates.items()
        }
        twins = {f"anon-{key}": values[key] for key in TWINS & values.keys()}
        return Rules(self.kind, {**twins, **values}, self.templates)


@dataclass(frozen=True)
class Stack:
    """A source project of the distribution; ``version`` is ``None`` while it is not released."""

    name: str
    version: str | None
    rules: Rules | None


@dataclass(frozen=True)
class Variant:
    """A named choice of stacks; ``stacks`` holds those of the variants it ``extends`` too, theirs first, each once."""

    name: str
    extends: tuple[str, ...]
    stacks: tuple[str, ...]


@dataclass(frozen=True)
class Distro:
    """What a distro file says. With ``faults`` it is not usable; ``remarks`` say what was ignored."""

    name: str
    version: str | None
    stacks: Mapping[str, Stack]
    variants: Mapping[str, Variant]
    faults: list[str]
    remarks: list[str]

    def released(self) -> dict[str, str]:
        """The version of each stack that has one."""
        return {stack.name: stack.version for stack in self.stacks.values() if stack.version is not None}


def load_distro(
    path: str | os.PathLike[str],
    *,
    text: str | None = None,
    required: Collection[str] = (),
    needs_sources: bool = True,
) -> Distro:
    """Read a distro file that has no faults, as :func:`read_distro` does; else the failure names it and every fault.

    ``text`` is what a file of another machine says.
    """
    attempt, on, do_next = "read the distro file", os.fspath(path), "Correct it and run again."
    try:
        data = Path(path).read_bytes() if text is None else text.encode()
    except OSError as error:
        raise SlipwayError(attempt, on, str(error.strerror), do_next=do_next) from error
    distro = read_distro(data, required=required, needs_sources=needs_sources)
    refuse(attempt, on, distro.faults, several="faults", do_next=do_next)
    return distro


def read_distro(data: bytes, *, required: Collection[str] = (), needs_sources: bool = True) -> Distro:
    """Read a whole distro file and list every fault; the stacks ``required`` must be among its stacks.

    A released stack that no rule says the source of is a fault; a remark, for a reader without ``needs_sources``.
    """
    try:
        root, twice = read(data)
    except NotPlainError as error:
        return Distro("", None, {}, {}, [str(error)], [])
    return _Reader(faults=twice, needs_sources=needs_sources).read_distro(root, required)


def normalise_version(text: str) -> str | None:
    """A distribution release's name: ``$Revision: 468 $`` is ``r468``; ``None`` for what cannot stand in a version."""
    found = REVISION.search(text)
    version = f"r{found.group(1)}" if found else text
    return version if DISTRO_VERSION.match(version) else None


def format_version(version: str, kind: str, key: str) -> str:
    """The version of a stack as it is written in a rule of this ``kind``, or a file's name (``dsc``)."""
    if kind == "dsc":
        return strip_epoch(version)
    signs = REF_SIGNS.get(kind, {}) if not key.endswith("uri") else {}
    return "".join(signs.get(sign, sign) for sign in version)


def expand_rule(template: str, *, stack: str, version: str | None, release: str) -> str | None:
    """Expand name, version and release in a rule; ``None`` if it needs a version that is missing.

    Raises ValueError for ``$REVISION``, which no tool can know.
    """
    values = {"STACK_NAME": stack, "STACK_VERSION": version, "RELEASE_NAME": release}
    names = {found.group(1) for found in VARIABLE.finditer(template)}
    if "REVISION" in names:
        raise ValueError("$REVISION cannot be used in a rule")
    if any(values[name] is None for name in names):
        return None
    return VARIABLE.sub(lambda found: str(values[found.group(1)]), template)


@dataclass(frozen=True)
class _RuleTemplates:
    """Rules before expansion."""

    kind: str
    values: Mapping[str, str]


@dataclass
class _Reader:
    faults: list[str]
    needs_sources: bool = True
    remarks: list[str] = field(default_factory=list)
    named: Mapping[str, Node] = field(default_factory=dict)

    def add_fault(self, where: str, node: Node, sentence: str) -> None:
        self.faults.append(f"{where}: {sentence} (line {node.line})" if where else f"{sentence} (line {node.line})")

    def read_distro(self, root: Node, required: Collection[str]) -> Distro:
        top = root.mapping
        if top is None:
            self.add_fault("", root, f"it is {root.kind}, not a mapping with release, stacks and variants")
            return Distro("", None, {}, {}, self.faults, self.remarks)
        self.note_unknown("", top, TOP_KEYS)
        name = self.read_name(top.get("release"), root, "release")
        version = self.read_version(top.get("version"))
        self.named = self.read_mapping(top.get("_rules"), "_rules")
        stacks = self.read_stacks(top.get("stacks"), root, name)
        for missing in sorted(set(required) - stacks.keys()):
            self.add_fault("stacks", top.get("stacks", root), f"the stack {missing} is missing")
        return Distro(name, version, stacks, self.read_variants(top.get("variants"), stacks), self.faults, self.remarks)

    def read_version(self, node: Node | None) -> str | None:
        if node is None or node.value is None:
            return None
        if node.text is None:
            self.add_fault("version", node, f"it is {node.kind}, not text")
            return None
        version = normalise_version(node.text)
        if version is None and UNEXPANDED.search(node.text):
            self.add_fault(
                "version",
                node,
                f"{node.text!r} waits for keyword expansion, which Subversion does where svn:keywords is set and git "
                "does not; expand it, or write the release's name, such as r468",
            )
        elif version is None:
            self.add_fault(
                "version",
                node,
                f"{node.text!r} cannot be part of a package's version; use letters, digits, '.', '+', '~'",
            )
        return version

    def read_stacks(self, node: Node | None, root: Node, release: str) -> dict[str, Stack]:
        if node is None or not node.mapping:
            self.add_fault("stacks", node or root, "there are no stacks")
            return {}
        before = len(self.faults)
        common = self.read_rules(node.mapping.get("_rules"), None, "stacks._rules")
        # Stacks that have no rules since those of all are faulty are not told one by one.
        self.needs_sources &= len(self.faults) == before
        found = {}
        for name, entry in node.mapping.items():
            if name == "_rules":
                continue
            if not NAME.match(name):
                self.add_fault("stacks", entry, f"{name!r} is not a name of a stack")
                continue
            if name == ALL:
                self.add_fault("stacks", entry, f"the name {ALL} is taken by the metapackage of all stacks")
            found[name] = self.read_stack(name, entry, common, release)
        packages: dict[str, str] = {}
        for name in found:
            other = packages.setdefault(name.replace("_", "-"), name)
            if other != name:
                self.add_fault("stacks", node, f"{other} and {name} would have the same package name")
        return found

    def read_stack(self, name: str, node: Node, common: _RuleTemplates | None, release: str) -> Stack:
        where = f"stacks.{name}"
        properties = self.read_mapping(node, where)
        self.note_unknown(where, properties, STACK_KEYS)
        version = properties.get("version")
        value = None if version is None else version.text
        if version is not None and version.value is not None:
            value = self.check_version(version, f"{where}.version")
        before = len(self.faults)
        templates = self.read_rules(properties.get("_rules"), common, f"{where}._rules")
        if templates is not None:
            return Stack(name, value, self.expand_rules(templates, name, value, release, node))
        if value is not None and self.needs_sources and len(self.faults) == before:
            self.add_fault(where, node, "no rule says where its source is")
        else:
            self.remarks.append(f"{where}: no rule says where its source is (line {node.line})")
        return Stack(name, value, None)

    def check_version(self, node: Node, where: str) -> str | None:
        """The version of a stack, if it can be that of a package."""
        fault = None if node.text is None else find_version_fault(node.text)
        if node.text is None or fault is not None:
            text = node.kind if node.text is None else repr(node.text)
            why = "" if fault is None else f": it {fault}"
            self.add_fault(where, node, f"{text} cannot be the version of a package{why}")
            return None
        return node.text

    def read_rules(self, node: Node | None, above: _RuleTemplates | None, where: str) -> _RuleTemplates | None:
        """The rules that hold here: a new form replaces what stands ``above``, the first form overlays it."""
        if node is None or node.value is None:
            return above
        if node.text is not None:
            if node.text not in self.named:
                self.add_fault(where, node, f"no _rules are named {node.text!r}")
                return above
            where, node = f"_rules.{node.text}", self.named[node.text]
        mapping = node.mapping
        if mapping is None:
            self.add_fault(where, node, f"rules are a mapping or the name of one, this is {node.kind}")
            return above
        legacy = {LEGACY_KEYS[key]: value for key, value in mapping.items() if key in LEGACY_KEYS}
        if legacy:
            base = dict(above.values) if above is not None and above.kind == "svn" else {}
            return _RuleTemplates("svn", {**base, **self.read_texts(legacy, where)})
        kinds = [key for key in mapping if key in RULES]
        if not kinds:
            if mapping:
                self.remarks.append(f"{where}: none of {', '.join(RULES)} is there (line {node.line})")
            return None if mapping else above
        if len(kinds) > 1:
            self.remarks.append(f"{where}: {kinds[0]} counts, {', '.join(kinds[1:])} does not (line {node.line})")
        kind = kinds[0]
        return _RuleTemplates(
            kind, self.read_texts(self.read_mapping(mapping[kind], f"{where}.{kind}"), f"{where}.{kind}")
        )

    def read_texts(self, mapping: Mapping[str, Node], where: str) -> dict[str, str]:
        found = {}
        for key, node in mapping.items():
            found[key] = node.text or ""
            if node.text is None:
                self.add_fault(f"{where}.{key}", node, f"it is {node.kind}, not text")
            elif not USABLE.match(node.text):
                sentence = f"{node.text!r} is empty, begins with a dash or a space, or holds a control character"
                self.add_fault(f"{where}.{key}", node, sentence)
        return found

    def expand_rules(
        self, templates: _RuleTemplates, stack: str, version: str | None, release: str, node: Node
    ) -> Rules:
        missing = [key for key in RULES[templates.kind] if key not in templates.values]
        if missing:
            self.add_fault(f"stacks.{stack}", node, f"its {templates.kind} rules lack {', '.join(missing)}")
        usable = dict(templates.values)
        for key, template in templates.values.items():
            try:
                expand_rule(template, stack=stack, version=version, release=release)
            except ValueError as error:
                self.add_fault(f"stacks.{stack}", node, f"{key}: {error}")
                del usable[key]
        return Rules(templates.kind, {}, usable).expand(stack=stack, version=version, release=release)

    def read_variants(self, node: Node | None, stacks: Mapping[str, Stack]) -> dict[str, Variant]:
        if node is None or node.value is None:
            return {}
        if node.items is None:
            self.add_fault("variants", node, f"variants are a list, this is {node.kind}")
            return {}
        defined: dict[str, _VariantDefinition] = {}
        for entry in node.items:
            for name, properties in self.read_variant_entry(entry):
                if name in defined:
                    self.add_fault("variants", entry, f"the variant {name} is there twice")
                else:
                    other = next((each for each in defined if each.replace("_", "-") == name.replace("_", "-")), None)
                    if other is not None:
                        self.add_fault("variants", entry, f"{other} and {name} would have the same package name")
                    defined[name] = self.read_definition(name, properties, stacks)
        for name, definition in defined.items():
            for parent in definition.extends:
                if parent not in defined:
                    self.add_fault(f"variants.{name}.extends", definition.node, f"there is no variant {parent!r}")
        for name in _find_circular(defined):
            self.add_fault(f"variants.{name}", defined[name].node, "it extends itself, directly or through others")
        if self.faults:
            return {}
        whole: dict[str, tuple[str, ...]] = {}
        for name in TopologicalSorter({name: each.extends for name, each in defined.items()}).static_order():
            inherited = [stack for parent in defined[name].extends for stack in whole[parent]]
            whole[name] = tuple(dict.fromkeys([*inherited, *defined[name].stacks]))
        return {name: Variant(name, definition.extends, whole[name]) for name, definition in defined.items()}

    def read_variant_entry(self, node: Node) -> list[tuple[str, Node]]:
        if node.mapping is None or len(node.mapping) != 1:
            self.add_fault("variants", node, "a variant is a mapping of its one name to stacks and extends")
            return []
        ((name, properties),) = node.mapping.items()
        if not NAME.match(name):
            self.add_fault("variants", node, f"{name!r} is not a name of a variant")
            return []
        if name == ALL:
            self.add_fault("variants", node, f"the name {ALL} is taken by the metapackage of all stacks")
            return []
        return [(name, properties)]

    def read_definition(self, name: str, node: Node, stacks: Mapping[str, Stack]) -> _VariantDefinition:
        where = f"variants.{name}"
        properties = self.read_mapping(node, where)
        self.note_unknown(where, properties, VARIANT_KEYS)
        extends = properties.get("extends")
        before = len(self.faults)
        parents = (
            [extends.text] if extends is not None and extends.text is not None else self.read_names(extends, where)
        )
        own = self.read_names(properties.get("stacks"), where)
        if not parents and not own and len(self.faults) == before:
            self.add_fault(where, node, "it has neither stacks nor extends")
        for stack in own:
            if stack not in stacks:
                self.add_fault(f"{where}.stacks", node, f"there is no stack {stack!r}")
        if name.replace("_", "-") in {stack.replace("_", "-") for stack in stacks}:
            self.add_fault(where, node, f"its metapackage would have the name of the stack {name}")
        return _VariantDefinition(node, tuple(dict.fromkeys(parents)), tuple(own))

    def read_names(self, node: Node | None, where: str) -> list[str]:
        if node is None or node.value is None:
            return []
        if node.items is None:
            self.add_fault(where, node, f"names stand in a list, this is {node.kind}")
            return []
        found = []
        for item in node.items:
            if item.text is None:
                self.add_fault(where, item, f"a name is text, this is {item.kind}")
            else:
                found.append(item.text)
        return found

    def read_name(self, node: Node | None, root: Node, where: str) -> str:
        if node is None or node.text is None or not NAME.match(node.text):
            text = (
                "it is missing"
                if node is None
                else f"{node.text!r} is not a name"
                if node.text
                else f"it is {node.kind}"
            )
            self.add_fault(where, node or root, text)
            return ""
        return node.text

    def read_mapping(self, node: Node | None, where: str) -> Mapping[str, Node]:
        if node is None or node.value is None:
            return {}
        if node.mapping is None:
            self.add_fault(where, node, f"it is {node.kind}, not a mapping")
            return {}
        return node.mapping

    def note_unknown(self, where: str, mapping: Mapping[str, Node], known: Collection[str]) -> None:
        prefix = f"{where}." if where else ""
        self.remarks += [
            f"{prefix}{key}: this key is ignored (line {node.line})"
            for key, node in mapping.items()
            if key not in known
        ]


@dataclass(frozen=True)
class _VariantDefinition:
    """A variant as written."""

    node: Node
    extends: tuple[str, ...]
    stacks: tuple[str, ...]


def _find_circular(defined: Mapping[str, _VariantDefinition]) -> list[str]:
    """The variants that extend themselves through others."""
    try:
        TopologicalSorter({name: definition.extends for name, definition in defined.items()}).prepare()
    except CycleError:
        return [name for name in defined if _reaches(defined, name)]
    return []


def _reaches(defined: Mapping[str, _VariantDefinition], start: str) -> bool:
    seen: set[str] = set()
    ahead = list(defined[start].extends)
    while ahead:
        name = ahead.pop()
        if name == start:
            return True
        if name in defined and name not in seen:
            seen.add(name)
            ahead += defined[name].extends
    return False
