#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: distbuild_submit
short_description: Build systems on Morph distbuild networks
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Submits systems to the controllers of distbuild networks (protocol 4), all at once, and waits until all are built.
  - The controller's id for each build is shown, and written to C(distbuild.log), before the wait begins.
  - The output of each step goes to C(build-step-<name>.log) as it arrives, byte for byte, as Morph wrote it.
    These files are appended to.
  - Every wait has a limit of its own, because a network is silent in many failures. A build that is silent is asked
    about on its own connection.
  - After a lost connection the same request is sent again, which joins the steps that still run. The pauses between two
    tries grow, because a controller that is started again can be away for minutes.
  - When this run is interrupted, by a signal, by its time limit, or because Ansible went away, a build that was not
    detached is cancelled on its controller, also later if the controller is away. Whether that was confirmed is told.
requirements:
  - PyYAML
extends_documentation_fragment:
  - slipway.release.morph.list_command
  - slipway.release.plan.systems
  - slipway.release.progress
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  controller:
    description: The host of the network's controller.
    type: str
  port:
    description: The port on which the controller listens for initiators.
    type: int
    default: 7878
  repo:
    description: The repository of the definitions, as the network knows it, such as V(baserock:baserock/definitions).
    type: str
    required: true
  ref:
    description: The ref to build; a commit, to be sure what is built.
    type: str
    required: true
  original_ref:
    description: The name that O(ref) was resolved from, for the artifacts' metadata. It is O(ref) if not given.
    type: str
  morphology:
    description: The path of the system's morphology in the repository, with its C(.morph).
    type: str
  components:
    description:
      - Build only these components of the system and what they need, by source name.
      - Strata are split, so it is V(core-runtime), not V(core).
    type: list
    elements: str
    default: []
  log_directory:
    description: The directory for the logs.
    type: path
    required: true
  handle:
    description:
      - The RV(builds[].handle) of an earlier, detached submission of the same build.
      - The protocol cannot attach to a build again. The earlier one's state is returned in RV(builds[].resumed), and
        the same request is sent again, which joins it where it still runs.
    type: dict
  artifacts:
    description:
      - The names under which an earlier run had it in the cache, as RV(builds[].artifacts) told.
      - If the cache at O(cache_url) has all of them, no request is sent.
    type: list
    elements: str
    default: []
  systems:
    description:
      - Several systems of the same O(repo) and O(ref), in place of O(morphology) and its controller.
      - The logs of each go to a directory of its name in O(log_directory).
  controllers:
    description: With O(systems), the controller of each architecture, as C(host) or C(host:port).
    type: dict
    default: {}
  previous:
    description: With O(systems), the RV(elements) that an earlier build of the same returned, in place of O(artifacts).
    type: list
    elements: dict
    default: []
  detach:
    description:
      - Return with a RV(builds[].handle) as soon as it is certain that the network builds.
    type: bool
    default: false
  timeout:
    description: Seconds that all of it may take.
    type: float
    default: 43200
  answer_timeout:
    description: Seconds for what a controller does at once, such as taking a connection or answering a question.
    type: float
    default: 60
  graph_timeout:
    description: Seconds until a build graph is computed. A controller computes them one after the other.
    type: float
    default: 1800
  silence_timeout:
    description: Seconds that a build may go on without any message, although the controller answers questions.
    type: float
    default: 7200
  question_interval:
    description: Seconds of silence after which a build is asked about.
    type: float
    default: 60
  away_timeout:
    description:
      - Seconds that a controller may be away, from a lost or refused connection until it takes the build up.
      - With V(0) a connection that is lost or refused is a failure at once.
    type: float
    default: 600
  tries:
    description:
      - How many times a build that was taken up may be lost.
      - A step that is finished, or still runs when the build is found again, restarts the count.
    type: int
    default: 3
  cache_url:
    description:
      - The cache server that the networks share, such as V(http://trove.example.org:8080).
      - It tells what is built already.
    type: str
attributes:
  check_mode:
    details:
      - Sends nothing, and tells in RV(builds[].request) what would be sent.
      - With O(cache_url) and O(artifacts) or O(list_command) it also tells whether the system is in the cache.
seealso:
  - module: slipway.release.distbuild_info
  - module: slipway.release.distbuild_cancel
"""

EXAMPLES = r"""
- name: Build a system
  slipway.release.distbuild_submit:
    controller: x86-64-controller.example.org
    repo: baserock:baserock/definitions
    ref: 6c1c4e0a4be8e0c2d2ef3d5c2a3b4c5d6e7f8091
    original_ref: baserock/release/baserock-26.47
    morphology: systems/minimal-system-x86_64-generic.morph
    log_directory: /var/lib/slipway/releases/26.47/logs/minimal-system-x86_64-generic

- name: Build on two networks at once
  slipway.release.distbuild_submit:
    repo: baserock:baserock/definitions
    ref: 6c1c4e0a4be8e0c2d2ef3d5c2a3b4c5d6e7f8091
    systems: "{{ release_plan.systems }}"
    controllers: {x86_64: x86-64-controller.example.org, armv7lhf: "armv7-controller.example.org:7878"}
    log_directory: "{{ release_plan.directories.logs }}"
"""

RETURN = r"""
elements:
  description: Each system, as M(slipway.release.buildstream_build) tells it.
  returned: success
  type: list
  elements: dict
  contains:
    element:
      description: The path of its morphology.
      type: str
    architecture:
      description: Its architecture. Empty if only O(morphology) was given.
      type: str
    key:
      description: Its cache key. Empty in check mode when it would be built.
      type: str
    artifact:
      description: The name of its artifact in the cache. Empty when the key is.
      type: str
    cached:
      description: Whether it was in the cache before.
      type: bool
builds:
  description: One entry for each build, in their order. Of a single build, the fields are also at the top level.
  returned: success
  type: list
  elements: dict
  contains:
    morphology:
      description: What was built.
      type: str
    components:
      description: The components, if not all was asked for.
      type: list
      elements: str
    controller:
      description: The controller, as host:port.
      type: str
    request:
      description: In check mode, the request that would be sent.
      type: dict
    request_id:
      description: The controller's id for the build. Ids begin again when a controller restarts.
      type: str
    outcome:
      description: V(finished) or V(detached).
      type: str
    changed:
      description: Whether the network builds or built anything.
      type: bool
    cached:
      description: Whether nothing was to be built. In check mode null when it is not known.
      type: bool
    unbuilt:
      description: How many artifacts were not in the cache.
      type: int
    total:
      description: How many artifacts there are.
      type: int
    urls:
      description: Where the artifacts are, as the controller knows its cache.
      type: list
      elements: str
    artifacts:
      description: The names of the artifacts in the cache.
      type: list
      elements: str
    steps:
      description:
        - What was built. The outcome is V(built), V(building) when detached, V(failed), or V(unknown) when its end was
          not told. C(joined) means that it ran before this build asked for it.
      type: list
      elements: dict
      sample:
        - {name: stage1-chunk, worker: "worker-1:3434", joined: false, outcome: built, seconds: 12.5, log: /logs/x.log}
    seconds:
      description: How long the build took.
      type: float
    log:
      description: The file that tells the course of the build.
      type: str
    handle:
      description: How to find the build again.
      type: dict
    resumed:
      description: What had become of the build of the given handle, such as V(running), V(finished) or V(gone).
      type: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.distbuild.initiator import Limits
from ..module_utils.slipway.distbuild.protocol import DEFAULT_PORT, Controller, Handle, Request
from ..module_utils.slipway.distbuild.submission import Order, preview_orders, submit_orders
from ..module_utils.slipway.distbuild.systems import list_elements, make_system_orders
from ..module_utils.slipway.module.options import MORPH_LIST_COMMAND, PLAN_SYSTEMS, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.morph.cache import MorphCache, list_artifacts
from ..module_utils.slipway.progress import Progress


def main() -> None:
    run_module(
        act,
        {
            **MORPH_LIST_COMMAND,
            **PROGRESS,
            **PLAN_SYSTEMS,
            "controller": {"type": "str"},
            "port": {"type": "int", "default": DEFAULT_PORT},
            "repo": {"type": "str", "required": True},
            "ref": {"type": "str", "required": True},
            "original_ref": {"type": "str"},
            "morphology": {"type": "str"},
            "components": {"type": "list", "elements": "str", "default": []},
            "log_directory": {"type": "path", "required": True},
            "handle": {"type": "dict"},
            "artifacts": {"type": "list", "elements": "str", "default": []},
            "controllers": {"type": "dict", "default": {}},
            "previous": {"type": "list", "elements": "dict", "default": []},
            "detach": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 43200},
            "answer_timeout": {"type": "float", "default": 60},
            "graph_timeout": {"type": "float", "default": 1800},
            "silence_timeout": {"type": "float", "default": 7200},
            "question_interval": {"type": "float", "default": 60},
            "away_timeout": {"type": "float", "default": 600},
            "tries": {"type": "int", "default": 3},
            "cache_url": {"type": "str"},
        },
        required_one_of=[["morphology", "systems"]],
        mutually_exclusive=[["systems", name] for name in ("morphology", "controller", "handle")],
        required_by={"morphology": ["controller"], "systems": ["controllers"]},
        own_process=True,  # it cancels its builds when nobody reads what it says any more, and tells the terminal
    )


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    orders = make_orders(wanted) if wanted["systems"] else [make_order(wanted)]
    systems = wanted["systems"] or [{"file": wanted["morphology"], "architecture": ""}]
    cache = MorphCache(wanted["cache_url"]) if wanted["cache_url"] else None
    results = submit(wanted, orders, cache) if write else preview(wanted, orders, cache)
    changed = any(result["changed"] for result in results)
    alone = results[0] if wanted["morphology"] else {}
    return {**alone, "builds": results, "elements": list_elements(results, systems), "changed": changed}


