"""What bst 2.8.1 wrote, shortened where it repeats itself, and how a stand-in for it plays that back."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.command import (
    Build,
    Project,
)

KEYS = {
    "base.bst": "5fa985335f706d7cbf5df7824591d34c308702ffa7196e9e3d4294a281c82362",
    "bad.bst": "da4571f6781ec4771c1f389a4314fa47a4adc48bc5a26dd7d4b3d73f7d27583d",
    "one.bst": "81c9dfa1d2134ab25353e03162fc934833623c12b22f2b5c1e0364a759d9d916",
    "systems/good.bst": "9f6d8a1cbfee448fdb0b68ad10da2a9d3f37776f98bba1b02a05f8ee40a12478",
    "systems/broken.bst": "4777418c90dfe6a45c8d67f4879d55701766341a9fea4fc63bfb3401c2400a3c",
}
# What bst 2.8.1 wrote, shortened where it repeats itself.
HEADING = """\
[--:--:--][        ][    main:core activity                 ] START   Build
[--:--:--][        ][    main:core activity                 ] START   Loading elements
[00:00:00][        ][    main:core activity                 ] SUCCESS Loading elements

BuildStream Version 2.8.1
    Session Start: Saturday, 21-11-2026 at 03:22:57
    Project:       mini (/srv/mini)
    Targets:       systems/good.bst, systems/broken.bst

User Configuration
    Configuration File:      /srv/bst.conf
    Cache Directory:         /srv/cache
    Log Files:               LOGS
    Strict Build Plan:       Yes

Project: mini

    Project Options
        arch: x86_64

Pipeline
      cached 5fa985335f706d7cbf5df7824591d34c308702ffa7196e9e3d4294a281c82362 base.bst\x20
   buildable 81c9dfa1d2134ab25353e03162fc934833623c12b22f2b5c1e0364a759d9d916 one.bst\x20
fetch needed da4571f6781ec4771c1f389a4314fa47a4adc48bc5a26dd7d4b3d73f7d27583d bad.bst\x20
     waiting 9f6d8a1cbfee448fdb0b68ad10da2a9d3f37776f98bba1b02a05f8ee40a12478 systems/good.bst\x20
     waiting 4777418c90dfe6a45c8d67f4879d55701766341a9fea4fc63bfb3401c2400a3c systems/broken.bst\x20
===============================================================================
"""
GOOD = """\
[--:--:--][81c9dfa1][   fetch:one.bst                       ] START   mini/one/81c9dfa1-fetch.20261121-032257.log
[00:00:00][81c9dfa1][   fetch:one.bst                       ] SUCCESS mini/one/81c9dfa1-fetch.20261121-032257.log
[--:--:--][81c9dfa1][   build:one.bst                       ] START   mini/one/81c9dfa1-build.20261121-032257.log
[--:--:--][81c9dfa1][   build:one.bst                       ] START   Staging dependencies at: /
[00:00:00][81c9dfa1][   build:one.bst                       ] SUCCESS Staging dependencies at: /
[--:--:--][81c9dfa1][   build:one.bst                       ] START   Running commands

    mkdir -p "/buildstream-install/usr/share" && echo one x86_64 > "/buildstream-install/usr/share/one"

[00:00:01][81c9dfa1][   build:one.bst                       ] SUCCESS Running commands
[00:00:01][81c9dfa1][   build:one.bst                       ] SUCCESS mini/one/81c9dfa1-build.20261121-032257.log
[--:--:--][9f6d8a1c][   build:systems/good.bst] START   mini/systems-good/9f6d8a1c-build.20261121-032258.log
[00:00:00][9f6d8a1c][   build:systems/good.bst] SUCCESS mini/systems-good/9f6d8a1c-build.20261121-032258.log
"""
BAD = """\
[--:--:--][da4571f6][   build:bad.bst                       ] START   mini/bad/da4571f6-build.20261121-032257.log
[--:--:--][da4571f6][   build:bad.bst                       ] START   Running commands

    echo about to fail; ls /nonexistent; false

[00:00:00][da4571f6][   build:bad.bst                       ] FAILURE Running commands
[--:--:--][da4571f6][   build:bad.bst                       ] START   Caching artifact
[00:00:00][da4571f6][   build:bad.bst                       ] SUCCESS Caching artifact
[00:00:00][da4571f6][   build:bad.bst                       ] FAILURE Command failed

    Printing the last 20 lines from log file:
    LOGS/mini/bad/da4571f6-build.20261121-032257.log
    ======================================================================
    about to fail
    ls: /nonexistent: No such file or directory
    [00:00:00] FAILURE [da4571f6] bad.bst: Command failed
    ======================================================================

[00:00:02][        ][    main:core activity                 ] FAILURE Build

Failure Summary
    bad.bst:
    [00:00:00][da4571f6][   build:bad.bst                       ] FAILURE Command failed

        Printing the last 20 lines from log file:
        LOGS/mini/bad/da4571f6-build.20261121-032257.log
        ======================================================================
        about to fail
        ======================================================================

Pipeline Summary
    Total:       5
    Session:     5
    Fetch Queue: processed 5, skipped 0, failed 0\x20
    Build Queue: processed 3, skipped 0, failed 1\x20
