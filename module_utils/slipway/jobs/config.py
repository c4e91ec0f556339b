# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a job is made of: XML as XStream writes it, compared as far as it is asserted.

A server gives a job back in other words than it was given. It adds elements with defaults and the plugins' versions,
orders and indents anew, and writes what it has in two places as a reference. Hudson 3 moves most of a job into a map
of properties, the first time that it writes it by itself. From then on it goes by that map, and takes a job's builders
from elsewhere only where it is given an empty map with them: else it keeps the old ones, and does not say so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from ..errors import SlipwayError
from ..stack.xmltext import MAX_NODES, Element, NotXmlError, read_xml

#: The map in which Hudson 3 keeps what its cascading jobs can inherit.
PROPERTIES = "project-properties"
#: Its properties that are called otherwise where a job begins, with the element of the value.
RENAMED = {"appointedNode": ("assignedNode", "nodeName")}
PARAMETERS = "parametersDefinitionProperties"
#: What a server writes for itself.
OWN = frozenset({"actions", "creationTime", "createdBy", "cascadingChildrenNames"})
#: Attributes that say with what a server wrote an element, and those of elements of which not every server writes it.
WRITTEN_BY = frozenset({"plugin", "reference", "resolves-to"})
SOME_WRITE = frozenset({("triggers", "class")})
#: Lists of which every entry counts. Of others, such as publishers, each class is there once at most.
LISTS = frozenset({"builders", "parameterDefinitions"})
SECRET = re.compile(r"token|passw|passphrase|secret|private.?key|credential", re.IGNORECASE)
#: Jenkins writes XML 1.1, which expat does not read, and of which a job has nothing that 1.0 lacks.
DECLARATION = re.compile(r"\A\ufeff?\s*<\?xml\b[^>]*\?>")
HIDDEN, ANOTHER = "(hidden)", "(hidden, another one)"


def read_config(text: str, *, attempt: str, on: str, do_next: str) -> Element:
    """The root of a job's XML, with references followed."""
    try:
        root = _References(read_xml(DECLARATION.sub("", text).encode("utf-8"))).resolve()
    except (NotXmlError, UnicodeError) as error:
        raise SlipwayError(attempt, on, str(error), do_next=do_next) from error
    return root


def unfold_properties(root: Element, *, wrappers: Collection[str] = ()) -> Element:
    """A job with what Hudson 3 keeps in its map where it is in jobs of any other server.

    The map does not say whether a class is a publisher or one of the ``wrappers``.
    """
    held = root.find(PROPERTIES)
    if held is None:
        return root
    job = Element(root.name, root.attributes, root.line, [each for each in root.content if each is not held])
    for entry in held.find_all("entry"):
        key, values = entry.find_text("string"), [each for each in entry.children if each.name != "string"]
        value = values[0].find("originalValue") if values else None
        if key and value is not None:
            _put_property(job, key, values[0].name, value, wrappers)
    return job


def empty_properties(root: Element) -> Element:
    """A job for which Hudson 3 makes its map anew."""
    held = Element(PROPERTIES, {"class": "concurrent-hash-map"}, root.line)
    content = [each for each in root.content if not (isinstance(each, Element) and each.name == PROPERTIES)]
    return Element(root.name, root.attributes, root.line, [held, *content])


def _put_property(job: Element, key: str, kind: str, value: Element, wrappers: Collection[str]) -> None:
    made = value.attributes.get("class", "")
    if key == PARAMETERS:
        properties = _provide(job, "properties")
        properties.content += [each for each in value.children if properties.find(each.name) is None]
    elif kind == "trigger-property":
        _provide(job, "triggers").content.append(Element(made, {}, value.line, value.content))
    elif kind == "external-property":
        place = "buildWrappers" if made in wrappers else "publishers"
        _provide(job, place).content.append(Element(made, {}, value.line, value.content))
    elif key in RENAMED:
        name, inner = RENAMED[key]
        _replace(job, Element(name, {}, value.line, [value.find_text(inner)]))
    else:
        attributes = {} if kind in ("describable-list-property", "integer-property") else value.attributes
        _replace(job, Element(key, attributes, value.line, value.content))


