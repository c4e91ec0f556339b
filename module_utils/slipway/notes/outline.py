# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which notes a release has, where they go, and what stands in each: the main ones, and those of products.

The main notes are those of the project, called by its name; a product has notes of its own if its policy says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..publish.package import MANIFEST
from ..release.names import fill_places

Plain = Mapping[str, Any]
#: What the settings of notes may be made of, each between braces.
#: Drafts that have a place of their own in the notes; others follow in the order of their names.
PLACED = ("introduction", "upgrade", "known-issues", "thanks", "blog")
HEADINGS = {"upgrade": "Upgrading", "known-issues": "Known issues", "thanks": "Thanks"}
HEADING = re.compile(r"\s*#{1,2} +(?P<title>[^\n]*?)[ #]*\n(?P<text>.*)\Z", re.DOTALL)


def outline_notes(plan: Plain, settings: Plain) -> list[dict[str, Any]]:
    """The notes of a release, the main ones first: names, titles and places, with every placeholder filled.

    ``settings`` are those of the main notes, which are also what products do not say: ``title path repository branch
    url drafts required``.
    """
    products = {product["name"]: product for product in plan.get("products") or []}
    own = _read(products.get(plan["project"]))
    said: Plain = {"template": "notes.mdwn.j2", **settings, **_given(own)}
    main = _outline(plan, said, name=plan["project"], title=settings["title"], kind="main")
    outlines = [main]
    for name, product in products.items():
        said = _read(product)
        if not said or name == plan["project"]:
            continue
        defaults = {
            "title": "{title} {version}",
            "path": _beside(str(settings["path"]), name),
            "drafts": f"{settings['drafts']}/{name}",
            "template": "product.mdwn.j2",
            **{key: settings[key] for key in ("repository", "branch")},
        }
        title = product.get("title") or name
        outlines.append(_outline(plan, {**defaults, **_given(said)}, name=name, title=title, kind="product"))
    return outlines


def fill_notes(
    outlines: Sequence[Plain],
    plan: Plain,
    records: Plain,
    *,
    changes: Plain,
    drafts: Mapping[str, Mapping[str, str]],
    bills: Sequence[Plain] = (),
) -> list[dict[str, Any]]:
    """What templates show, for each of the notes: files, systems, changes, what people wrote, and what was waived.

    ``bills`` are what changed in the bills of materials of systems.
    """
    published = _find_files(plan, records)
    filled: list[dict[str, Any]] = []
    for outline in outlines:
        name, is_main = outline["name"], outline["kind"] == "main"
        written = {part: text.strip("\n") for part, text in (drafts.get(name) or {}).items() if text.strip()}
        deployments = [each for each in _list_deployments(plan) if is_main or each.get("product") == name]
        names = [each["file"] for each in deployments]
        called = {each["name"] for each in deployments}
        used = {each.get("system_name") for each in deployments}
        filled.append(
            {
                **outline,
                "files": [each for each in published if is_main or _is_of(each["name"], names)],
                "systems": [each for each in plan["systems"] if is_main or each["name"] in used],
                "skipped": plan["skipped"] if is_main else [],
                "changes": changes if is_main else _find_changes(changes, name, names),
                "bills": [each for each in bills if is_main or each["product"] == name],
                "introduction": written.get("introduction", ""),
                "sections": {key: _read_section(key, written[key]) for key in HEADINGS if written.get(key)},
                "more": [_read_section(key, text) for key, text in sorted(written.items()) if key not in PLACED],
                "blog_text": written.get("blog", ""),
                "waived": _find_waived(records, None if is_main else {*names, *used, *called}),
            }
        )
    for each in filled:
        each["products"] = [other for other in filled if other["kind"] == "product"] if each["kind"] == "main" else []
        each["main"] = {key: filled[0][key] for key in ("title", "url", "path")}
    return filled


