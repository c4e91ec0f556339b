#!/usr/bin/env python3
"""Install what files of requirements list, in the versions of constraints.txt, into .venv: set_up_python.py FILE..."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "collections"))

from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.host.venv import Environment, install_packages

ROOT = Path(__file__).resolve().parent.parent
lines = (
    line.partition("#")[0].strip() for name in sys.argv[1:] for line in (ROOT / name).read_text("utf-8").splitlines()
)
packages = tuple(line for line in lines if line and not line.startswith("-"))
constraints = (ROOT / "constraints.txt").read_text("utf-8")
print(f"Installing the Python environment into .venv, the log is {ROOT}/.venv/slipway.log", flush=True)
try:
    install_packages(Environment(ROOT / ".venv", packages, constraints, pip_args=("--use-pep517",)), timeout=3600)
except SlipwayError as error:
    sys.exit(str(error))
