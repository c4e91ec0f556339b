# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Control YAML: what is known of a released stack besides its tarball, ``<stack>-<version>.yaml``.

The first tools wrote it with the tarball's MD5 alone, and each line of the description behind a blank, which is read
too. Written are the same keys, ours besides them, in one order: the same values give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from ..deb.version import find_version_fault, strip_epoch
from ..errors import SlipwayError, refuse
from ..release.artifact import SHA256, find_name_fault
from ..yamltext import Node, NotPlainError, read
from .debian import SOURCE_NAME
from .htmltext import MAX_BRIEF
from .manifest import PACKAGE_NAME, STACK_NAME
from .rosdeps import PLATFORM_NAME, split_relations

try:
    import yaml
except ImportError:  # the failure is raised when a file is to be read or written
    yaml = None  # type: ignore[assignment]  # absent on a host that does neither

FORMAT = 1
ROS, DEBIAN, DSC = KINDS = ("ros", "debian", "dsc")
ORDER = (
    *("format", "kind", "stack", "version", "package", "tarball", "size", "md5sum", "sha256", "dsc", "files"),
    *("homepage", "maintainer", "contact", "priority", "description-brief", "description-full"),
    *("depends", "rosdeps", "packages", "source"),
)
#: What every control YAML has, the first tools' too.
REQUIRED = ("stack", "version", "package", "maintainer", "description-brief", "description-full", "depends", "rosdeps")
PRIORITIES = ("required", "important", "standard", "optional", "extra")
MD5 = re.compile(r"[0-9a-f]{32}\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
QUOTED = ("version", "md5sum", "sha256", "revision")
DO_NEXT = "Release the stack again, or correct the file, and run again."


@dataclass(frozen=True)
class ControlFile:
    """A sound control YAML: its ``mapping`` has every key in its plain form, and ``remarks`` say what is odd."""

    mapping: Mapping[str, Any]
    remarks: Sequence[str] = ()

    @property
    def files(self) -> list[dict[str, Any]]:
        """The files of the release, each with ``name``, and ``size``, ``sha256`` and ``md5sum`` if it says so."""
        if self.mapping["kind"] == DSC:
            return [dict(file) for file in self.mapping["files"]]
        return [
            {"name": self.mapping["tarball"], **{key: self.mapping.get(key) for key in ("size", "sha256", "md5sum")}}
        ]


def name_release(stack: str, version: str) -> str:
    """What the directory, the tarball and the control YAML of a release begin with; an epoch has no place in it."""
    return f"{stack}-{strip_epoch(version)}"


def name_control_files(stack: str, version: str) -> tuple[str, str]:
    """The name of a control YAML, and the one that old documents give it."""
    label = name_release(stack, version)
    return f"{label}.yaml", f"{label}.tar.yaml"


def format_control(mapping: Mapping[str, Any]) -> bytes:
    """The control YAML of a mapping, in the one order; keys without a value are left out."""
    ordered = {key: mapping[key] for key in ORDER if mapping.get(key) is not None}
    text: str = yaml.dump(
        _mark(ordered), Dumper=_make_dumper(), sort_keys=False, allow_unicode=True, default_flow_style=False, width=100
    )
    return text.encode()


def read_control_file(data: bytes, *, on: str) -> ControlFile:
    """What a control YAML says; every fault is in one failure, with key and line, which names the file ``on``."""
    try:
        root, twice = read(data)
    except NotPlainError as error:
        raise SlipwayError("read the control file", on, str(error), do_next=DO_NEXT) from error
    return _check(root, on, twice)


def check_control(mapping: Mapping[str, Any], *, on: str) -> ControlFile:
    """The same for what a module is given as a mapping."""
    return _check(_make_node(mapping), on, [])


def _check(root: Node, on: str, faults: Sequence[str]) -> ControlFile:
    reader = _Reader(root.mapping or {}, root.line, [*faults])
    if root.mapping is None:
        reader.faults.append(f"it is {root.kind}, not a mapping")
    mapping = reader.read() if root.mapping is not None else {}
    refuse("read the control file", on, reader.faults, several="faults", do_next=DO_NEXT)
    return ControlFile(mapping, reader.remarks)


@dataclass
class _Reader:
    keys: Mapping[str, Node]
    line: int
    faults: list[str]
    remarks: list[str] = field(default_factory=list)

    def read(self) -> dict[str, Any]:
        """The mapping in its plain form; what is wrong with it is among the faults."""
        style = self.read_line("format")
        if style is not None and style != str(FORMAT):
            self.fault("format", f"it is {style!r}, and this version knows {FORMAT}")
            return {}
        for key in REQUIRED:
            if key not in self.keys:
                self.faults.append(f"it has no {key}")
        for key in sorted(self.keys.keys() - set(ORDER)):
            self.remarks.append(f"the key {key!r} is not known and does not count")
        kind = self.read_line("kind") or ROS
        if kind not in KINDS:
            self.fault("kind", f"it is {kind!r}, not {' or '.join(KINDS)}")
        found: dict[str, Any] = {"format": FORMAT, "kind": kind, **self.read_names(kind)}
        found |= self.read_dsc() if kind == DSC else self.read_tarball(found)
        found |= self.read_about()
        found["depends"] = self.read_list("depends", STACK_NAME, "a stack")
        found["rosdeps"] = self.read_rosdeps()
        found["packages"] = self.read_list("packages", PACKAGE_NAME, "a package")
        found["source"] = self.read_source()
        return {key: found[key] for key in ORDER if found.get(key) is not None}

    def fault(self, key: str, text: str, *, node: Node | None = None) -> None:
        line = (node or self.keys[key]).line
        self.faults.append(f"line {line}: {key}: {text}" if line else f"{key}: {text}")

    def read_line(self, key: str) -> str | None:
        """The text of a key as one line; ``None`` if it is not there or empty."""
        node = self.keys.get(key)
        if node is None or node.value is None:
            return None
        if node.text is None:
            self.fault(key, f"it is {node.kind}, not text")
            return None
        return self.clean(key, node.text)

    def clean(self, key: str, text: str) -> str:
        if _CONTROL.search(text):
            self.fault(key, "it has a control character")
        return " ".join(text.split())

    def read_names(self, kind: str) -> dict[str, Any]:
        stack, version, package = (self.read_line(key) or "" for key in ("stack", "version", "package"))
        if "stack" in self.keys and not STACK_NAME.match(stack):
            self.fault("stack", f"{stack!r} cannot name a stack")
        if "version" in self.keys and (fault := find_version_fault(version)):
            self.fault("version", f"the version {version!r} {fault}")
        if "package" in self.keys and not SOURCE_NAME.match(package):
            self.fault("package", f"{package!r} cannot name a Debian package")
        elif kind == ROS and stack and package and package != stack.replace("_", "-"):
            self.fault(
                "package", f"it is {package!r} and not the stack's name with dashes, {stack.replace('_', '-')!r}"
            )
        return {"stack": stack, "version": version, "package": package}

    def read_tarball(self, found: Mapping[str, Any]) -> dict[str, Any]:
        sound = not find_version_fault(found["version"])
        tarball = self.read_line("tarball")
        if tarball is None and sound:
            tarball = f"{name_release(found['stack'], found['version'])}.tar.bz2"
        elif tarball is not None and (fault := find_name_fault(tarball)):
            self.fault("tarball", fault)
        md5sum, sha256 = self.read_digest("md5sum", MD5), self.read_digest("sha256", SHA256)
        if "md5sum" not in self.keys and "sha256" not in self.keys:
            self.faults.append("it has neither sha256 nor md5sum")
        elif "sha256" not in self.keys:
            self.remarks.append("it has no digest of its tarball but an MD5, which whoever wants to can forge")
        return {"tarball": tarball, "size": self.read_size(self.keys, "size"), "md5sum": md5sum, "sha256": sha256}

    def read_digest(self, key: str, pattern: re.Pattern[str]) -> str | None:
        text = self.read_line(key)
        if key in self.keys and (text is None or not pattern.match(text)):
            self.fault(key, f"{text!r} is no digest")
        return text

    def read_size(self, keys: Mapping[str, Node], key: str) -> int | None:
        node = keys.get(key)
        if node is None:
            return None
        if node.text is None or not re.fullmatch(r"[0-9]{1,18}", node.text, re.ASCII):
            self.fault(key, f"{node.text!r} is no number of bytes", node=node)
            return None
        return int(node.text)

    def read_dsc(self) -> dict[str, Any]:
        dsc = self.read_line("dsc")
        node = self.keys.get("files")
        files = [file for each in (node.items or [] if node else []) if (file := self.read_file(each)) is not None]
        names = [file["name"] for file in files]
        if dsc is None or dsc not in names or not dsc.endswith(".dsc") or len(set(names)) != len(names):
            self.faults.append("its files are not a .dsc, which dsc names, and what that names, each once")
        return {"dsc": dsc, "files": files}

    def read_file(self, node: Node) -> dict[str, Any] | None:
        fields = node.mapping or {}
        name, sha256 = (fields[key].text if key in fields else None for key in ("name", "sha256"))
        size = self.read_size(fields, "size")
        if find_name_fault(name) or not sha256 or not SHA256.match(sha256) or size is None:
            self.fault("files", "a file is a mapping of a good name, size and sha256", node=node)
            return None
        return {"name": name, "size": size, "sha256": sha256}

    def read_about(self) -> dict[str, Any]:
        about = {key: self.read_line(key) for key in ("homepage", "maintainer", "contact", "priority")}
        brief = self.read_line("description-brief")
        if about["homepage"] and " " in about["homepage"]:
            self.fault("homepage", f"{about['homepage']!r} is no address")
        if "maintainer" in self.keys and not about["maintainer"]:
            self.fault("maintainer", "it names nobody")
        if about["priority"] not in (None, *PRIORITIES):
            self.fault("priority", f"it is {about['priority']!r}, not {', '.join(PRIORITIES)}")
        if brief and len(brief) > MAX_BRIEF:
            self.fault("description-brief", f"it has {len(brief)} characters, and at most {MAX_BRIEF} may be")
        return {**about, "description-brief": brief or "", "description-full": self.read_description()}

    def read_description(self) -> str:
        node = self.keys.get("description-full")
        if node is None or node.value is None:
            return ""
        if node.text is None:
            self.fault("description-full", f"it is {node.kind}, not text")
            return ""
        self.clean("description-full", node.text)
        lines = [line.rstrip() for line in node.text.replace("\r\n", "\n").split("\n")]
        if "format" not in self.keys and all(not line or line.startswith(" ") for line in lines):
            lines = ["" if line == " ." else line[1:] for line in lines]
        return "\n".join(lines).strip("\n")

    def read_list(self, key: str, pattern: re.Pattern[str], what: str) -> list[str]:
        names = []
        for node in self.read_items(key):
            if node.text is None or not pattern.match(node.text):
                self.fault(key, f"{node.text!r} cannot name {what}", node=node)
            elif node.text in names:
                self.fault(key, f"{node.text} is there twice", node=node)
            else:
                names.append(node.text)
        return names

    def read_items(self, key: str, node: Node | None = None) -> list[Node]:
        node = node or self.keys.get(key)
        if node is None or node.value is None:
            return []
        if node.items is None:
            self.fault(key, f"it is {node.kind}, not a list", node=node)
        return node.items or []

    def read_rosdeps(self) -> dict[str, list[str]]:
        node = self.keys.get("rosdeps")
        if node is None:
            return {}
        if not node.mapping:
            self.fault("rosdeps", "it is no mapping of platforms to lists of packages, or there are none")
            return {}
        found = {}
        for platform, below in node.mapping.items():
            if not PLATFORM_NAME.match(platform):
                self.fault("rosdeps", f"{platform!r} cannot name a platform", node=below)
            found[platform] = sorted(set(self.read_relations(platform, below)))
        return dict(sorted(found.items()))

    def read_relations(self, platform: str, node: Node) -> list[str]:
        relations = []
        for item in self.read_items("rosdeps", node):
            try:
                relations += split_relations(item.text if item.text is not None else f"({item.kind})")
            except ValueError as error:
                self.fault("rosdeps", f"{platform}: {error}", node=item)
        return relations

    def read_source(self) -> dict[str, str] | None:
        node = self.keys.get("source")
        if node is None or node.value is None:
            return None
        if node.mapping is None or any(each.text is None for each in node.mapping.values()):
            self.fault("source", "it is no mapping of texts")
            return None
        return {key: self.clean("source", each.text or "") for key, each in node.mapping.items()}


def _make_node(value: Any) -> Node:
    """A value as a parser would have read it, from no line."""
    if isinstance(value, Mapping):
        return Node({str(key): _make_node(each) for key, each in value.items()}, 0)
    if isinstance(value, (list, tuple)):
        return Node([_make_node(each) for each in value], 0)
    return Node(value if value is None else str(value), 0)


class _Quoted(str):
    """A text that other readers of YAML could take for a number."""


class _Block(str):
    """A text of several lines."""


def _mark(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _mark(each, name) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mark(each) for each in value]
    if isinstance(value, str) and "\n" in value:
        return _Block(value)
    return _Quoted(value) if isinstance(value, str) and key in QUOTED else value


@lru_cache(maxsize=1)
def _make_dumper() -> Any:
    if yaml is None:
        do_next = "Install Debian's python3-yaml (or PyYAML by pip) and run again."
        raise SlipwayError("write", "YAML", "Python's PyYAML is missing", do_next=do_next)

    class Dumper(yaml.SafeDumper):
        """Writes in the one style; never the C library's, which folds lines elsewhere."""

        def ignore_aliases(self, _data: object) -> bool:
            return True

    for kind, style in ((_Quoted, '"'), (_Block, "|")):
        Dumper.add_representer(kind, partial(_represent, style))
    return Dumper


def _represent(style: str, dumper: Any, data: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(data), style=style)
