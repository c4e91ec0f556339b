# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the files of a release by ``morph deploy``, with the settings that Baserock's release scripts gave it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, require_fields
from ..files import hash_file, move_synced
from ..process import run
from ..progress import Progress
from ..release.artifact import Artifact, read_artifacts, verify_deployed

#: What is read of a deployment, here and in what is told of it.
FIELDS = ("name", "system", "architecture", "type", "file")
#: Where morph writes, so that nobody takes half a file for a whole one.
WORK = ".morph-"


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

    ``deployments`` have what :data:`FIELDS` names; one that lacks it is refused before any file is made. A file that is
    there as ``previous`` stays; one that is not as recorded is a failure and stays too; one that nobody recorded was
    interrupted and is made again. morph is run in ``definitions``, for one deployment after the other, and writes to
    ``logs``.
    """
    require_fields(
        deployments,
        FIELDS,
        attempted="deploy",
        on=cluster,
        do_next="Give the deployments as the release's plan has them.",
    )
    known = read_artifacts(previous, attempt="read the record of")
    present = verify_deployed(directory, known, do_next="Find out who changed them, and put them back.")
    todo = [each for each in deployments if each["file"] not in present]
    if write and todo:
        reporter = progress or Progress(None)
        reporter.total += len(todo)
        directory.mkdir(parents=True, exist_ok=True)
        logs.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(f"{WORK}*"):
            shutil.rmtree(leftover)
        for each in todo:
            reporter.report(f"deploying {each['file']}")
            log = logs / f"deploy-{each['file']}.log"
            made = _deploy_file(each, cluster, definitions, directory, label, site=site, log=log, timeout=timeout)
            present[made.name] = made
            reporter.step(f"{made.name}: {made.size} bytes")
    return present, [each["file"] for each in todo]


def _deploy_file(
    deployment: Mapping[str, Any],
    cluster: str,
    definitions: Path,
    directory: Path,
    label: str,
    *,
    site: Site,
    log: Path,
    timeout: float,
) -> Artifact:
    attempt, on = "deploy", f"{deployment['name']} of {cluster}"
    work = Path(tempfile.mkdtemp(prefix=WORK, dir=directory))
    try:
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
        made = Artifact(deployment["file"], location.stat().st_size, hash_file(location))
        move_synced(location, directory / deployment["file"])
        return made
    finally:
        shutil.rmtree(work, ignore_errors=True)
