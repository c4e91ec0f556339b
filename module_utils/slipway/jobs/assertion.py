# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Jobs are asserted: made if absent, brought up to date, removed only where that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..errors import SlipwayError
from ..stack.xmltext import Element
from .config import (
    drop_own,
    empty_properties,
    find_differences,
    format_config,
    hide_secrets,
    list_wrappers,
    merge_configs,
    read_config,
    select_asserted,
    set_text,
    simplify,
    unfold_properties,
)
from .server import check_name, check_token

#: The job on Hudson whose values others inherit.
CASCADING = "cascadingProjectName"


class Jobs(Protocol):
    """The jobs of a server; on one that folds, a change has an empty map of properties."""

    url: str
    folds: bool

    def read_config(self, name: str, /) -> str | None:
        """What a job is made of."""

    def create_job(self, name: str, config: str, /) -> None:
        """Make one."""

    def update_job(self, name: str, config: str, /) -> None:
        """Change one."""

    def delete_job(self, name: str, /) -> None:
        """Remove one."""


@dataclass(frozen=True)
class Wanted:
    """What is asserted of a job: over ``base``, the job that it is a copy of, ``config``, and the ``token``."""

    name: str
    config: str
    base: str = ""
    token: str = ""
    mend: bool = True


@dataclass(frozen=True)
class Asserted:
    """What was found, and what is to be: ``differences`` are paths; the texts are for people, without secrets.

    ``baseless`` says that the job which this one is a copy of is not there yet, and that the texts are without it.
    """

    changed: bool
    before: str = ""
    after: str = ""
    differences: tuple[str, ...] = ()
    baseless: bool = False


def ensure_job(jobs: Jobs, wanted: Wanted, *, write: bool = True) -> Asserted:
    """Have the job as it is asserted; without ``write`` only tell what would be changed."""
    name = check_name(wanted.name)
    whole, baseless = _read_wanted(jobs, wanted, write=write)
    found = _read_job(jobs, name, wrappers=list_wrappers(whole))
    after = simplify(whole)
    if found is None:
        if write:
            jobs.create_job(name, format_config(whole))
            _verify(jobs, name, whole)
        return Asserted(True, "", format_config(hide_secrets(after, after)), ("/",), baseless)
    before = _select(jobs, name, whole, found)
    differences = tuple(find_differences(after, before))
    texts = format_config(hide_secrets(before, after)), format_config(hide_secrets(after, after))
    if not differences:
        return Asserted(False, *texts, baseless=baseless)
    if not wanted.mend:
        do_next = "Change it back on the server, or assert what it shall be; with drift set to mend it is done."
        raise SlipwayError(
            f"leave the job {name} of",
            jobs.url,
            f"it differs from what is asserted in {', '.join(differences)}",
            do_next=do_next,
        )
    if write:
        merged = merge_configs(found, whole)
        jobs.update_job(name, format_config(empty_properties(merged) if jobs.folds else merged))
        _verify(jobs, name, whole)
    return Asserted(True, *texts, differences, baseless)


def remove_job(jobs: Jobs, name: str, *, write: bool = True) -> Asserted:
    """Have no job of this name."""
    config = jobs.read_config(check_name(name, attempt="remove the job"))
    if config is None:
        return Asserted(False)
    found = simplify(_parse(jobs, name, config))
    if write:
        jobs.delete_job(name)
    return Asserted(True, format_config(hide_secrets(found, found)), "", ("/",))


def _read_wanted(jobs: Jobs, wanted: Wanted, *, write: bool) -> tuple[Element, bool]:
    """What the job shall be, as far as it is asserted, and whether that is without its absent base."""
    do_next = "Correct the text of the job, and run again."
    asserted = read_config(wanted.config, attempt="assert the job", on=wanted.name, do_next=do_next)
    if wanted.token:
        asserted = set_text(asserted, "authToken", check_token(wanted.token, wanted.name))
    if not wanted.base:
        return asserted, False
    base = _read_job(jobs, check_name(wanted.base), wrappers=list_wrappers(asserted))
    if base is None and not write:
        return asserted, True  # one run makes both
    if base is None:
        raise SlipwayError(
            f"copy the job {wanted.base} of",
            jobs.url,
            "there is no such job",
            do_next=f"Assert it before {wanted.name}, or correct its name.",
        )
    _check_kind(jobs, wanted.base, asserted, base)
    return merge_configs(drop_own(base), asserted), False


def _read_job(jobs: Jobs, name: str, *, wrappers: set[str]) -> Element | None:
    config = jobs.read_config(name)
    return None if config is None else unfold_properties(_parse(jobs, name, config), wrappers=wrappers)


def _parse(jobs: Jobs, name: str, config: str) -> Element:
    return read_config(
        config,
        attempt=f"read the job {name} of",
        on=jobs.url,
        do_next="Look at the job's config.xml on the server, and correct or remove the job there.",
    )


def _select(jobs: Jobs, name: str, whole: Element, found: Element) -> Element:
    """Of a job that was found, what is asserted of it."""
    _check_kind(jobs, name, whole, found)
    return simplify(select_asserted(whole, found))


def _check_kind(jobs: Jobs, name: str, wanted: Element, found: Element) -> None:
    """Refuse a job that could be changed to what is wanted by removing it alone; Hudson would take it, and break."""
    if found.name != wanted.name:
        raise SlipwayError(
            f"change the job {name} of",
            jobs.url,
            f"it is a {found.name}, and a {wanted.name} is asserted",
            do_next="Remove it, with its builds, by state absent, or give another name.",
        )
    parent = found.find_text(CASCADING)
    if parent:
        raise SlipwayError(
            f"change the job {name} of",
            jobs.url,
            f"it inherits from the job {parent}, so that what it is made of is said elsewhere",
            do_next="Take its cascading parent away on the server, or give another name.",
        )


def _verify(jobs: Jobs, name: str, whole: Element) -> None:
    """Make sure that the server has what it was given."""
    found = _read_job(jobs, name, wrappers=list_wrappers(whole))
    left = (
        ["all of it"] if found is None else list(find_differences(simplify(whole), _select(jobs, name, whole, found)))
    )
    if left:
        raise SlipwayError(
            f"assert the job {name} on",
            jobs.url,
            f"the server did not keep {', '.join(left)}",
            do_next="A plugin that the job needs may be missing there, or its version writes it otherwise.",
        )
