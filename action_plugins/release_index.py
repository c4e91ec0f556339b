# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders the pages of a download server on the controller, where the templates are."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ansible.errors import AnsibleActionFail
from jinja2 import ChoiceLoader, FileSystemLoader, PrefixLoader, StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from ..module_utils.slipway.escape import escape_line
from ..module_utils.slipway.notes.markdown import render_html
from ..module_utils.slipway.publish.releases import seal_page
from ..module_utils.slipway.statuspage import STYLE
from .in_process import InProcess

__all__ = ["ActionModule", "render_notes", "render_pages"]

TOP, RELEASE = "index.html", "release.html"
#: What a template that is wrong may raise.
FAULTS = (
    *(OSError, TemplateError, ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError),
    *(TypeError, ValueError),
)


class ActionModule(InProcess):
    """Ask the module what is public, render a page for each release and the list, and have the module write them."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module twice; in check mode it writes nothing."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        given = arguments.pop("templates", None) or []
        templates = [str(each) for each in ([given] if isinstance(given, str) else given)]
        if not templates:
            raise AnsibleActionFail("missing required arguments: templates")
        found = self._execute_module(module_args=arguments, task_vars=task_vars)
        if not found.get("failed"):
            try:
                pages = render_pages(templates, found)
            except ModuleNotFoundError as error:
                return _fail(
                    result,
                    f"the release notes: {error.name} is not installed beside Ansible",
                    "Install markdown-it-py there",
                )
            except FAULTS as error:
                why = f"{_locate(error)}{type(error).__name__}: {escape_line(str(error))}"
                return _fail(result, f"the pages from {', '.join(templates)}: {why}", "Correct the template")
            found = self._execute_module(module_args={**arguments, "pages": pages}, task_vars=task_vars)
        result.update(found)
        return result


def _fail(result: dict[str, Any], what: str, do_next: str) -> dict[str, Any]:
    """A failure in one sentence; an exception would have Ansible say its cause once more."""
    return {
        **result,
        "failed": True,
        "msg": f"Could not render {what}. Nothing was changed. {do_next} and run again.",
    }


def render_pages(templates: Sequence[str], found: Mapping[str, Any]) -> dict[str, str]:
    """The pages by their names, without those that are there as they would be rendered.

    What comes from outside is escaped, and reaches nothing but these values.
    """
    environment = _make_environment(tuple(templates))
    page, top = (environment.get_template(f"{name}.j2") for name in (RELEASE, TOP))
    # Of the current release a page says no more than whether there is one, so that not all change with it.
    shared = {name: found[name] for name in ("project", "title", "keys")} | {"current": bool(found["current"])}
    style = {"style": Markup(STYLE)}  # noqa: S704  # ours
    face = [STYLE, *(_read_template(environment, name) for name in environment.list_templates())]
    common = _digest([face, shared])
    pages = {}
    for release in found["releases"]:
        source = _digest([common, {**release, "source": None}])
        if release["source"] != source:
            notes = render_notes(release["notes"]) if release["notes"] else None
            text = page.render(release={**release, "notes_html": notes}, **shared, **style)
            pages[release["page"]] = seal_page(text, source)
    listed = {name: found[name] for name in ("releases", "products", "current", "latest", "mirrors")}
    return {**pages, TOP: top.render(**{**shared, **listed}, **style)}


def render_notes(text: str) -> Markup:
    """Notes in Markdown as HTML for a part of a page, whose own heading stands above theirs."""
    return Markup(render_html(text, lower=1, highest=3))  # noqa: S704  # markdown-it escapes what it is given


def _read_template(environment: ImmutableSandboxedEnvironment, name: str) -> str:
    """The text of a template; of a file that lies there and is none, no more than its name."""
    try:
        return str(environment.loader.get_source(environment, name)[0]) if environment.loader else ""
    except (OSError, TemplateError, ValueError):
        return name


def _digest(values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@cache
def _make_environment(templates: tuple[str, ...]) -> ImmutableSandboxedEnvironment:
    ours = PrefixLoader({"slipway": FileSystemLoader(templates[-1])})
    return ImmutableSandboxedEnvironment(
        autoescape=True,
        keep_trailing_newline=True,
        loader=ChoiceLoader([FileSystemLoader(templates), ours]),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )


def _locate(error: BaseException) -> str:
    """The template and the line that a fault is in, if it is in one."""
    if isinstance(error, TemplateSyntaxError):
        return f"{error.name} line {error.lineno}: "
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    return f"{frames[-1].filename} line {frames[-1].lineno}: " if frames else ""
