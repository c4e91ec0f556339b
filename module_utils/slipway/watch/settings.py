# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is watched, who may sign, and what is run for a signed tag: the JSON file that the provisioning writes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..distro.source import Place
from ..errors import SlipwayError, refuse
from ..git.signers import check_signers, read_signers

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
#: What stands for what in the words of the command; json is all that the release of a tag is told, as one word.
PLACEHOLDERS = frozenset({"distro", "stack", "version", "tag", "commit", "object", "json"})
#: The signers of the stacks that have none of their own.
OTHERS = "*"
#: The settings that are numbers; a variable that was given on a command line comes as text.
NUMBERS = {
    **dict.fromkeys(("git_timeout", "look_timeout", "command_timeout", "retry"), float),
    **dict.fromkeys(("tries", "keep"), int),
}


@dataclass(frozen=True)
class Distribution:
    """Where a distro file is, in a git repository or on this host, and whose tags count, by stack."""

    name: str
    place: Place
    signers: Mapping[str, tuple[str, ...]]

    def find_signers(self, stack: str) -> tuple[str, ...]:
        """The fingerprints of the keys that may sign the releases of a stack."""
        return self.signers.get(stack, self.signers.get(OTHERS, ()))


@dataclass(frozen=True)
class Settings:
    """All that a watch knows; times are in seconds.

    ``look_timeout`` is for the servers together and ``git_timeout`` for each; a release that failed is tried again
    after ``retry``, then after twice that and so on, ``tries`` times in all.
    """

    distributions: tuple[Distribution, ...]
    keys: tuple[str, ...]
    command: tuple[str, ...]
    directory: Path
    work: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    git_timeout: float = 60.0
    look_timeout: float = 600.0
    command_timeout: float = 86400.0
    retry: float = 600.0
    tries: int = 5
    keep: int = 100


def read_settings(path: Path) -> Settings:
    """The settings that the provisioning wrote as JSON."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        made = Settings(
            **{
                **found,
                **{name: make(found[name]) for name, make in NUMBERS.items() if name in found},
                "distributions": tuple(
                    _read_distribution(name, values) for name, values in sorted(found["distributions"].items())
                ),
                "keys": tuple(found["keys"]),
                "command": tuple(map(str, found["command"])),
                "environment": {name: str(value) for name, value in found["environment"].items()},
                "directory": Path(found["directory"]),
                "work": Path(found["work"]),
            }
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SlipwayError(
            "read the settings", str(path), f"{type(error).__name__}: {error}", do_next="Provision this host again."
        ) from error
    refuse("use the settings", str(path), _find_faults(made), do_next="Correct the variables, and provision again.")
    return made


def check_keys(settings: Settings) -> None:
    """Fail where the key of somebody who may sign is not among the keys."""
    every = [each for found in settings.distributions for named in found.signers.values() for each in named]
    check_signers(read_signers(every, settings.keys))


def _read_distribution(name: str, values: Mapping[str, Any]) -> Distribution:
    """``signers`` are a list, or lists by stack."""
    signers = values["signers"]
    named = signers if isinstance(signers, Mapping) else {OTHERS: signers}
    return Distribution(
        name=name,
        place=Place(str(values["path"]), values.get("repository") or None, str(values.get("branch") or "master")),
        signers={str(stack): tuple(map(str, each)) for stack, each in named.items()},
    )


def _find_faults(settings: Settings) -> list[str]:
    unknown = [
        f"the command's word {word!r} has {{{name}}}, which is none of {', '.join(sorted(PLACEHOLDERS))}"
        for word in settings.command
        for name in PLACEHOLDER.findall(word)
        if name not in PLACEHOLDERS
    ]
    return unknown if settings.command else ["there is no command"]


def fill_command(command: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The words of the command, each with its placeholders filled and none split."""
    told = {"distro": values["distro"], "stack": values["stack"], "from_tag": values["tag"]}
    filled = {**values, "json": json.dumps(told)}
    return [PLACEHOLDER.sub(lambda found: filled[found[1]], word) for word in command]