def make_orders(wanted: dict[str, Any]) -> list[Order]:
    return make_system_orders(
        wanted["systems"],
        wanted["controllers"],
        make_request=lambda file: make_request(wanted, file, []),
        logs=Path(wanted["log_directory"]),
        previous=wanted["previous"],
    )


def make_order(wanted: dict[str, Any]) -> Order:
    return Order(
        Controller(wanted["controller"], wanted["port"]),
        make_request(wanted, wanted["morphology"], wanted["components"]),
        Path(wanted["log_directory"]),
        Handle.from_dict(wanted["handle"]) if wanted["handle"] else None,
        wanted["artifacts"],
    )


def make_request(wanted: dict[str, Any], morphology: str, components: list[str]) -> Request:
    return Request.create(
        repo=wanted["repo"],
        ref=wanted["ref"],
        original_ref=wanted["original_ref"],
        morphology=morphology,
        components=components,
    )


def submit(wanted: dict[str, Any], orders: list[Order], cache: MorphCache | None) -> list[dict[str, Any]]:
    limits = Limits(
        total=wanted["timeout"],
        answer=wanted["answer_timeout"],
        graph=wanted["graph_timeout"],
        silence=wanted["silence_timeout"],
        question=wanted["question_interval"],
        away=wanted["away_timeout"],
        tries=wanted["tries"],
    )
    progress = Progress(wanted["progress"])
    return submit_orders(orders, limits=limits, detach=wanted["detach"], cache=cache, progress=progress)


def preview(wanted: dict[str, Any], orders: list[Order], cache: MorphCache | None) -> list[dict[str, Any]]:
    def artifacts(request: Request) -> list[str]:
        return list_artifacts(
            wanted["list_command"],
            repo=request.repo,
            ref=request.ref,
            systems=[request.morphology],
            cwd=wanted["chdir"],
        )

    listed = artifacts if wanted["list_command"] else None
    return preview_orders(orders, detach=wanted["detach"], cache=cache, artifacts=listed)


if __name__ == "__main__":
    main()
