#!/usr/bin/env python3
"""Refuse a version that cannot name a release before anything is set up for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "collections"))

from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.names import check_version

try:
    check_version(os.environ.get("VERSION", ""))
except SlipwayError as error:
    sys.exit(str(error).replace("ansible-playbook release.yml -e version=X.Y", "make release VERSION=X.Y"))
