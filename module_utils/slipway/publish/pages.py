# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pages of a download server for people, one for each release and one that lists them, and the same for programs.

A release's directory holds its files and nothing else, so its page ``<label>.html`` and its notes ``<label>.md`` are
beside it. What the pages show is what is public, and nothing of the run that makes them: the same files give the same
bytes. Templates say how.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, name_refusals, refuse
from ..files import link_atomic, sync_directory, write_atomic
from .directory import lock_directory
from .feed import FEED, GENERATOR, LISTING, render_feed, render_listing
from .links import CURRENT
from .releases import Site, describe_site, find_current, name_notes, name_page

TOP = "index.html"
CURRENT_PAGE = name_page(CURRENT)
#: How many files are written at once.
WRITERS = 16
#: How what is ours is known; nothing else is replaced or removed.
MARK = f'<meta name="generator" content="{GENERATOR}">'
MARKS = {LISTING: f'"generator": "{GENERATOR}"', FEED: f"<generator>{GENERATOR}</generator>"}


@dataclass
class PagesUpdate:
    """What was written, and what was removed because its release is gone; before and after by name."""

    before: dict[str, str | None] = field(default_factory=dict)
    after: dict[str, str | None] = field(default_factory=dict)


def update_pages(
    site: Site, pages: Mapping[str, str], *, coming: str | None = None, check: bool = False
) -> PagesUpdate:
    """Write ``pages``, by their names, for what is public now; each is replaced in one step, the list last.

    A page that is not given stays, if it is as it was rendered.

    ``coming`` is the label of a release that may not be public yet when ``check`` only says what would be written.
    """
    site.check()
    with name_refusals("index", str(site.public)), lock_directory(site.public, attempt="index", check=check):
        described = describe_site(site)
        _check_pages(site, described, pages)
        return _update_pages(site, described, pages, coming if check else None, check=check)


def _check_pages(site: Site, described: Mapping[str, Any], pages: Mapping[str, str]) -> None:
    """Refuse pages that are not those of what is public, or that would not be known again as ours."""
    due = {TOP, *(release["page"] for release in described["releases"])}
    kept = {release["page"] for release in described["releases"] if release["source"] is not None}
    faults = [f"{name} is due and not given" for name in sorted(due - kept - pages.keys())]
    faults += [f"{name} is the page of no public release" for name in sorted(pages.keys() - due)]
    faults += [f"{name} lacks {MARK}" for name, text in sorted(pages.items()) if MARK not in text]
    refuse(
        "index",
        str(site.public),
        faults,
        summary="the pages are not usable",
        do_next="Keep that line in the template; if something was published meanwhile, run again.",
    )


def _update_pages(
    site: Site, described: Mapping[str, Any], pages: Mapping[str, str], coming: str | None, *, check: bool
) -> PagesUpdate:
    wanted, done = _list_texts(site, described, pages), PagesUpdate()
    due = {*wanted, *(release["page"] for release in described["releases"])}
    stale = _find_stale(site, due)
    before = {name: _read_ours(site.public / name) for name in [*wanted, *stale]}
    changed = {name: text for name, text in wanted.items() if before[name] != text}
    for names in _list_steps(wanted):
        if LISTING in names:  # nothing names a page before it is there
            _point_current(site, due, done, check=check)
        texts = {name: changed[name] for name in names if name in changed}
        done.before.update({name: before[name] for name in texts})
        done.after.update(texts)
        if not check:
            _write(site.public, texts)
    for name in stale:
        done.before[name], done.after[name] = before[name], None
        if not check:
            (site.public / name).unlink()
    if stale and not check:
        sync_directory(site.public)
    if coming is not None and name_page(coming) not in due:
        for name in (name_page(coming), LISTING, FEED, TOP):
            done.before[name], done.after[name] = None, f"{coming}, which is to be published\n"
    return done


def _list_steps(wanted: Mapping[str, str]) -> list[list[str]]:
    """The names of all pages, in steps: what names others is in a step after them."""
    last = (LISTING, FEED, TOP)
    others = [name for name in wanted if name not in last]
    notes = [name for name in others if name.endswith(".md")]
    return [notes, [name for name in others if name not in notes], *([name] for name in last)]


def _write(public: Path, texts: Mapping[str, str]) -> None:
    """Write pages, several at once: a disk that is told to sync many files needs hardly longer than for one."""
    with ThreadPoolExecutor(WRITERS) as pool:
        for _unused in pool.map(lambda name: write_atomic(public / name, texts[name].encode()), texts):
            pass


def _list_texts(site: Site, described: Mapping[str, Any], pages: Mapping[str, str]) -> dict[str, str]:
    """The texts by name, in the order in which they are written: what names others comes after them."""
    notes = {
        name_notes(release["label"]): release["notes"]
        for release in described["releases"]
        if release["notes"] is not None and release["label"] in site.notes
    }
    single = {name: text for name, text in pages.items() if name != TOP}
    return {**notes, **single, LISTING: render_listing(described), FEED: render_feed(described), TOP: pages[TOP]}


def _point_current(site: Site, due: Collection[str], done: PagesUpdate, *, check: bool) -> None:
    """``current.html`` leads to the page of the current release."""
    current, path = find_current(site), site.public / CURRENT_PAGE
    target, now = name_page(current or ""), str(path.readlink()) if path.is_symlink() else None
    if current is None and now is not None:  # every release is withdrawn
        done.before[CURRENT_PAGE], done.after[CURRENT_PAGE] = f"-> {now}\n", None
        if not check:
            path.unlink()
    if target not in due or now == target:
        return
    if now is None and path.exists():
        raise _not_ours_error(path)
    done.before[CURRENT_PAGE] = None if now is None else f"-> {now}\n"
    done.after[CURRENT_PAGE] = f"-> {target}\n"
    if not check:
        link_atomic(path, target)


def _find_stale(site: Site, due: Collection[str]) -> list[str]:
    """Pages of ours whose release is gone, and its notes with each."""
    if not site.public.is_dir():
        return []
    pages = sorted(
        path.name
        for path in site.public.glob(f"{site.project}-*.html")
        if path.name not in due and not path.is_symlink() and path.is_file() and _is_ours(path, _read(path))
    )
    notes = [name_notes(name.removesuffix(".html")) for name in pages]
    return [*pages, *(name for name in notes if (site.public / name).is_file())]


def _read_ours(path: Path) -> str | None:
    """The text of a page that is there; something else under its name is a failure, because it is not ours."""
    if not path.exists() and not path.is_symlink():
        return None
    text = None if path.is_symlink() or not path.is_file() else _read(path)
    if text is None or not _is_ours(path, text):
        raise _not_ours_error(path)
    return text


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _is_ours(path: Path, text: str) -> bool:
    """Whether it has our mark; notes are whatever somebody wrote."""
    return path.suffix == ".md" or MARKS.get(path.name, MARK) in text


def _not_ours_error(path: Path) -> SlipwayError:
    return SlipwayError("write the page", str(path), "something else is there", do_next="Move it away and run again.")
