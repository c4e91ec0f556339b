"""Each system of a cluster has a file, an architecture and a name of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.release import make_plan
from ansible_collections.slipway.release.plugins.module_utils.slipway.release import records
from planning import CLUSTER, refused


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        (
            "elements/systems/initramfs-x86_64.bst",
            "kind: compose\n",
            "systems[0].subsystems[0]: systems/initramfs-x86_64.bst does not say its architecture; "
            "add `public: {slipway: {arch: x86_64}}` to it, or `arch: x86_64` to this entry (line 9)",
        ),
        ("elements/systems/initramfs-x86_64.bst", "{", "systems/initramfs-x86_64.bst: it is not YAML: line"),
        (
            "systems/board-armv7lhf.morph",
            "kind: stratum\narch: armv7lhf\n",
            "systems/board-armv7lhf.morph: its kind is stratum, not system",
        ),
        (
            "systems/board-armv7lhf.morph",
            "kind: system\n",
            "systems[1]: systems/board-armv7lhf.morph does not say its architecture; "
            "add `arch: x86_64` to it (line 12)",
        ),
    ],
)
def test_a_system_that_does_not_say_what_it_is_for_is_refused(trove, request_, name, text, finding):
    trove.commit({name: text})
    (found,) = refused(request_).findings
    assert found.startswith(finding)


def test_the_architecture_in_the_cluster_wins(trove, request_):
    trove.commit(
        {"clusters/release.morph": CLUSTER.replace("  deploy:\n    board", "  arch: x86_64\n  deploy:\n    board")}
    )
    plan = make_plan(replace(request_, build_hosts={"x86_64": ["b"]})).plan
    assert plan["deployments"][2]["architecture"] == "x86_64"


def test_systems_have_names_of_their_own(trove, request_):
    entries = [("a/x.bst", "x86_64"), ("b/x.bst", "x86_64"), ("c/y.bst", "x86_64"), ("c/y.bst", "armv7lhf")]
    entries += [("c/y-armv7lhf.bst", "x86_64"), ("c/z.bst", "x86_64"), ("c/z.morph", "x86_64")]
    text = "name: release\nkind: cluster\nsystems:\n" + "".join(
        f"- {{morph: {file}, arch: {arch}, deploy: {{d{number}: {{type: tar, location: d{number}.tar}}}}}}\n"
        for number, (file, arch) in enumerate(entries)
    )
    files = {f"elements/{file}" if file.endswith(".bst") else file: "name: x\nkind: system\n" for file, _ in entries}
    trove.commit({**files, "clusters/release.morph": text})
    plan = make_plan(request_).plan
    assert [(system["file"], system["architecture"]) for system in plan["systems"]] == entries
    found = [system["name"] for system in plan["systems"]]
    assert found[:3] == ["a-x", "b-x", "y-x86_64"]
    assert len(set(found)) == len(entries)
    assert all(records.STAGE_NAME.match(f"build-{name}") for name in found)
    assert [deployment["system_name"] for deployment in plan["deployments"]] == found


def test_an_element_may_be_named_with_its_element_path(trove, request_):
    trove.commit({"clusters/release.morph": CLUSTER.replace("systems/minimal", "elements/systems/minimal")})
    assert make_plan(request_).plan["systems"][0]["file"] == "systems/minimal-x86_64.bst"


def test_an_old_cluster_without_directories_can_be_planned(trove, request_):
    trove.commit(
        {
            "release.morph": "name: a\nkind: cluster\n"
            "systems: [{morph: devel, deploy: {d: {type: tar, location: d.tar}}}]\n",
            "devel.morph": "name: devel\nkind: system\narch: x86_64\n",
        }
    )
    assert make_plan(replace(request_, cluster="release")).plan["systems"][0]["file"] == "devel.morph"


STRATA = {
    "systems/board-armv7lhf.morph": "name: board\nkind: system\narch: armv7lhf\n"
    "strata: [{morph: strata/bsp.morph}, {name: core, morph: core}, {name: far, morph: far, repo: a, ref: b}]\n",
    "strata/bsp.morph": "name: bsp\nkind: stratum\nbuild-depends: [{morph: ./strata/build-essential.morph}]\n",
    "strata/build-essential.morph": "name: build-essential\nkind: stratum\n"
    "build-depends: [{morph: strata/bsp.morph}]\n",
    "core.morph": "name: core\nkind: stratum\n",
}


def test_strata_that_morph_builds_are_fine(trove, request_):
    trove.commit(STRATA)
    assert len(make_plan(request_).plan["systems"]) == 3


@pytest.mark.parametrize(
    ("file", "old", "new", "finding"),
    [
        (
            "clusters/release.morph",
            "name: release",
            "",
            "name: the cluster has no name; give it one, such as name: release",
        ),
        ("clusters/release.morph", "name: release", "name: [a]", "name: the cluster has no name"),
        (
            "systems/board-armv7lhf.morph",
            "name: board",
            "name:",
            "systems/board-armv7lhf.morph: the system has no name",
        ),
        (
            "strata/bsp.morph",
            "name: bsp",
            "title: bsp",
            "strata/bsp.morph: the stratum has no name, without which Morph",
        ),
        (
            "strata/build-essential.morph",
            "name: build-essential",
            "",
            "strata/build-essential.morph: the stratum has no",
        ),
        ("core.morph", "name: core", "name: {}", "core.morph: the stratum has no name"),
        ("core.morph", "kind: stratum", "kind: chunk", "core.morph: its kind is chunk, not stratum"),
        ("core.morph", "name: core", "name: [", "core.morph: it is not YAML"),
    ],
)
def test_what_has_no_name_is_refused_before_anything_is_built(trove, request_, file, old, new, finding):
    texts = {"clusters/release.morph": CLUSTER, **STRATA}
    trove.commit({**STRATA, file: texts[file].replace(old, new)})
    (found,) = refused(request_).findings
    assert found.startswith(finding)


def test_the_cluster_may_be_named_from_the_top(trove, request_):
    plan = make_plan(replace(request_, cluster="./clusters/release.morph")).plan
    assert plan["cluster"] == "clusters/release.morph"
