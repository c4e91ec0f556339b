# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The release notes that a product has of its own."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Any

from ..release.names import PLACE, find_ref_fault
from .values import describe_kind, find_key_faults, read_line, show, suggest

#: What the texts may have between braces.
PLACES = ("label", "product", "project", "title", "version")
ANY = re.compile(r"\{([^{}]*)\}")
MOST_TEXT = 1000
TEXTS = ("title", "path", "repository", "branch", "url", "drafts", "template")
BLOG_TEXTS = ("title", "repository", "branch", "path", "template")
FORMATS = ("html", "markdown")
DRAFT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")


@dataclass(frozen=True)
class Blog:
    """A post for a blog, drafted beside the release or in a repository; what is empty has a default."""

    title: str = ""
    repository: str = ""
    branch: str = ""
    path: str = ""
    template: str = ""
    format: str = "html"


@dataclass(frozen=True)
class Notes:
    """Where the notes go, and what they need; what is empty is as of the main notes."""

    title: str = ""
    path: str = ""
    repository: str = ""
    branch: str = ""
    url: str = ""
    drafts: str = ""
    template: str = ""
    required: tuple[str, ...] = ()
    blog: Blog | None = None


def read_notes(value: object, where: str) -> tuple[Notes | dict[str, Any], list[str]]:
    """The notes of a product. One whose policy says nothing has none of its own, which is an empty mapping."""
    if value is None:
        return {}, []
    if not isinstance(value, dict):
        return {}, [f"{where}: it is {describe_kind(value)}, not a mapping, such as {{}} for notes with all defaults"]
    faults = find_key_faults(value, (*TEXTS, "required", "blog"), where)
    texts, wrong = _read_texts(value, TEXTS, where)
    required = value.get("required") or []
    if not isinstance(required, list) or not all(isinstance(each, str) and DRAFT.match(each) for each in required):
        wrong.append(f"{where}.required: it is {show(required)}, not a list of drafts, such as [known-issues]")
        required = []
    blog, worse = _read_blog(value.get("blog"), f"{where}.blog")
    return Notes(**texts, required=tuple(required), blog=blog), [*faults, *wrong, *worse]


def _read_blog(value: object, where: str) -> tuple[Blog | None, list[str]]:
    if value is None or value is False:
        return None, []
    if value is True:
        return Blog(), []
    if not isinstance(value, dict):
        return None, [f"{where}: it is {describe_kind(value)}, not a mapping, such as {{}} for one with all defaults"]
    faults = find_key_faults(value, (*BLOG_TEXTS, "format"), where)
    texts, wrong = _read_texts(value, BLOG_TEXTS, where)
    form = value.get("format") or "html"
    if form not in FORMATS:
        wrong.append(f"{where}.format: {form!r} is none{suggest(str(form), FORMATS)}; known are {', '.join(FORMATS)}")
        form = "html"
    return Blog(**texts, format=form), [*faults, *wrong]


def _read_texts(value: dict[str, Any], keys: tuple[str, ...], where: str) -> tuple[dict[str, str], list[str]]:
    found, faults = {}, []
    for key in keys:
        text = value.get(key)
        if text is None:
            continue
        if text == "":
            continue
        text, wrong = read_line(text, f"{where}.{key}", most=MOST_TEXT)
        faults += wrong or [
            *find_place_faults(text, f"{where}.{key}", PLACES, alone=True),
            *_find_text_faults(key, text, f"{where}.{key}"),
        ]
        found[key] = text
    return found, faults


def _find_text_faults(key: str, text: str, where: str) -> list[str]:
    """What is wrong with a path, a repository, a branch or an address; other texts may be any."""
    parts = posixpath.normpath(text).split("/")
    if key in ("path", "drafts") and (text.startswith("/") or parts == ["."] or ".." in parts or ".git" in parts):
        return [f"{where}: {text!r} is no path inside of a repository"]
    if key == "path" and text.endswith("/"):
        return [f"{where}: {text!r} is a directory; name the file"]
    if key == "repository" and text.startswith("-"):
        return [f"{where}: {text!r} is no address of a repository"]
    if key == "branch" and (fault := find_ref_fault(text)) is not None:
        return [f"{where}: {text!r} is no name of a branch: {fault}"]
    if key == "url" and not text.startswith(("https://", "http://")):
        return [f"{where}: {text!r} is no address that begins with https:// or http://"]
    return []


def find_place_faults(text: str, where: str, known: tuple[str, ...], *, alone: bool = False) -> list[str]:
    """A fault for each placeholder that is not known, and for other braces, if texts have braces ``alone``."""
    faults = [
        f"{where}: there is nothing to stand for {{{name}}}{suggest(name, known)}; known are "
        f"{', '.join(f'{{{each}}}' for each in known)}"
        for name in (ANY if alone else PLACE).findall(text)
        if name not in known
    ]
    if alone and {"{", "}"} & {*ANY.sub("", text)}:
        faults.append(f"{where}: {show(text)} has a brace without another one")
    return faults