def list_places(outlines: Sequence[Plain], rules: Sequence[Plain]) -> list[dict[str, str]]:
    """Each branch that notes, blogs and pages which rules move are committed to: ``name url branch``."""
    blogs = [each["blog"] for each in outlines if each["blog"]]
    named = (
        [("wiki", each) for each in outlines]
        + [("website", each) for each in rules]
        + [("blog", each) for each in blogs]
    )
    places = {
        (str(each["repository"]), str(each.get("branch") or "main")): name
        for name, each in reversed(named)
        if each["repository"]
    }
    return [{"name": name, "url": url, "branch": branch} for (url, branch), name in reversed(places.items())]


def _outline(plan: Plain, said: Plain, *, name: str, title: str, kind: str) -> dict[str, Any]:
    names = {
        **{key: str(plan[key]) for key in ("project", "version", "label")},
        "product": name,
        "title": title,
    }
    places = {
        key: fill_places(str(said.get(key) or ""), names)
        for key in ("title", "path", "repository", "branch", "url", "drafts", "template")
    }
    blog = said.get("blog")
    return {
        "name": name,
        "kind": kind,
        **places,
        "required": list(said.get("required") or []),
        "blog": _outline_blog(blog, names, {**places, "name": name}) if blog else None,
    }


def _outline_blog(blog: Plain, names: Mapping[str, str], notes: Plain) -> dict[str, str]:
    suffix = "md" if blog.get("format") == "markdown" else "html"
    defaults = {
        "title": notes["title"],
        "repository": "",
        "branch": "main",
        "path": f"blog/{names['label']}-{notes['name']}.{suffix}",
        "template": "blog.md.j2",
        "format": "html",
    }
    return {key: fill_places(str(blog.get(key) or default), names) for key, default in defaults.items()}


def _read(product: Plain | None) -> Plain:
    return (product or {}).get("notes") or {}


def _given(said: Plain) -> dict[str, Any]:
    """What is said; the rest is left to defaults."""
    return {key: value for key, value in said.items() if value not in (None, "", [])}


def _beside(path: str, name: str) -> str:
    """The path of a product's notes beside the main ones."""
    stem, dot, suffix = path.rpartition(".")
    return f"{stem}-{name}.{suffix}" if dot and "/" not in suffix else f"{path}-{name}"


def _list_deployments(plan: Plain) -> list[Plain]:
    return [*plan["deployments"], *(plan.get("extras") or [])]


def _find_files(plan: Plain, records: Plain) -> list[dict[str, Any]]:
    """What is public; before that what is packaged, or what will be made."""
    for stage in ("publication", "package"):
        outputs = (records.get(stage) or {}).get("outputs") or {}
        if outputs.get("files"):
            return [dict(each) for each in outputs["files"]]
    return [{"name": each["file"], "size": None, "sha256": None} for each in _list_deployments(plan)]


def _find_changes(changes: Plain, product: str, names: Sequence[str]) -> Plain:
    """What changed in a product."""
    if "files" not in changes:
        return (changes.get("products") or {}).get(product) or {"previous": None, "changes": [], "total": 0}
    return {**changes, "files": [each for each in changes["files"] if _is_of(each["name"], names)], "same": 0}


def _is_of(published: str, names: Sequence[str]) -> bool:
    """Whether a published file is one of these, as it is or compressed."""
    return published != MANIFEST and any(
        published == name or (published.startswith(f"{name}.") and published.count(".") == name.count(".") + 1)
        for name in names
    )


def _read_section(part: str, text: str) -> dict[str, str]:
    """A draft with its heading: its own, if it begins with one."""
    found = HEADING.match(text)
    if found:
        return {"title": found["title"], "text": found["text"].strip("\n")}
    return {"title": HEADINGS.get(part) or part.replace("-", " ").capitalize(), "text": text.strip("\n")}


def _find_waived(records: Plain, subjects: Collection[str | None] | None) -> list[dict[str, Any]]:
    """What a gate found and somebody accepted, of all or of some subjects."""
    outputs = (records.get("gate") or {}).get("outputs") or {}
    lists = [value for value in outputs.values() if isinstance(value, list)]
    results = [each for value in lists for each in value if isinstance(each, dict)]
    return [
        {key: str(each.get(key) or "") for key in ("gate", "subject", "fault", "reason")}
        for each in results
        if each.get("result") == "waived"
        and (subjects is None or not {each.get("subject"), each.get("system")}.isdisjoint(subjects))
    ]
