# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of a release that was made before, from its records alone: nothing is asked of any server.

For what is done with a release afterwards, whatever became of its definitions since then.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..release import names
from ..release.records import Record, load_records
from .request import Plan, PlanResult, name_directories

MADE_FROM = "files"


def recall_plan(project: object, version: object, *, state_directory: str, coordinator: str) -> PlanResult:
    """What is known of a release: names and directories always, the rest if there are records of it."""
    release_names = names.make_names(project, version)
    directories = name_directories(state_directory, release_names.version)
    records = load_records(Path(directories["records"]))
    preflight = records.get("preflight")
    origin: Plan = dict(preflight["inputs"]) if preflight else {}
    outputs: Plan = dict(preflight["outputs"]) if preflight else {}
    defined = bool(origin) and origin.get("made_from") != MADE_FROM
    plan = {
        "project": release_names.project,
        "version": release_names.version,
        "label": release_names.label,
        "branch": release_names.branch if defined else None,
        "tag": release_names.tag if defined else None,
        "definitions": {"path": origin.get("definitions"), "commit": origin.get("commit")} if defined else None,
        "cluster": origin.get("cluster"),
        "cluster_sha256": origin.get("cluster_sha256"),
        "coordinator": coordinator,
        "build_hosts": {},
        "epoch": 0,
        "systems": outputs.get("systems") or [],
        **{name: [] for name in ("deployments", "extras", "products", "left_out")},
        "skipped": outputs.get("skipped") or [],
        "directories": directories,
        "remote": {},
        "move": None,
    }
    return PlanResult(plan, records, _find_remarks(release_names.label, records))


def _find_remarks(label: str, records: Mapping[str, Record]) -> list[str]:
    return [] if records else [f"there is no record of {label} here: only what is public of it is known"]
