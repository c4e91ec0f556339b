#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deb_builds
short_description: Build the binary packages of a distribution on several hosts, and take them into its archive
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Plans as M(slipway.release.deb_plan_info) does, builds what waits for nothing on all hosts at once, takes what was
    built into the archive together with the removal of what that invalidates, plans anew, and so on until nothing is
    left that can be built.
  - Each build is done by C(sbuild) in a clean chroot. Then its packages are installed in another one, and the tests
    that the package has are run by C(autopkgtest).
  - A build that fails changes nothing in the archive, and the others go on. The module does not fail for it, see
    RV(failed_builds).
  - A host that is lost gives its builds back, and they are started elsewhere. After three attempts that came to nothing
    a build has failed.
  - What is done is what the archive has. After a run that was killed the next one goes on.
  - With O(debusine) a server of debusine, Debian's distributed build engine, does the builds with workers of its own.
    What it was asked for is written down in O(directory), so that a run after one that was killed takes over what is
    running or done there.
requirements:
  - reprepro
  - on build hosts sbuild, autopkgtest, mmdebstrap and uidmap, and the chroots of the role C(deb_build_host)
  - debusine 0.16, where O(debusine) is given
extends_documentation_fragment:
  - slipway.release.deb_plan
  - slipway.release.deb_build_hosts.limits
  - slipway.release.deb_build_hosts
  - slipway.release.attributes
