"""Manifests of a system of BuildStream's, by a real bst show and real sources."""

from __future__ import annotations

import dataclasses
import json

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.bill.difference import read_bill
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.elements import (
    Element,
    Origin,
    list_components,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.make import make_files
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.site import Wanted
from morphsystems import write_tar

ORIGIN = Origin("baserock/definitions", "baserock/release/baserock-26.47", "c" * 40)
SYSTEM = "systems/tiny.bst"


def element(name, *, build=(), run=(), url=""):
    sources = [{"kind": "git", "url": url, "medium": "git", "version": "a" * 40, "version-guess": "1.2"}] if url else []
    return Element(name, f"{abs(hash(name)):064x}"[-64:], tuple(build), tuple(run), tuple(sources))


def names(*elements):
    components, chunks = list_components({each.name: each for each in elements}, elements[-1].name, origin=ORIGIN)
    return [(each.kind, each.name, each.version) for each in components], chunks


def test_what_chunks_are_built_with_is_no_part_of_the_system():
    found, chunks = names(
        element("compiler.bst", url="trove:gcc"),
        element("libc.bst", url="trove:libc"),
        element("components/hello.bst", build=["compiler.bst"], run=["libc.bst"], url="trove:hello"),
        element("strata/core.bst", build=["components/hello.bst"], run=["components/hello.bst"]),
        element(SYSTEM, build=["strata/core.bst"]),
    )
    assert found == [
        ("chunk", "libc", "1.2"),
        ("chunk", "components-hello", "1.2"),
        ("stratum", "strata-core", ""),
        ("system", "systems-tiny", ""),
    ]
    assert chunks == {"libc": "libc.bst", "hello": "components/hello.bst"}


def test_elements_of_one_name_in_several_directories_are_told_apart():
    _found, chunks = names(
        element("a/hello.bst", url="x:hello"),
        element("b/hello.bst", url="y:hello"),
        element(SYSTEM, build=["a/hello.bst", "b/hello.bst"]),
    )
    assert chunks == {"a-hello": "a/hello.bst", "b-hello": "b/hello.bst"}


@pytest.fixture
def built(site, morph):
    """A site whose definitions are a BuildStream project, with a component of the Trove and a file of its own."""
    source = site.release.source
    for name, text in {
        "project.conf": "name: tiny\nmin-version: 2.8\nelement-path: elements\n"
        f"aliases: {{trove: 'file://{morph.top}/'}}\n"
        "plugins:\n- {origin: pip, package-name: buildstream-plugins, sources: [git]}\n",
        "elements/hello.bst": "kind: import\nsources:\n- kind: git\n  url: trove:delta/hello.git\n  track: master\n"
        f"  ref: {morph.commits['delta/hello']}\n",
        "elements/own.bst": "kind: import\nsources:\n- {kind: local, path: files}\n",
        f"elements/{SYSTEM}": "kind: compose\nbuild-depends: [hello.bst, own.bst]\n",
        "files/LICENSE": "SPDX-License-Identifier: ISC\n",
        "buildstream.conf": f"cachedir: {source}/cache\n",
    }.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    return dataclasses.replace(site, config=source / "buildstream.conf")


def make(site, kind, **settings):
    wanted = Wanted("x", "tiny", kind, SYSTEM, "tiny", "x86_64", "x.txt", settings)
    make_files([wanted], site, previous={})
    return (site.release.images / "x.txt").read_text()


def test_manifest_and_licences_of_a_real_project(built, morph):
    rows = [
        [cell.rstrip() for cell in row.split("\t")]
        for row in make(built, "baseline-manifest", format="text").splitlines()
    ]
    commit, branch = morph.commit[:7], "baserock/release/baserock-26.47"
    assert [(row[0][7:], *row[1:]) for row in rows[1:]] == [
        (".system.systems-tiny", "baserock/baserock/definitions", branch, commit),
        (".chunk.hello", "trove:delta/hello.git", morph.commits["delta/hello"], morph.commits["delta/hello"][:7]),
        (".chunk.own", "baserock/baserock/definitions:files", branch, commit),
    ]
    (built.release.images / "x.txt").unlink()
    assert make(built, "licence-manifest") == (
        "trove:delta/hello.git\n---------------------\n GPL-2.0-or-later\n MIT\n UNKNOWN\n\n"
        "baserock/baserock/definitions:files\n-----------------------------------\n ISC\n\n"
    )


def test_definitions_that_are_not_those_of_the_build_are_told(built):
    with pytest.raises(SlipwayError, match="the definitions here give the key [0-9a-f]{64}, but what was built has 0"):
        make(dataclasses.replace(built, keys={"tiny": "0" * 64}), "baseline-manifest")


def make_bills(site, system, architecture="x86_64", **settings):
    wanted = [
        Wanted(
            f"s.{form}.json", "x", "bill", system, "tiny", architecture, f"s.{form}.json", {"format": form, **settings}
        )
        for form in ("spdx", "cdx")
    ]
    make_files(wanted, site, previous={})
    bills = [site.release.images / each.file for each in wanted]
    return bills[0].read_bytes(), bills[1].read_bytes()


def test_a_bill_of_a_real_project_has_its_sources_and_what_debian_has_in_it(built, morph):
    status = b"Package: hello\nStatus: install ok installed\nArchitecture: i386\nVersion: 1-1\n"
    write_tar(built.release.images / "deployed.tar", {"./var/lib/dpkg/status": status})
    deployed = {"name": "tar", "system_name": "tiny", "type": "tar", "file": "deployed.tar"}
    inside = {"system": "own.bst", "system_name": "own", "architecture": "x86_64", "subsystems": []}
    built = dataclasses.replace(built, deployments=[{**deployed, "subsystems": [inside]}])
    spdx, cdx = make_bills(built, SYSTEM, licences=True)
    components = read_bill(spdx, on="x")
    commit = morph.commits["delta/hello"]
    assert list(components) == ["hello.bst", "hello:i386", "own.bst"]
    assert (components["hello.bst"].commit, components["hello.bst"].licence) == (commit, "GPL-2.0-or-later AND MIT")
    assert components["own.bst"].licence == "ISC"
    source = next(each for each in json.loads(spdx)["packages"] if commit in str(each.get("sourceInfo")))
    assert source["sourceInfo"] == f"git file://{morph.top}/delta/hello.git {commit}"
    assert '"CONTAINS"' in spdx.decode()
    assert b'"bomFormat": "CycloneDX"' in cdx
    for path in built.release.images.glob("s.*.json"):
        path.unlink()
    assert make_bills(built, SYSTEM, licences=True) == (spdx, cdx)


def test_a_bill_of_morphs_has_each_artifact_with_repository_and_commit(site, morph):
    site = dataclasses.replace(site, deployments=[{**site.deployments[0], "system_name": "tiny"}])
    spdx, _cdx = make_bills(site, "systems/genivi-x86_64.morph", stated={"tool": ["ISC"]})
    components = read_bill(spdx, on="x")
    assert list(components) == [
        "chunk hello-bins", "chunk hello-misc", "chunk tool-bins", "stratum core-runtime"
    ]  # fmt: skip
    assert components["chunk hello-bins"].commit == morph.commits["delta/hello"]
    assert components["chunk tool-bins"].licence == "ISC"
