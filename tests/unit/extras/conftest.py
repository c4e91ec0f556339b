"""A site that has a system of Morph's, and what it is asked to make of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.elements import Origin
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.morph import list_chunks
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.site import Release, Site, Wanted
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.sources import GitSources
from morphsystems import SYSTEM, Morph, write_tar


@pytest.fixture(scope="session")
def morph(tmp_path_factory: pytest.TempPathFactory) -> Morph:
    return Morph(tmp_path_factory.mktemp("trove"))


@pytest.fixture(scope="session")
def known(morph: Morph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What licensecheck says of the components: asking it takes long."""
    site = make_site(morph, tmp_path_factory.mktemp("known"))
    with site.open_definitions() as definitions:
        chunks = list_chunks(definitions, SYSTEM)
    facts = site.facts(site.git, judge=True)
    facts.find_licences(facts.resolve(chunks), stated={})
    return site.cache


@pytest.fixture
def site(morph: Morph, known: Path, tmp_path: Path) -> Site:
    """A site on which the system is deployed as an archive, and its components are known."""
    shutil.copytree(known, tmp_path / "cache")
    return make_site(morph, tmp_path)


def make_site(morph: Morph, top: Path) -> Site:
    images = top / "images"
    images.mkdir()
    meta = {f"./baserock/{name}": json.dumps(value).encode() for name, value in morph.list_meta().items()}
    write_tar(images / "system.tar", {**meta, "./boot/vmlinuz-6.1": b"a kernel", "./boot/vmlinuz": "vmlinuz-6.1"})
    return Site(
        release=Release(
            label="baserock-26.47",
            version="26.47",
            epoch=1700000000,
            definitions=Origin("baserock/baserock/definitions", "baserock/release/baserock-26.47", morph.commit),
            url=str(morph.definitions),
            source=top / "source",
            images=images,
        ),
        deployments=[{"name": "tar", "system_name": "genivi-x86_64", "type": "tar", "file": "system.tar"}],
        artifacts={},
        keys={},
        cache=top / "cache",
        git=GitSources(str(morph.top)),
    )


@pytest.fixture
def wanted(site: Site):
    """Makes an entry of the plan's extra files."""

    def make(kind: str, **settings) -> Wanted:
        names = {"name": "genivi-x86_64-extra", "file": "baserock-26.47-genivi-x86_64-extra"}
        system = {"system": SYSTEM, "system_name": "genivi-x86_64", "architecture": "x86_64"}
        return Wanted(product="genivi", type=kind, settings=settings, **names, **system)

    return make