def _provide(job: Element, name: str) -> Element:
    """The child of that name, which is made if it is absent."""
    found = job.find(name)
    if found is None:
        found = Element(name, {}, job.line)
        job.content.append(found)
    return found


def _replace(job: Element, new: Element) -> None:
    job.content = [each for each in job.content if not (isinstance(each, Element) and each.name == new.name)]
    job.content.append(new)


def set_text(root: Element, name: str, text: str) -> Element:
    """The same job with one of its elements being that text."""
    job = Element(root.name, root.attributes, root.line, list(root.content))
    _replace(job, Element(name, {}, root.line, [text]))
    return job


def list_wrappers(*roots: Element) -> set[str]:
    """The classes of what wraps the builds of these jobs."""
    found = [root.find("buildWrappers") for root in roots]
    return {each.name for wrappers in found if wrappers is not None for each in wrappers.children}


def drop_own(root: Element) -> Element:
    """A job without what the server wrote for itself, for a copy."""
    content = [each for each in root.content if not (isinstance(each, Element) and each.name in OWN)]
    return Element(root.name, root.attributes, root.line, content)


def merge_configs(under: Element, over: Element) -> Element:
    """One job over another: what it asserts replaces, everything else stays."""
    if _read_text(over) or _is_list(over):
        return over
    children = {each.name: each for each in over.children}
    content: list[str | Element] = []
    for each in under.children:
        mine = children.pop(each.name, None)
        content.append(each if mine is None else merge_configs(each, mine))
    if not under.children and not over.children:
        return over
    return Element(over.name, {**under.attributes, **over.attributes}, over.line, [*content, *children.values()])


def select_asserted(asserted: Element, actual: Element) -> Element:
    """Of a job the part that is asserted; equal to what is asserted if the job is as it should be."""
    attributes = {name: value for name, value in _read_attributes(actual).items() if name in asserted.attributes}
    if not asserted.children and not _is_list(asserted):
        # An empty element says that it is there, and nothing of what is in it.
        held = [] if actual.children and not _read_text(asserted) else _read_content(actual)
        return Element(asserted.name, attributes, actual.line, held)
    content: list[str | Element] = []
    if _is_list(asserted):
        pairs = dict(enumerate(asserted.children))
        for number, each in enumerate(actual.children):
            mine = pairs.get(number)
            same = mine is not None and mine.name == each.name
            content.append(select_asserted(mine, each) if same and mine is not None else simplify(each))
        return Element(asserted.name, attributes, actual.line, content)
    for mine in asserted.children:
        found = actual.find(mine.name)
        if found is not None:
            content.append(select_asserted(mine, found))
        elif _is_default(mine):
            content.append(simplify(mine))
    return Element(asserted.name, attributes, actual.line, content)


def simplify(element: Element) -> Element:
    """The same without what says nothing: white space around texts and elements, and versions of plugins."""
    return Element(element.name, _read_attributes(element), element.line, _read_content(element))


def _read_attributes(element: Element) -> dict[str, str]:
    return {
        name: value
        for name, value in element.attributes.items()
        if name not in WRITTEN_BY and (element.name, name) not in SOME_WRITE
    }


def _read_content(element: Element) -> list[str | Element]:
    children = [simplify(each) for each in element.children]
    text = _read_text(element)
    return [*children] if children else [text] if text else []


def _read_text(element: Element) -> str:
    """The text of an element that has no others in it."""
    if element.children:
        return ""
    text = "".join(each for each in element.content if isinstance(each, str))
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _is_list(element: Element) -> bool:
    counts = Counter(each.name for each in element.children)
    return element.name in LISTS or any(count > 1 for count in counts.values())


def _is_default(element: Element) -> bool:
    """Whether a job without the element says the same."""
    if element.name in LISTS:
        return not element.children
    return all(map(_is_default, element.children)) and _read_text(element) in ("", "false")


