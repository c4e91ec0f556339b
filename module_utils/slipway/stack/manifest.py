# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manifests: ``stack.xml`` and ``manifest.xml`` of rosbuild, ``package.xml`` of catkin in its formats 1, 2 and 3.

A dependency whose ``condition`` does not hold for ROS 1 does not count; one whose condition cannot be judged counts,
with a remark. What only tests and documentation need (``test_depend``, ``doc_depend``) is no dependency of a package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..escape import escape_line
from .conditions import is_met
from .htmltext import convert_html
from .tree import read_inside
from .xmltext import Element, NotXmlError, read_xml

STACK, PACKAGE, CATKIN = "stack.xml", "manifest.xml", "package.xml"
#: The names of stacks, as distro files have them, and of packages.
STACK_NAME = re.compile(r"[a-z0-9][a-z0-9_+.-]*\Z")
PACKAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]*\Z")
#: What a package needs to be built and to run, by the format of its package.xml.
NEEDS: Mapping[str, Sequence[str]] = {
    "1": ("build_depend", "buildtool_depend", "run_depend"),
    "2": (
        *("depend", "build_depend", "build_export_depend", "buildtool_depend", "buildtool_export_depend"),
        "exec_depend",
    ),
}
NEEDS = {**NEEDS, "3": NEEDS["2"]}
ALL_NEEDS = ("depend", "run_depend", *(name for name in NEEDS["2"] if name != "depend"))
MAINTAINED = "Maintained by "
#: More than a description has; the time that HTML takes which is none grows with the square of its length.
MAX_MARKUP = 16_384


@dataclass(frozen=True)
class About:
    """What a manifest says of its project, as plain text; ``version`` is empty if it says none."""

    name: str = ""
    version: str = ""
    brief: str = ""
    description: str = ""
    maintainer: str = ""
    license: str = ""
    homepage: str = ""
    review: str = ""
    depends: tuple[str, ...] = ()


@dataclass(frozen=True)
class Package:
    """A ROS package: ``path`` is its directory's below the tree, ``needs`` are packages, or keys of catkin's.

    ``keys`` are what it calls rosdeps itself.
    """

    name: str
    path: str
    needs: tuple[str, ...]
    keys: tuple[str, ...] = ()
    about: About = About()
    is_metapackage: bool = False


