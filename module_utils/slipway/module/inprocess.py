# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A module that runs within the process of its task, with the result that it has as a program."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..escape import escape_message
from ..process import UMASK
from .options import Options
from .report import Parts, answer


def run_in_process(parts: Parts, arguments: Mapping[str, Any], *, write: bool) -> dict[str, Any] | None:
    """The result of a module; None if it is to run as a program, since that does something more.

    Of what Ansible does around a module's program, two things are not done here: it says which arguments are wrong, and
    takes secrets out of all that is returned.
    """
    if parts.own_process or is_secretive(parts.options):
        return None
    try:
        plain = json.loads(json.dumps(dict(arguments), default=_write_plainly))
    except (TypeError, ValueError):  # what only Ansible knows to write, such as a value of a vault
        return None
    read = ArgumentSpecValidator(parts.options, **parts.conditions).validate(plain)
    if read.error_messages:
        return None
    options = read.validated_parameters
    before = os.umask(UMASK)
    try:
        result = answer(lambda: parts.act(options, write=write))
    finally:
        os.umask(before)
    result["warnings"] = [escape_message(warning) for warning in result.get("warnings", ())]
    if not result["warnings"]:
        del result["warnings"]
    told = {**result, "invocation": {"module_args": options}}
    text = json.dumps(told, default=_write_plainly, ensure_ascii=False)
    made: dict[str, Any] = json.loads(text.encode(errors="surrogateescape").decode(errors="replace"))
    return made


def is_secretive(options: Options) -> bool:
    """Whether a module has an option that no text may show."""
    return any(option.get("no_log") for option in _walk(options))


def _walk(options: Options) -> Iterator[dict[str, Any]]:
    for option in options.values():
        yield option
        yield from _walk(option.get("options") or {})


def _write_plainly(value: object) -> object:
    """What a program of Ansible makes of values that JSON does not have."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")
