#!/usr/bin/python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Start a release as the account that releases: the one program that releasers may run as it, by sudo.

What they can say is the name of a command, versions, and --check. Everything else is the site's: which playbooks, which
inventory, and who they are, which sudo tells.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

SETTINGS = "/etc/slipway/releasers.json"
PROGRAM = "/usr/local/bin/slipway-release"
#: No option, no template, nothing that a shell or Ansible would read in another way.
VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class UsageError(Exception):
    """What was said is nothing that can be run."""


def make_command(settings: Mapping[str, Any], words: Sequence[str], *, person: str) -> list[str]:
    """The command for these words of a person."""
    check = [word for word in words if word == "--check"]
    name, *values = [word for word in words if word != "--check"] or [""]
    commands = settings["commands"]
    if name not in commands:
        known = "\n".join(f"  slipway-release {_describe(each, commands[each])} [--check]" for each in sorted(commands))
        raise UsageError(f"Say what is to be done:\n{known}")
    takes = commands[name]["takes"]
    if not values or len(values) > len(takes) or not all(map(VALUE.match, values)):
        raise UsageError(f"Say slipway-release {_describe(name, commands[name])}, with versions such as 26.47.")
    given = {**dict(zip(takes, values, strict=False)), "release_approval_releaser": [person]}
    return [
        *(settings["ansible"], commands[name]["playbook"], "--extra-vars", json.dumps(given)),
        *(["--check", "--diff"] if check else []),
    ]


def _describe(name: str, command: Mapping[str, Any]) -> str:
    first, *more = [word.upper() for word in command["takes"]]
    return " ".join([name, first, *(f"[{word}]" for word in more)])


def main() -> int:
    """Become the account, then the playbook."""
    with open(SETTINGS, encoding="utf-8") as stream:
        settings = json.load(stream)
    account = pwd.getpwnam(settings["account"])
    person = pwd.getpwuid(os.getuid()).pw_name
    try:
        command = make_command(settings, sys.argv[1:], person=os.environ.get("SUDO_USER", person))
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    if os.getuid() != account.pw_uid:
        os.execv("/usr/bin/sudo", ["sudo", "-n", "-u", account.pw_name, "--", PROGRAM, *sys.argv[1:]])  # noqa: S606
    os.chdir(settings["directory"])
    kept = {name: value for name, value in os.environ.items() if name in ("SUDO_USER", "TERM", "LANG")}
    more = {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name, "PATH": settings["path"]}
    os.execve(command[0], command, {**kept, **more})  # noqa: S606 # an ordinary program of the site's
    return 1


if __name__ == "__main__":
    sys.exit(main())