"""
FULL = """\
[--:--:--][        ][    main:core activity                 ] START   Build
[--:--:--][        ][    main:core activity                 ] START   Resolving elements
[00:00:00][        ][    main:base.bst                      ] FAILURE Staging local files into CAS
[00:00:00][        ][    main:core activity                 ] FAILURE Resolving elements
[00:00:00][        ][    main:core activity                 ] FAILURE Build
Cache too full
"""
PUSHED = """\
[--:--:--][9f6d8a1c][    push:systems/good.bst] START   mini/systems-good/9f6d8a1c-push.20261121-072125.log
[--:--:--][9f6d8a1c][    push:systems/good.bst] STATUS  Pushing artifact 9f6d8a1c -> http://cache:50051
[--:--:--][9f6d8a1c][    push:systems/good.bst] INFO    Pushed artifact 9f6d8a1c -> http://cache:50051
[00:00:00][9f6d8a1c][    push:systems/good.bst] SUCCESS mini/systems-good/9f6d8a1c-push.20261121-072125.log
"""
PUSHED_BEFORE = """\
[--:--:--][9f6d8a1c][    push:systems/good.bst] STATUS  Pushing artifact 9f6d8a1c -> http://cache:50051
[--:--:--][9f6d8a1c][    push:systems/good.bst] INFO    Remote (http://cache:50051) already has artifact 9f6d8a1c cached
[00:00:00][9f6d8a1c][    push:systems/good.bst] SKIPPED Push
"""
LACKING = """\
[--:--:--][d8cbcf0a][    pull:systems-good    ] STATUS  Pulling artifact d8cbcf0a <- http://cache:50051
[--:--:--][d8cbcf0a][    pull:systems-good    ] INFO    Remote (http://cache:50051) does not have artifact d8c
[00:00:00][d8cbcf0a][    pull:systems-good    ] SKIPPED Pull
"""
AWAY = """\
[--:--:--][        ][    main:core activity                 ] WARNING Failed to initialize remote http://cache:50051: \
Remote initialisation failed with status UNAVAILABLE: FetchBlob: 14: failed to connect to all addresses; \
last error: UNKNOWN: ipv4:192.0.2.1:50051: Failed to connect to remote host: Connection refused
"""
UNKNOWN = """\
[--:--:--][        ][    main:core activity                 ] START   Build
[--:--:--][        ][    main:core activity                 ] START   Loading elements
[00:00:00][        ][    main:core activity                 ] FAILURE Loading elements
[00:00:00][        ][    main:core activity                 ] FAILURE Build

Could not find element 'systems/nope.bst' in elements directory '/srv/mini/elements'
"""
STUMBLED = """\
Traceback (most recent call last):
  File "/venv/bin/bst", line 8, in <module>
    sys.exit(cli())
  File "/venv/lib/buildstream/_cas/casdprocessmanager.py", line 320, in _rotate_and_get_next_logfile
    os.remove(os.path.join(self._log_dir, logfile_to_delete))
FileNotFoundError: [Errno 2] No such file or directory: '/srv/cache/logs/_casd/1795232236.885943.log'
"""
SHOWN = "\n".join(
    [
        f"slipway\tcached\t{KEYS['base.bst']}\tbase.bst\t[]",
        f"slipway\t failed\t{KEYS['bad.bst']}\tbad.bst\t- base.bst",
        f"slipway\tcached\t{KEYS['one.bst']}\tone.bst\t- base.bst",
        f"slipway\tcached\t{KEYS['systems/good.bst']}\tsystems/good.bst\t- base.bst\n- one.bst",
        f"slipway\twaiting\t{KEYS['systems/broken.bst']}\tsystems/broken.bst\t- one.bst\n- bad.bst",
    ]
)


def play(project: Project, verb: str, architecture: str, text: str, *, status: int = 0) -> Path:
    path = project.directory / "plays" / f"{verb}-{architecture}"
    path.write_text(text.replace("LOGS", str(project.directory.parent / "bstlogs")))
    path.with_name(f"{path.name}.status").write_text(str(status))
    return path


def for_architecture(architecture: str, *elements: str) -> Build:
    return Build(architecture, elements, {"arch": architecture})


#: An element on a farm: its job is queued, its worker dies, and another one has it. A second was built there before.
REMOTELY = """\
[--:--:--][81c9dfa1][   build:one.bst                       ] START   mini/one/81c9dfa1-build.20261121-032257.log
[--:--:--][81c9dfa1][   build:one.bst                       ] START   Waiting for the remote build to complete
[--:--:--][81c9dfa1][   build:one.bst                       ] INFO    Remote job is queued: ISA=x86-64 OSFamily=linux
[--:--:--][81c9dfa1][   build:one.bst                       ] INFO    Remote job is executing: worker-1
[--:--:--][81c9dfa1][   build:one.bst                       ] INFO    Remote job is queued: ISA=x86-64 OSFamily=linux
[--:--:--][9f6d8a1c][   build:systems/good.bst] INFO    Action result found in action cache
[--:--:--][81c9dfa1][   build:one.bst                       ] INFO    Remote job is executing:\x20
[--:--:--][81c9dfa1][   build:one.bst                       ] INFO    Remote job is completed: worker-2
[00:00:00][81c9dfa1][   build:one.bst                       ] SUCCESS Waiting for the remote build to complete
[00:00:01][81c9dfa1][   build:one.bst                       ] SUCCESS mini/one/81c9dfa1-build.20261121-032257.log
[--:--:--][da4571f6][   build:bad.bst                       ] INFO    Remote job is queued: ISA=aarch32 OSFamily=linux
"""
#: The server went away in the middle of a build, which went well.
UNPUSHED = """\
[--:--:--][9f6d8a1c][    push:systems/good.bst] START   mini/systems-good/9f6d8a1c-push.20261121-072125.log
[--:--:--][9f6d8a1c][    push:systems/good.bst] STATUS  Pushing data from artifact 9f6d8a1c -> http://cache:50051
[00:00:09][9f6d8a1c][    push:systems/good.bst] BUG     Push

    An unhandled exception occured:

    Traceback (most recent call last):
        raise self
    grpc._channel._MultiThreadedRendezvous: <_MultiThreadedRendezvous of RPC that terminated with:
    >

[00:00:12][        ][    main:core activity                 ] FAILURE Build
"""
