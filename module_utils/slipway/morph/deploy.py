# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the files of a release by ``morph deploy``, with the settings that Baserock's release scripts gave it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, require_fields
from ..process import run
from ..progress import Progress
from ..release.artifact import Artifact, read_artifacts
from ..release.making import Making, open_making

#: What is read of a deployment, here and in what is told of it.
FIELDS = ("name", "system", "architecture", "type", "file")
CHANGED = "Find out who changed them, and put them back."


@dataclass(frozen=True)
class Site:
    """How morph is called; empty values are left to morph's own configuration."""

    command: Sequence[str] = ("morph",)
    config: str = ""
    trove_host: str = ""
    cache_server: str = ""

    def format_command(self, cluster: str, deployment: str, *, location: Path, label: str) -> list[str]:
        """The command that makes one deployment."""
        options = {
            "--config": self.config,
            "--trove-host": self.trove_host,
            "--artifact-cache-server": self.cache_server,
        }
        return [
            *self.command,
            "deploy",
            *(f"{name}={value}" for name, value in options.items() if value),
            cluster,
            deployment,
            f"{deployment}.location={location}",
            f"{deployment}.VERSION_LABEL={label}",
        ]


def deploy_files(
    deployments: Sequence[Mapping[str, Any]],
    *,
    cluster: str,
    definitions: Path,
    directory: Path,
    label: str,
    site: Site,
    previous: Sequence[Mapping[str, Any]] = (),
    logs: Path,
    timeout: float,
    progress: Progress | None = None,
    write: bool = True,
) -> tuple[dict[str, Artifact], list[str]]:
    """Ensure the file of every deployment in ``directory``; return the files, and the names of those made now.

    ``deployments`` have what :data:`FIELDS` names; one that lacks it is refused before any is made. morph is run in
    ``definitions``, for one deployment after the other, and writes to ``logs``.
    """
    require_fields(
        deployments,
        FIELDS,
        attempted="deploy",
        on=cluster,
        do_next="Give the deployments as the release's plan has them.",
    )
    known = {each.name: each for each in read_artifacts(previous, attempt="read the record of")}
    names = [each["file"] for each in deployments]
    with open_making(directory, names, known, do_next=CHANGED, write=write) as making:
        todo = [each for each in deployments if write and each["file"] in making.todo]
        if todo:
            logs.mkdir(parents=True, exist_ok=True)
        reporter = progress or Progress(None)
        reporter.total += len(todo)
        for each in todo:
            reporter.report(f"deploying {each['file']}")
            log = logs / f"deploy-{each['file']}.log"
            made = _deploy_file(each, cluster, definitions, making, label, site=site, log=log, timeout=timeout)
            reporter.step(f"{made.name}: {made.size} bytes")
    return making.present, making.todo


def _deploy_file(
    deployment: Mapping[str, Any],
    cluster: str,
    definitions: Path,
    making: Making,
    label: str,
    *,
    site: Site,
    log: Path,
    timeout: float,
) -> Artifact:
    attempt, on = "deploy", f"{deployment['name']} of {cluster}"
    with making.open_work() as work:
        location = work / deployment["file"]
        run(
            site.format_command(cluster, deployment["name"], location=location, label=label),
            attempt=attempt,
            on=on,
            cwd=definitions,
            timeout=timeout,
            log=log,
            do_next="Correct what it says and run again.",
        )
        if location.is_symlink() or not location.is_file() or location.stat().st_size == 0:
            raise SlipwayError(
                attempt,
                on,
                "morph succeeded, but the file is missing or empty",
                do_next="Check that the deployment's type makes a single file.",
                log=str(log),
            )
        return making.put(location, same=False)  # morph makes other bytes each time
