# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What packages and their versions are called: templates, filled in.

What is looked up in an archive is only filled in; what is to be made must be one that dpkg takes.
"""

from __future__ import annotations

import re

from ..errors import SlipwayError
from .version import find_version_fault

#: A name that dpkg takes for a source package.
SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+", re.ASCII)
#: A section or a priority, and those of a source package that says none.
WORD = re.compile(r"[a-z0-9][a-z0-9+./-]*", re.ASCII)
SECTION, PRIORITY = "misc", "optional"
#: What dpkg takes for the distribution of a changelog's entry.
PLATFORM = re.compile(r"[a-z0-9][a-z0-9+.~-]*", re.ASCII)


def fill_name(template: str, *, distribution: str, stack: str) -> str:
    """The package of a stack by a template with ``{distribution}`` and ``{stack}``, with dashes for underscores."""
    return _fill(template, "stack", distribution=distribution, stack=stack.replace("_", "-"))


def fill_variant(template: str, *, distribution: str, variant: str) -> str:
    """The metapackage of a variant by a template with ``{distribution}`` and ``{variant}``, likewise."""
    return _fill(template, "variant", distribution=distribution, variant=variant.replace("_", "-"))


def fill_version(template: str, *, version: str, platform: str) -> str:
    """The version of a source package for a platform by a template with ``{version}`` and ``{platform}``."""
    return _fill(template, "version", version=version, platform=platform)


def name_package(template: str, *, distribution: str, stack: str) -> str:
    """The source package of a stack, as :func:`fill_name` has it."""
    name = fill_name(template, distribution=distribution, stack=stack)
    if not SOURCE_NAME.fullmatch(name):
        raise ValueError(f"'{name}', its name by the template '{template}', is not one for a source package")
    return name


def make_source_version(template: str, *, version: str, platform: str) -> str:
    """The version of a source package, as :func:`fill_version` has it."""
    made = fill_version(template, version=version, platform=platform)
    fault = find_version_fault(made)
    if fault:
        raise ValueError(f"the version '{made}', by the template '{template}', {fault}")
    return made


def locate_pool(component: str, source: str) -> str:
    """The directory where all of a source is fetched: ``pool/main/r/ros-cturtle-ros``."""
    prefix = source[:4] if source.startswith("lib") else source[:1]
    return f"pool/{component}/{prefix}/{source}"


def check_template(template: str, *known: str, wanted: str) -> None:
    """Raise :class:`SlipwayError` unless a template has the name ``wanted``, and no others than the ``known`` ones."""
    try:
        _fill(template, wanted, **dict.fromkeys(known, "1"))
    except ValueError as fault:
        names = " and ".join(f"{{{name}}}" for name in known)
        raise SlipwayError("use", f"the template '{template}'", str(fault), do_next=f"Use {names}.") from None


def _fill(template: str, wanted: str, /, **values: str) -> str:
    if f"{{{wanted}}}" not in template:
        raise ValueError(f"it lacks {{{wanted}}}")
    try:
        return template.format(**values)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"it cannot be filled in ({error})") from None