@dataclass
class ManifestReader:
    """Reads manifests of the tree ``top``; every fault and remark names the file and, where there is one, the line."""

    top: Path
    distribution: str = ""
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def read_stack(self) -> About:
        """What ``stack.xml`` says."""
        root = self.read_root(STACK, "stack")
        if root is None:
            return About()
        brief, text = self._read_description(root, STACK)
        depends = []
        for depend in root.find_all("depend"):
            name = depend.attributes.get("stack", "")
            if STACK_NAME.match(name):
                depends.append(name)
            else:
                self.faults.append(f"{STACK} line {depend.line}: it depends on {name!r}, which cannot name a stack")
        return About(
            name=root.attributes.get("name", "").strip(),
            version=self._read_rosbuild_version(root),
            brief=brief,
            description=text,
            maintainer=_strip_maintained(root.find_text("author")),
            license=root.find_text("license"),
            homepage=root.find_text("url"),
            review=_read_review(root),
            depends=tuple(dict.fromkeys(depends)),
        )

    def read_package(self, directory: str, name: str) -> Package:
        """What the ``manifest.xml`` in ``directory`` says of the package ``name``."""
        path = f"{directory}/{PACKAGE}".lstrip("/")
        root = self.read_root(path, "package")
        self.check_name(name, path)
        if root is None:
            return Package(name, directory, ())
        needs = self._read_names(root.find_all("depend"), "package", path)
        keys = self._read_names(root.find_all("rosdep"), "name", path)
        brief, text = self._read_description(root, path)
        maintainer = _strip_maintained(root.find_text("author"))
        about = About(name, "", brief, text, maintainer, root.find_text("license"), root.find_text("url"))
        return Package(name, directory, needs, keys, about)

    def read_catkin(self, directory: str) -> Package:
        """What the ``package.xml`` in ``directory`` says."""
        path = f"{directory}/{CATKIN}".lstrip("/")
        root = self.read_root(path, "package")
        if root is None:
            return Package("", directory, ())
        style = root.attributes.get("format", "1").strip()
        if style not in NEEDS:
            self.faults.append(f"{path} line {root.line}: it is of format {style!r}, and known are 1, 2 and 3")
        for required in ("name", "version", "description", "maintainer", "license"):
            # Of a maintainer the address alone will do, which is an attribute.
            if root.find(required) is None or not (root.find_text(required) or required == "maintainer"):
                self.faults.append(f"{path} line {root.line}: it has no {required}")
        name = root.find_text("name")
        if name:
            self.check_name(name, path)
        brief, text = self._read_description(root, path)
        about = About(
            name=name,
            version=root.find_text("version"),
            brief=brief,
            description=text,
            maintainer=self._read_maintainers(root, path),
            license=", ".join(each.text for each in root.find_all("license")),
            homepage=_choose_url(root),
        )
        export = root.find("export")
        is_metapackage = export is not None and export.find("metapackage") is not None
        return Package(name, directory, self._read_needs(root, style, path), (), about, is_metapackage)

    def read_root(self, path: str, name: str) -> Element | None:
        """The root element of a manifest; a fault if there is none of that name."""
        try:
            root = read_xml(read_inside(self.top, path))
        except (NotXmlError, OSError) as error:
            self.faults.append(f"{path}: {getattr(error, 'strerror', None) or error}")
            return None
        if root.name != name:
            self.faults.append(f"{path} line {root.line}: it is a {root.name!r}, not a {name!r}")
            return None
        return root

    def check_name(self, name: str, where: str) -> None:
        """A fault for what cannot name a package."""
        if not PACKAGE_NAME.match(name):
            self.faults.append(f"{where}: {name!r} cannot name a package")

    def _read_description(self, root: Element, path: str) -> tuple[str, str]:
        element = root.find("description")
        if element is None:
            return "", ""
        markup = element.markup
        if len(markup) > MAX_MARKUP:
            self.remarks.append(f"{path} line {element.line}: its description is cut after {MAX_MARKUP} characters")
        return escape_line(element.attributes.get("brief", "")), convert_html(markup[:MAX_MARKUP])

    def _read_rosbuild_version(self, root: Element) -> str:
        """The version, which is an attribute, an element, or in CMakeLists.txt; several must be the same."""
        said = {
            "the attribute version": root.attributes.get("version", "").strip(),
            "the element version": root.find_text("version"),
            "CMakeLists.txt": self._read_cmake_version(),
        }
        found = {where: version for where, version in said.items() if version}
        if len(set(found.values())) > 1:
            text = ", ".join(f"{version} in {where}" for where, version in found.items())
            self.faults.append(f"{STACK} line {root.line}: the stack has several versions: {text}")
        return next(iter(found.values()), "")

    def _read_cmake_version(self) -> str:
        try:
            text = read_inside(self.top, "CMakeLists.txt").decode("utf-8", "replace")
        except OSError:
            return ""
        found = re.search(r"^[ \t]*rosbuild_make_distribution[ \t]*\([ \t]*([^\s()]+)[ \t]*\)", text, re.MULTILINE)
        return found[1] if found and "$" not in found[1] else ""

    def _read_names(self, elements: Sequence[Element], attribute: str, path: str) -> tuple[str, ...]:
        names = []
        for element in elements:
            name = element.attributes.get(attribute, "").strip()
            if PACKAGE_NAME.match(name):
                names.append(name)
            else:
                self.faults.append(f"{path} line {element.line}: it depends on {name!r}, which cannot be a name")
        return tuple(dict.fromkeys(names))

    def _read_needs(self, root: Element, style: str, path: str) -> tuple[str, ...]:
        needs = []
        for element in root.children:
            if element.name not in ALL_NEEDS or not self._counts(element, path):
                continue
            if element.name not in NEEDS.get(style, ALL_NEEDS):
                self.remarks.append(f"{path} line {element.line}: format {style} has no {element.name}; it counts")
            if PACKAGE_NAME.match(element.text):
                needs.append(element.text)
            else:
                self.faults.append(
                    f"{path} line {element.line}: it depends on {element.text!r}, which cannot be a name"
                )
        return tuple(dict.fromkeys(needs))

    def _counts(self, element: Element, path: str) -> bool:
        """Whether the condition of a dependency holds."""
        condition = element.attributes.get("condition")
        if condition is None:
            return True
        values = {"ROS_VERSION": "1", "ROS_DISTRO": self.distribution, "ROS_PYTHON_VERSION": "3"}
        try:
            return is_met(condition, values)
        except ValueError as error:
            where = f"{path} line {element.line}"
            self.remarks.append(f"{where}: the condition of {element.text} cannot be judged ({error}); it counts")
            return True

    def _read_maintainers(self, root: Element, path: str) -> str:
        people = []
        for element in root.find_all("maintainer"):
            name, email = _strip_maintained(element.text), element.attributes.get("email", "").strip()
            if not re.fullmatch(r"[^\s@<>,]+@[^\s@<>,]+", email):
                self.faults.append(f"{path} line {element.line}: the maintainer {name!r} has no address of mail")
            people.append(f"{name} <{email}>".strip())
        return ", ".join(people)


def _read_review(root: Element) -> str:
    element = root.find("review")
    if element is None:
        return ""
    words = [element.attributes.get("status", ""), element.attributes.get("notes", ""), element.text]
    return escape_line(" ".join(words))


def _choose_url(root: Element) -> str:
    """The website of a package; without one, what its first address is for."""
    urls = root.find_all("url")
    sites = [each for each in urls if each.attributes.get("type", "website") == "website"]
    return next((each.text for each in [*sites, *urls]), "")


def _strip_maintained(text: str) -> str:
    """A person without the words that some manifests put before him."""
    line = escape_line(text)
    return line[len(MAINTAINED) :].strip() if line.lower().startswith(MAINTAINED.lower()) else line
