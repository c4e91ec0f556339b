# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a module reports its result to Ansible."""

from __future__ import annotations

import errno
import os
import pwd
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from ansible.module_utils.basic import AnsibleModule

from ..errors import SlipwayError
from ..escape import escape_message
from ..process import UMASK
from .options import Options

#: Who wants to know what a module consists of, instead of having it act.
_reader: ContextVar[Callable[[Parts], None] | None] = ContextVar("reader", default=None)


class Act(Protocol):
    """What a module does, in check mode without ``write``. Of its result, ``warnings`` are shown as such."""

    def __call__(self, options: dict[str, Any], /, *, write: bool) -> dict[str, Any]:
        """The module's result for the options that it was given."""


@dataclass(frozen=True)
class Parts:
    """What a module consists of: its options, Ansible's conditions such as ``required_if`` on them, and what it does.

    ``own_process`` is for what cannot be done within another process.
    """

    act: Act
    options: Options
    conditions: Mapping[str, Any]
    own_process: bool = False


def read_parts(main: Callable[[], None]) -> Parts:
    """What the module consists of whose ``main`` calls :func:`run_module`."""
    found: list[Parts] = []
    token = _reader.set(found.append)
    try:
        main()
    finally:
        _reader.reset(token)
    return found[0]


def run_module(act: Act, options: Options, *, own_process: bool = False, **conditions: Any) -> None:
    """Be the module that takes ``options`` under Ansible's ``conditions`` such as ``required_if``, and ``act``."""
    reader = _reader.get()
    if reader is not None:
        reader(Parts(act, options, conditions, own_process))
        return
    module = AnsibleModule(argument_spec=options, supports_check_mode=True, **conditions)

    def run() -> dict[str, Any]:
        result = act(module.params, write=not module.check_mode)
        for warning in result.pop("warnings", ()):
            module.warn(escape_message(warning))
        return result

    report(module, run)


def report(module: AnsibleModule, act: Callable[[], dict[str, Any]]) -> None:
    """Run ``act`` and exit with what it returns, or with a clear failure."""
    os.umask(UMASK)
    result = answer(act)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def answer(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``act`` returns; a :class:`SlipwayError` becomes a clear failure.

    So does what the operating system refuses and no logic foresaw.
    """
    try:
        return act()
    except SlipwayError as error:
        return {"failed": True, "msg": str(error), "findings": error.findings, "log": error.log}
    except OSError as error:
        return {"failed": True, "msg": str(explain_refusal(error))}


def explain_refusal(error: OSError) -> SlipwayError:
    """The failure for what the operating system refused, with what to do about it."""
    do_next = "Check what is there, and run the same command again."
    if error.errno in (errno.EACCES, errno.EPERM):
        try:
            account = pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            account = f"the user {os.geteuid()}"
        do_next = f"Give {account} what is there (ls -l shows whose it is), or run as the account that owns it."
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        do_next = "Make room there, and run the same command again."
    return SlipwayError("use", str(error.filename or "a file"), error.strerror or str(error), do_next=do_next)