def find_differences(wanted: Element, found: Element, path: str = "") -> Iterator[str]:
    """Where two simple forms differ, as paths."""
    here = f"{path}/{wanted.name}"
    names = Counter(each.name for each in wanted.children), Counter(each.name for each in found.children)
    if wanted.name != found.name or wanted.attributes != found.attributes or _read_text(wanted) != _read_text(found):
        yield here
    elif _is_list(wanted) or _is_list(found):
        pairs = list(zip(wanted.children, found.children, strict=False))
        if names[0] != names[1] or any(mine.name != other.name for mine, other in pairs):
            yield here
        else:
            for mine, other in pairs:
                yield from find_differences(mine, other, here)
    else:
        for mine in wanted.children:
            same = found.find(mine.name)
            if same is None:
                yield f"{here}/{mine.name}"
            else:
                yield from find_differences(mine, same, here)


def hide_secrets(element: Element, other: Element | None = None, *, secret: bool = False) -> Element:
    """The same with texts that may be secrets hidden, and it said which are not those of ``other``."""
    secret = secret or SECRET.search(element.name) is not None
    content: list[str | Element] = []
    for number, each in enumerate(element.content):
        if isinstance(each, Element):
            content.append(hide_secrets(each, _find_same(each, number, other), secret=secret))
        elif secret and each.strip():
            content.append(HIDDEN if other is not None and other.content == element.content else ANOTHER)
        else:
            content.append(each)
    return Element(element.name, element.attributes, element.line, content)


def _find_same(element: Element, number: int, other: Element | None) -> Element | None:
    if other is None:
        return None
    if _is_list(other):
        found = other.children[number] if number < len(other.children) else None
        return found if found is not None and found.name == element.name else None
    return other.find(element.name)


def format_config(root: Element) -> str:
    """A job as XML: what is in an element is below it, two columns further in."""
    return "".join(["<?xml version='1.0' encoding='UTF-8'?>\n", *_format_element(root, "")])


def _format_element(element: Element, indent: str) -> Iterator[str]:
    given = "".join(f" {name}={quoteattr(value)}" for name, value in element.attributes.items())
    start = f"{indent}<{element.name}{given}"
    if element.children:
        yield f"{start}>\n"
        for each in element.children:
            yield from _format_element(each, f"{indent}  ")
        yield f"{indent}</{element.name}>\n"
        return
    text = "".join(each for each in element.content if isinstance(each, str))
    # A reader makes one of every end of a line, unless it is written as its number.
    yield f"{start}>{escape(text, {chr(13): '&#13;'})}</{element.name}>\n" if text else f"{start}/>\n"


class _References:
    """Follows XStream's references, each a path from the element that has it."""

    def __init__(self, root: Element) -> None:
        self.root, self.nodes = root, 0
        self.followed: list[Element] = []

    def resolve(self) -> Element:
        return self.copy(self.root, ())

    def copy(self, element: Element, above: Sequence[Element]) -> Element:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise NotXmlError(f"it has more than {MAX_NODES} elements, with those that it refers to")
        path = element.attributes.get("reference")
        found = self.follow(path, element, above) if path else None
        if found is not None and not any(found[0] is each for each in self.followed):
            self.followed.append(found[0])
            target = self.copy(*found)
            self.followed.pop()
            attributes = {**target.attributes, **element.attributes}
            attributes.pop("reference")
            return Element(element.name, attributes, element.line, target.content)
        content = [each if isinstance(each, str) else self.copy(each, (*above, element)) for each in element.content]
        return Element(element.name, element.attributes, element.line, content)

    def follow(self, path: str, element: Element, above: Sequence[Element]) -> tuple[Element, Sequence[Element]] | None:
        """What a path leads to, and what that is in."""
        trail = [*above, element]
        steps = path.split("/")
        if path.startswith("/"):
            trail, steps = [self.root], steps[2:]
        for step in steps:
            if step == "..":
                trail.pop()
            elif step != ".":
                name, _bracket, number = step.rstrip("]").partition("[")
                found = trail[-1].find_all(name) if trail else []
                at = int(number) if number.isdecimal() else 1
                if not 1 <= at <= len(found):
                    return None
                trail.append(found[at - 1])
            if not trail:
                return None
        return trail[-1], trail[:-1]
