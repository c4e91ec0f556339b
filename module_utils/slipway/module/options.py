# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that several modules take, each group named like its documentation fragment (``doc_fragments/``)."""

from __future__ import annotations

from typing import Any

Options = dict[str, dict[str, Any]]

PLAN_KEPT: Options = {
    "state_directory": {"type": "path", "required": True},
    "coordinator": {"type": "str", "required": True},
}
PLAN_DEFINED: Options = {
    "cluster": {"type": "str", "default": "clusters/release.morph"},
    "policy": {"type": "raw", "default": {}},
    "timeout": {"type": "float", "default": 60},
}
PLAN_DEPLOYMENTS: Options = {
    "deployments": {"type": "list", "elements": "dict", "required": True},
    "directory": {"type": "path", "required": True},
    "label": {"type": "str", "required": True},
    "previous": {"type": "list", "elements": "dict", "default": []},
}
_SYSTEM: Options = {name: {"type": "str", "required": True} for name in ("name", "file", "architecture")}
PLAN_SYSTEMS: Options = {"systems": {"type": "list", "elements": "dict", "options": _SYSTEM}}
APT_ARCHIVE: Options = {
    "directory": {"type": "path", "required": True},
    "suite": {"type": "str", "required": True},
    "gnupghome": {"type": "path"},
    "lock_timeout": {"type": "float", "default": 600},
}
APT_SERVED: Options = {"directory": {"type": "path", "required": True}, "component": {"type": "str", "default": "main"}}
APT_PUBLICATION: Options = {
    "distribution": {"type": "str", "required": True},
    "origin": {"type": "str", "required": True},
    "lock_timeout": {"type": "float", "default": 600},
}
APT_SOURCES: Options = {"sources": {"type": "list", "elements": "str"}}
ARTIFACTS: Options = {"files": {"type": "list", "elements": "dict", "required": True}}
ARTIFACTS_PUBLIC: Options = {"public": {"type": "path", "required": True}, "label": {"type": "str", "required": True}}
# The name of a directory is not a secret.
ARTIFACTS_SERVER: Options = {
    "private": {"type": "path", "required": True, "no_log": False},
    "flat_links": {"type": "bool", "default": True},
    "reinstate": {"type": "bool", "default": False},
}
ARTIFACTS_WAIT: Options = {
    "timeout": {"type": "int", "default": 0},
    "interval": {"type": "int", "default": 5},
    "fetch_timeout": {"type": "int", "default": 3600},
    "idle_timeout": {"type": "int", "default": 30},
}
BUILDSTREAM: Options = {"config": {"type": "path"}, "bst": {"type": "str", "default": "bst"}}
BUILDSTREAM_SYSTEMS: Options = {
    "project": {"type": "path", "required": True},
    "systems": {**PLAN_SYSTEMS["systems"], "required": True},
    "project_options": {"type": "dict", "default": {}},
    "log_directory": {"type": "path", "required": True},
}
CONNECTION_HTTPS: Options = {"ca_path": {"type": "path"}}
CONNECTION_SSH: Options = {"ssh_options": {"type": "list", "elements": "str", "default": []}}
DEB_BUILD_HOSTS: Options = {
    "hosts": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "destination": {"type": "str", "default": ""},
            "options": {"type": "list", "elements": "str", "default": []},
            "slots": {"type": "int", "default": 1},
            "chroots": {"type": "dict", "required": True},
            "drained": {"type": "bool", "default": False},
        },
    }
}
DEB_BUILD_HOSTS_LIMITS: Options = {
    "build_timeout": {"type": "float", "default": 14400},
    "silence_timeout": {"type": "float", "default": 3600},
    "log_bytes": {"type": "int", "default": 64 << 20},
    "free_bytes": {"type": "int", "default": 1 << 30},
}
_NAMES: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
DEB_PLAN: Options = {
    "stacks": {"type": "dict"},
    "package_name": {"type": "str", "default": "{stack}"},
    "source_version": {"type": "str", "default": "{version}-0~{platform}"},
    "policy": {
        "type": "str",
        "choices": ["transitive", "direct", "abi", "build", "none"],
        "default": "transitive",
    },
    **dict.fromkeys(("abi_changed", "force", "rebuild", "profiles"), _NAMES),
    **{name: {"type": "dict", "default": {}} for name in ("policies", "hold", "excludes")},
}
DIFFOSCOPE: Options = {
    "diffoscope_timeout": {"type": "float", "default": 300},
    "diffoscope_memory": {"type": "int", "default": 2 << 30},
    "diffoscope_bytes": {"type": "int", "default": 1 << 20},
}
DISTRO: Options = {
    "repository": {"type": "str"},
    "branch": {"type": "str", "default": "master"},
    "path": {"type": "path", "required": True},
}
GIT_AUTHOR: Options = {
    "name": {"type": "str", "default": "Slipway"},
    "email": {"type": "str", "default": "slipway@localhost"},
    "epoch": {"type": "int", "default": 0},
}
JOBS: Options = {
    "url": {"type": "str", "required": True},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "no_log": True},
    "timeout": {"type": "float", "default": 60},
}
MAIL: Options = {
    "maildir": {"type": "path"},
    "host": {"type": "str"},
    "port": {"type": "int", "default": 587},
    "tls": {"type": "str", "choices": ["starttls", "implicit", "none"], "default": "starttls"},
    "user": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "sender": {"type": "str", "required": True},
    "again": {"type": "bool", "default": False},
    "arrived": {"type": "bool", "default": False},
    "role": {"type": "str", "default": "release_announce"},
}
MORPH_BUILD: Options = {"handle": {"type": "dict"}, "timeout": {"type": "float", "default": 30}}
MORPH_LIST_COMMAND: Options = {"list_command": {"type": "list", "elements": "str"}, "chdir": {"type": "path"}}
# Where keys are, and which of them signs, is not a secret.
OPENPGP: Options = {"gnupghome": {"type": "path"}, "signing_key": {"type": "str", "no_log": False}}
OPENPGP_REQUIRED: Options = {**OPENPGP, "gnupghome": {**OPENPGP["gnupghome"], "required": True}}
_STEP: Options = {
    "after_hours": {"type": "float", "required": True},
    "percentage": {"type": "int", "required": True},
}
PHASES: Options = {
    "phases": {"type": "list", "elements": "dict", "default": [], "options": _STEP},
    "package_phases": {"type": "dict", "default": {}},
}
PROGRESS: Options = {"progress": {"type": "path"}}
STACK_READER: Options = {
    "timeout": {"type": "float", "default": 3600},
    "idle_timeout": {"type": "float", "default": 60},
    "max_bytes": {"type": "int", "default": 4 << 30},
    **CONNECTION_HTTPS,
}
STACK_SURROUNDINGS: Options = {
    "distribution": {"type": "str", "default": ""},
    "stacks": {"type": "list", "elements": "str", "required": True},
    "known": {"type": "dict", "default": {}},
    "platforms": {"type": "list", "elements": "raw", "required": True},
    "rosdep": {"type": "dict", "default": {}},
    "implicit": {"type": "list", "elements": "str", "default": ["build-essential", "cmake"]},
    "epoch": {"type": "int", "default": 946684800},
    "directory": {"type": "path", "required": True},
}
TRUST_BUILDER: Options = {"builder": {"type": "str", "required": True}}
TRUST_SIGNERS: Options = {
    "signers": {"type": "raw", "required": True},
    "repository": {"type": "str", "required": True},
    "branch": {"type": "str", "default": "main"},
    "timeout": {"type": "float", "default": 120},
}
VCS: Options = {
    "kind": {"type": "str", "required": True, "choices": ["git", "svn", "hg", "bzr", "dsc"]},
    "values": {"type": "dict", "required": True},
    "timeout": {"type": "float", "default": 300},
}
