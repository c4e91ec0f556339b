#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: build_job
short_description: Assert a job on a site's Hudson or Jenkins
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes a job that is absent, and brings one up to date that differs from what is asserted. What is not asserted stays
    as it is on the server. Jobs are removed by V(state=absent) alone.
  - What a server writes of its own accord is no difference, such as white space, the order of elements, versions of
    plugins, defaults, references, and the map of properties that Hudson 3 keeps.
  - After a change the job is read back. What the server did not keep is a failure.
extends_documentation_fragment:
  - slipway.release.jobs
  - slipway.release.connection.https
  - slipway.release.attributes
options:
  name:
    description: The job's name, of letters, digits and C(. _ + ~ -).
    type: str
    required: true
  state:
    description: Whether there is to be such a job. With V(absent) it goes, with all its builds.
    type: str
    choices: [present, absent]
    default: present
  config:
    description:
      - The asserted part of the job's XML, with the element of its kind around it, such as C(project). Required with
        O(state=present).
      - Lists of builders and of parameters are asserted as a whole, any other element as far as it is given. An empty
        one is only asserted to be there.
    type: str
  base:
    description:
      - A job of which this one is a copy. What that job has on the server is asserted, with O(config) over it, so that
        the copy follows when it changes. What is taken away from it stays in copies.
      - In check mode it may be absent, with a warning, since it can be a job that the same run would make.
    type: str
  token:
    description: Who knows it may start the job. Without it the server's or the base job's stays.
    type: str
  drift:
    description:
      - Whether a job that differs is changed, or is left alone and is a failure that names what differs.
    type: str
    choices: [mend, fail]
    default: mend
"""

EXAMPLES = r"""
- name: Assert the job that others are copies of
  slipway.release.build_job:
    url: https://build.example.org
    user: release
    password: "{{ vault_hudson_password }}"
    name: debbuild-build-debs-cturtle
    config: "{{ lookup('ansible.builtin.template', 'binary.xml.j2') }}"

- name: Assert a copy with parameters of its own
  slipway.release.build_job:
    url: https://build.example.org
    user: release
    password: "{{ vault_hudson_password }}"
    name: debbuild-build-debs-cturtle-lucid-amd64
    base: debbuild-build-debs-cturtle
    config: "<project><disabled>false</disabled></project>"
    token: "{{ vault_hudson_job_token }}"
"""

RETURN = r"""
differences:
  description: Where the job differed from what is asserted, as paths in its XML; V(/) where it was made or removed.
  returned: success
  type: list
  elements: str
  sample: [/project/builders]
address:
  description: The address of the job.
  returned: success
  type: str
"""

from typing import Any

from ..module_utils.slipway.jobs.assertion import Wanted, ensure_job, remove_job
from ..module_utils.slipway.jobs.server import JobServer, check_name
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.options import CONNECTION_HTTPS, JOBS
from ..module_utils.slipway.module.report import run_module


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    name = check_name(options["name"])
    server = JobServer(
        options["url"],
        user=options["user"],
        password=options["password"] or "",
        ca_path=options["ca_path"],
        timeout=options["timeout"],
    )
    server.connect()
    if options["state"] == "absent":
        done = remove_job(server, name, write=write)
    else:
        mend = options["drift"] == "mend"
        wanted = Wanted(name, options["config"], options["base"] or "", options["token"] or "", mend)
        done = ensure_job(server, wanted, write=write)
    baseless = f"{name} is a copy of {options['base']}, which is not there yet: what that has is not shown."
    return {
        "changed": done.changed,
        "warnings": [baseless] if done.baseless else [],
        "differences": list(done.differences),
        "address": f"{server.url}/job/{name}/",
        "diff": diff_texts({f"{name}/config.xml": (done.before, done.after)} if done.changed else {}),
    }


def main() -> None:
    run_module(
        act,
        {
            **JOBS,
            **CONNECTION_HTTPS,
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "config": {"type": "str"},
            "base": {"type": "str"},
            "token": {"type": "str", "no_log": True},
            "drift": {"type": "str", "choices": ["mend", "fail"], "default": "mend"},
        },
        required_if=[["state", "present", ["config"]]],
    )


if __name__ == "__main__":
    main()