options:
  distribution:
    description: The distribution.
    type: str
    required: true
  platforms:
    description:
      - The platforms to build for, each with C(name), its codename and the suite of the archive, C(architectures), of
        which the first builds what is for all of them, and C(base), lines of C(sources.list) that say where its own
        packages are. Other keys are not read.
      - The word C(machine) in the place of an address stands for the mirror from which this host's own apt takes that
        suite.
    type: list
    elements: dict
    required: true
  architectures:
    description:
      - Builds are made for these alone, of those of O(platforms). Without it for all. What is for all architectures is
        built with the first one of a platform in any case.
    type: list
    elements: str
    default: []
  base_directory:
    description: Where the package lists of the platforms' own packages are kept.
    type: path
    default: /var/cache/slipway/platforms
  archive:
    description: The archive as reprepro keeps it, what it calls its base directory.
    type: path
    required: true
  public:
    description: What clients read of the archive.
    type: path
    required: true
  component:
    description: Its component.
    type: str
    default: main
  gnupghome:
    description: The GnuPG directory of the archive's key.
    type: path
    required: true
  directory:
    description: Where logs and results are kept, in C(<platform>-<architecture>/<source>_<version>/).
    type: path
    required: true
  status_directory:
    description:
      - Where readers see what is built now, what waits, and what hosts do, C(index.html) and C(status.json), written
        at most once a second. Without it nothing is shown.
    type: path
  hosts:
    description: The build hosts. There is either this or O(debusine).
  debusine:
    description: A server of debusine, which does the builds. O(url) must be one that its workers reach.
    type: dict
    suboptions:
      url:
        description: Its address, without C(/api).
        type: str
        required: true
      scope:
        description: The scope.
        type: str
        default: debusine
      workspace:
        description: The workspace in which work requests are made.
        type: str
        required: true
      token_file:
        description: A file with the token of a user who may do that, readable by its owner alone.
        type: path
        required: true
      environments:
        description:
          - In what the packages of a platform are built and tested, by platform. The number of an artifact, a lookup
            such as C(debian/match:codename=bookworm), or C(deb) with the address, the suite and the components of an
            archive. Of the last one debusine makes a tarball, once a week. The word C(machine) in the place of the
            address is as in O(platforms), where workers reach the same mirror.
          - V({platform}) and V({architecture}) stand for their names. The default is C(deb
            http://deb.debian.org/debian {platform} main).
        type: dict
        default: {}
      slots:
        description: How many builds it is given at once.
        type: int
        default: 50
      queue_timeout:
        description: Seconds that a work request may wait for a worker.
        type: float
        default: 86400
      away_timeout:
        description: Seconds for which the server may not answer.
        type: float
        default: 1800
  hosts_file:
    description:
      - A file with the hosts, as JSON, that is written with O(hosts) at the beginning. Whoever changes it adds and
        drains hosts while builds run.
    type: path
  url:
    description:
      - Where build hosts read what O(public) has. Without it the module itself serves that to builds on this machine,
        on a port of the loopback interface, while it runs.
    type: str
  key:
    description: A file with the public key of the archive, armored.
    type: path
    required: true
  repositories:
    description:
      - Where packages come from besides this archive and the chroots' own sources, by platform. Each has C(line), such
        as C(https://deb.example.org bookworm main), and C(key), the armored public key itself.
    type: dict
    default: {}
  maintainer:
    description: Who is named in the changelogs of binary rebuilds, C(Name <mail@address>).
    type: str
    default: ""
  install:
    description: Whether packages are installed in a clean chroot before they are taken into the archive.
    type: bool
    default: true
  test:
    description: Whether the packages' own tests must pass.
    type: bool
    default: true
  dependents:
    description:
      - The most sources whose tests are run with a package that they depend on. A test that passes with what is
        published and fails with the new package is a failure of the new one. One that fails with both is none.
    type: int
    default: 20
  again:
    description:
      - How many of a hundred builds are done once more, on another host if there is one, to compare the bytes that
        come of it. RV(builds) says in C(reproduced) what came of it. Differences fail nothing.
    type: int
    default: 0
  timeout:
    description: Seconds that all of it may take.
    type: float
    default: 604800
  lock_timeout:
    description: Seconds to wait for another user of the archive, or for another run.
    type: float
    default: 600
  progress:
    description: A file to which a line is appended for all that happens.
    type: path
attributes:
  check_mode:
    details: Plans, and tells what would be built first.
"""

EXAMPLES = r"""
- name: Build what is missing
  slipway.release.deb_builds:
    distribution: cturtle
    stacks: {common_msgs: 1.2.0, navigation: 1.4.1}
    platforms:
      - {name: bookworm, architectures: [amd64, i386], base: [deb machine bookworm main]}
    key: /srv/apt/public/key.asc
    url: http://apt.example.org/shadow
    archive: /srv/apt/shadow
    public: /srv/apt/public/shadow
    gnupghome: /srv/apt/gnupg
    directory: /srv/slipway/debs/cturtle/builds
    hosts:
      - {name: build-1, destination: slipway@build-1, slots: 4, chroots: {amd64: amd64, i386: i386}}

- name: Have debusine build what is missing
  slipway.release.deb_builds:
    distribution: cturtle
    platforms:
      - {name: bookworm, architectures: [amd64, i386], base: [deb machine bookworm main]}
    key: /srv/apt/public/key.asc
    url: http://apt.example.org/shadow
    archive: /srv/apt/shadow
    public: /srv/apt/public/shadow
    gnupghome: /srv/apt/gnupg
    directory: /srv/slipway/debs/cturtle/builds
    debusine: {url: https://debusine.example.org, workspace: releases, token_file: /etc/slipway/debusine-token}
"""

RETURN = r"""
builds:
  description:
    - What was built, in the order of its end, each with C(source), C(stack), C(version), C(platform), C(architecture),
      C(state) (V(ok) or V(failed)), C(stage) (V(fetch), V(build), V(install), V(test) or V(include)), C(reason),
      C(host) (with debusine which worker), C(log), C(seconds) by stage, C(tests) by name, C(at), the end in seconds
      since 1970, and C(why) it was built.
  returned: success
  type: list
  elements: dict
failed_builds:
  description: Those of RV(builds) that failed.
  returned: success
  type: list
  elements: dict
results:
  description: The last result of everything that is to be there, as far as it was ever built, as in RV(builds).
  returned: success
  type: list
  elements: dict
waiting:
  description: What was not started, and C(for) what it waits.
  returned: success
  type: list
  elements: dict
blocked:
  description: What cannot be built, as in M(slipway.release.deb_plan_info).
  returned: success
  type: list
  elements: dict
plan:
  description: The last plan.
  returned: success
  type: dict
text:
  description: The plan for people, in check mode.
  returned: success
  type: list
  elements: str
generations:
  description: How often the archive was published.
  returned: success
  type: int
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..module_utils.slipway.apt.sources import fetch_package_lists, resolve_mirrors
from ..module_utils.slipway.binary.job import Repository
from ..module_utils.slipway.binary.limits import Limits
from ..module_utils.slipway.distro.plantext import format_plan
from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.farm.builds import Report, Run, Settings
from ..module_utils.slipway.farm.debusine import Engine, Terms
from ..module_utils.slipway.farm.debusineapi import Api, read_token
from ..module_utils.slipway.farm.kept import read_results
from ..module_utils.slipway.farm.line import Line, do_job
from ..module_utils.slipway.farm.roster import HostsFile, read_host
from ..module_utils.slipway.farm.schedule import Host
from ..module_utils.slipway.farm.site import LocalShelf, LocalStore, SitePlanner, read_versions, serve_directory
from ..module_utils.slipway.files import make_directory, make_scratch, read_regular, write_atomic
from ..module_utils.slipway.locks import hold_flock
from ..module_utils.slipway.module.hangup import watch_reader
from ..module_utils.slipway.module.options import DEB_BUILD_HOSTS, DEB_BUILD_HOSTS_LIMITS, DEB_PLAN
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress

DEBUSINE = {
    "url": {"type": "str", "required": True},
    "scope": {"type": "str", "default": "debusine"},
    "workspace": {"type": "str", "required": True},
    # The name of a file is no secret.
    "token_file": {"type": "path", "required": True, "no_log": False},
    "environments": {"type": "dict", "default": {}},
    "slots": {"type": "int", "default": 50},
    "queue_timeout": {"type": "float", "default": 86400},
    "away_timeout": {"type": "float", "default": 1800},
}
#: The options that are those of a plan as well.
PLANNED = ("distribution", *DEB_PLAN)


def main() -> None:
    run_module(
        act,
        {
            "distribution": {"type": "str", "required": True},
            **DEB_PLAN,
            "platforms": {"type": "list", "elements": "dict", "required": True},
            "architectures": {"type": "list", "elements": "str", "default": []},
            "base_directory": {"type": "path", "default": "/var/cache/slipway/platforms"},
            "archive": {"type": "path", "required": True},
            "public": {"type": "path", "required": True},
            "component": {"type": "str", "default": "main"},
            "gnupghome": {"type": "path", "required": True},
            "directory": {"type": "path", "required": True},
            "status_directory": {"type": "path"},
            **DEB_BUILD_HOSTS,
            **DEB_BUILD_HOSTS_LIMITS,
            "debusine": {"type": "dict", "options": DEBUSINE},
            "hosts_file": {"type": "path"},
            "url": {"type": "str"},
            # A public key is no secret.
            "key": {"type": "path", "required": True, "no_log": False},
            "repositories": {"type": "dict", "default": {}},
            "maintainer": {"type": "str", "default": ""},
            "install": {"type": "bool", "default": True},
            "test": {"type": "bool", "default": True},
            "dependents": {"type": "int", "default": 20},
            "again": {"type": "int", "default": 0},
            "timeout": {"type": "float", "default": 604800},
            "lock_timeout": {"type": "float", "default": 600},
            "progress": {"type": "path"},
        },
        required_one_of=[("hosts", "debusine")],
        mutually_exclusive=[("hosts", "debusine")],
        own_process=True,  # it ends when nobody reads what it says any more
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    directory = Path(options["directory"])
    if not write:
        with make_scratch("slipway-lists-") as scratch:
            plan = make_planner(options, lists=scratch)(()).plan
        report = Report(blocked=list(plan["blocked"]), plan=plan)
        text = format_plan(plan, most=12)
        return {**describe(report, directory), "changed": plan["counts"]["build"] > 0, "text": text}
    make_directory(directory)
    on, timeout = options["distribution"], options["lock_timeout"]
    progress = Progress(options["progress"])
    with (
        hold_flock(directory / ".lock", attempt="build", on=on, timeout=timeout),
        provide_url(options) as url,
        open_line(options, progress) as line,
    ):
        planner = make_planner(options, lists=Path(options["base_directory"]))
        run = make_run(options, planner, url, progress=progress, line=line)
        with watch_reader(run.hang_up):
            report = run.work()
    return {**describe(report, directory), "changed": report.generations > 0}


def make_planner(options: Mapping[str, Any], *, lists: Path) -> SitePlanner:
    dists = f"{options['public']}/dists/{{platform}}/{options['component']}"
    platforms = []
    for platform in options["platforms"]:
        name, chosen = platform["name"], options["architectures"]
        architectures = [one for one in platform["architectures"] if not chosen or one in chosen]
        found = fetch_package_lists(platform["base"], architectures, directory=lists / name)
        paths = {
            path.with_name(path.name.replace(f"binary-{architecture}_", "binary-{architecture}_"))
            for architecture, paths in found.items()
            for path in paths
        }
        platforms.append(
            {
                "name": name,
                "architectures": architectures,
                "all_architecture": platform["architectures"][0],
                "sources": [f"{dists}/source"],
                "shadow": [f"{dists}/binary-{{architecture}}"],
                "base": sorted(map(str, paths)),
            }
        )
    more = {"platforms": platforms, "new": {}, "alternatives": "any", "timeout": 300.0}
    return SitePlanner({**{name: options[name] for name in PLANNED}, **more})


@contextlib.contextmanager
def provide_url(options: Mapping[str, Any]) -> Iterator[str]:
    """Where builds read the archive."""
    if options["url"] is not None:
        yield options["url"]
        return
    with serve_directory(Path(options["public"])) as url:
        yield url


@contextlib.contextmanager
def open_line(options: Mapping[str, Any], progress: Progress) -> Iterator[Line]:
    """What does the builds: a host of its own each, or debusine."""
    given = options["debusine"]
    if given is None:
        yield do_job
        return
    if options["url"] is None:
        do_next = "Set url to where its workers read the archive."
        raise SlipwayError("build with", given["url"], "its workers do not read this machine's files", do_next=do_next)
    public, component = Path(options["public"]), options["component"]
    api = Api(
        given["url"],
        read_token(Path(given["token_file"])),
        scope=given["scope"],
        workspace=given["workspace"],
        away=given["away_timeout"],
        say=progress.report,
    )
    names, lines = map(str, given["environments"]), resolve_mirrors(list(map(str, given["environments"].values())))
    environments = dict(zip(names, lines, strict=True))
    terms = Terms(Path(options["directory"]) / ".debusine", environments, given["queue_timeout"])
    with Engine(
        api,
        terms,
        versions=lambda platform, architecture: read_versions(public, component, platform, architecture),
        say=progress.report,
    ) as engine:
        yield engine.do_job


def make_run(options: Mapping[str, Any], planner: SitePlanner, url: str, *, progress: Progress, line: Line) -> Run:
    public, component = Path(options["public"]), options["component"]
    key = read_regular(options["key"]).decode("ascii", "replace")
    repositories = {
        platform["name"]: [
            Repository(f"{url} {platform['name']} {component}", key),
            *(Repository(row["line"], row["key"]) for row in options["repositories"].get(platform["name"], ())),
        ]
        for platform in options["platforms"]
    }
    settings = Settings(
        options["distribution"],
        Path(options["directory"]),
        repositories,
        Limits(options["build_timeout"], options["silence_timeout"], options["log_bytes"], options["free_bytes"]),
        install=options["install"],
        test=options["test"],
        dependents=options["dependents"],
        again=options["again"],
        profiles=tuple(options["profiles"]),
        maintainer=options["maintainer"],
        timeout=options["timeout"],
        status=Path(options["status_directory"]) if options["status_directory"] else None,
    )
    return Run(
        settings,
        planner=planner,
        shelf=LocalShelf(public, component),
        store=LocalStore(
            Path(options["archive"]), public, Path(options["gnupghome"]), component, options["lock_timeout"]
        ),
        hosts=make_hosts(options, progress),
        progress=progress,
        line=line,
    )


def make_hosts(options: Mapping[str, Any], progress: Progress) -> Callable[[], Sequence[Host] | None]:
    """What tells the hosts, the first time and whenever their file has changed."""
    rows = options["hosts"] if options["debusine"] is None else [describe_debusine(options)]
    if options["hosts_file"] is None:
        found = iter([[read_host(row) for row in rows]])
        return lambda: next(found, None)
    path = Path(options["hosts_file"])
    make_directory(path.parent)
    write_atomic(path, json.dumps(rows, indent=2, sort_keys=True).encode() + b"\n")
    return HostsFile(path, progress.report)


def describe_debusine(options: Mapping[str, Any]) -> dict[str, Any]:
    """Debusine as a build host."""
    architectures = sorted({name for platform in options["platforms"] for name in platform["architectures"]})
    chroots = {name: name for name in architectures}
    return {"name": "debusine", "slots": options["debusine"]["slots"], "chroots": chroots}


def describe(report: Report, directory: Path) -> dict[str, Any]:
    return {
        "results": read_results(directory, report.plan),
        "builds": [one.as_dict() for one in report.built],
        "failed_builds": [one.as_dict() for one in report.failed],
        "waiting": report.waiting,
        "blocked": [dict(one) for one in report.blocked],
        "plan": dict(report.plan),
        "generations": report.generations,
    }


if __name__ == "__main__":
    main()
