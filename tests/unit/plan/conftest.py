"""A request for a release of the definitions in a Trove on this machine."""

from __future__ import annotations

import shutil

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.request import Request
from planning import HOSTS, Trove


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    directory = tmp_path_factory.mktemp("template")
    Trove(directory).make()
    return directory


@pytest.fixture
def trove(template, tmp_path):
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return Trove(tmp_path)


@pytest.fixture
def request_(trove, tmp_path):
    return Request(
        version="26.47",
        project="baserock",
        url=str(trove.bare),
        mirror_url="/mirror/definitions.git",
        path="baserock/baserock/definitions",
        ref="master",
        cluster="clusters/release.morph",
        state_directory=str(tmp_path / "state"),
        coordinator="coordinator-1",
        build_hosts=HOSTS,
    )
