#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: build_job_trigger
short_description: Start a job on a site's Hudson or Jenkins
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Starts a job with its token, its parameters or both, and does not wait for its end.
  - Parameters and token are sent in the body of the request, so that no log of addresses has them.
  - Of several equal requests that wait, servers make one.
  - A job that is disabled, and a parameter that the job does not have, are failures.
extends_documentation_fragment:
  - slipway.release.jobs
  - slipway.release.connection.https
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
attributes:
  idempotent:
    description: Run again, it leaves what is as it should be, and is unchanged.
    support: none
    details: Each time the job is started, also when it was before.
options:
  name:
    description: The job's name.
    type: str
    required: true
  parameters:
    description: The values of the job's parameters. Others have their defaults.
    type: dict
    default: {}
  token:
    description: The job's token. With it no user is needed where anybody may read.
    type: str
"""

EXAMPLES = r"""
- name: Start stage 2 for a stack that was released
  slipway.release.build_job_trigger:
    url: https://build.example.org
    name: debbuild-sourcedeb
    parameters: {DISTRO_NAME: cturtle, STACK_NAME: common_msgs, STACK_VERSION: 1.1.2}
    token: "{{ vault_hudson_job_token }}"
"""

RETURN = r"""
address:
  description: Where the build waits for its turn, or the job's address where the server does not say.
  returned: success, except in check mode
  type: str
"""

from typing import Any

from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.jobs.server import PARAMETER, JobServer, check_name
from ..module_utils.slipway.module.options import CONNECTION_HTTPS, JOBS
from ..module_utils.slipway.module.report import run_module


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    name = check_name(options["name"], attempt="start the job")
    parameters = {str(key): str(value) for key, value in options["parameters"].items()}
    faulty = [key for key in parameters if PARAMETER.fullmatch(key) is None or key == "token"]
    if faulty:
        do_next = "Names of parameters are made of letters, digits and _, and none is token."
        raise SlipwayError("start the job", name, f"{faulty[0]!r} is no name of a parameter", do_next=do_next)
    server = JobServer(
        options["url"],
        user=options["user"],
        password=options["password"] or "",
        ca_path=options["ca_path"],
        timeout=options["timeout"],
    )
    server.connect()
    address = server.start_job(name, parameters, token=options["token"] or "", write=write)
    return {"changed": True, **({"address": address} if address is not None else {})}


def main() -> None:
    run_module(
        act,
        {
            **JOBS,
            **CONNECTION_HTTPS,
            "name": {"type": "str", "required": True},
            "parameters": {"type": "dict", "default": {}},
            "token": {"type": "str", "no_log": True},
        },
    )


if __name__ == "__main__":
    main()
