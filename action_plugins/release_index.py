# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders the pages of a download server on the controller, where the templates are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = ["ActionModule", "render_pages"]

TOP, RELEASE = "index.html", "release.html"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """Ask the module what is public, render a page for each release and the list, and have the module write them."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module twice; in check mode it writes nothing."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        templates, title = str(arguments.pop("templates", "")), arguments.pop("title", "")
        if not templates:
            raise AnsibleActionFail("missing required arguments: templates")
        found = self._execute_module(module_args=arguments, task_vars=task_vars)
        if not found.get("failed"):
            try:
                pages = render_pages(templates, found, title=title or f"{arguments.get('project')} releases")
            except (OSError, TemplateError) as error:
                raise AnsibleActionFail(
                    f"Could not render the pages from {templates}: {type(error).__name__}: {error}. "
                    "Nothing was changed. Correct the template and run again."
                ) from error
            found = self._execute_module(module_args={**arguments, "pages": pages}, task_vars=task_vars)
        result.update(found)
        return result


def render_pages(templates: str, found: Mapping[str, Any], *, title: str) -> dict[str, str]:
    """The pages by their names. What comes from outside is escaped, and reaches nothing but these values."""
    environment = ImmutableSandboxedEnvironment(
        autoescape=True,
        keep_trailing_newline=True,
        loader=FileSystemLoader(templates),
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    page, top = (environment.get_template(f"{name}.j2") for name in (RELEASE, TOP))
    releases, current = found["releases"], found["current"]
    pages = {f"{each['label']}.html": page.render(release=each, current=current, title=title) for each in releases}
    return {**pages, TOP: top.render(releases=releases, current=current, title=title)}
