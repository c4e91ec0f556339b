"""What changed of a product is found in the definitions, and by the artifact keys where a build tool tells them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.due import Changes
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.schema import read_policy
from ansible_collections.slipway.release.plugins.module_utils.slipway.train.changes import find_changes, open_snapshot
from planning import Trove

CLUSTER = """\
name: release
kind: cluster
systems:
- morph: systems/base.bst
  arch: x86_64
  deploy: {base: {type: tar, location: base.tar}}
  subsystems:
  - {morph: systems/initramfs.bst, arch: x86_64, deploy: {initramfs: {type: initramfs, location: boot/i}}}
- {morph: systems/devel.bst, arch: x86_64, deploy: {devel: {type: tar, location: devel.tar}}}
"""
SYSTEM = "kind: compose\nbuild-depends: [{parts}]\n"
SOURCE = "kind: manual\nsources:\n- {{kind: git, url: 'x:{name}', ref: {ref}}}\n"
POLICY = {
    "products": {
        "acme": {"schedule": {"on_change": {"systems": 1, "components": 1}}},
        "devel": {"systems": ["devel"], "schedule": {"on_change": {"components": 1}}},
    }
}


def source(name: str, digit: str) -> dict[str, str]:
    return {f"components/{name}.bst": SOURCE.format(name=name, ref=digit * 40)}


@pytest.fixture
def trove(tmp_path: Path) -> Trove:
    made = Trove(tmp_path)
    made.make()
    files = {"clusters/release.morph": CLUSTER, "project.conf": "name: example\n"}
    for system, parts in (("base", "zlib"), ("initramfs", "busybox"), ("devel", "gcc")):
        files[f"systems/{system}.bst"] = SYSTEM.format(parts=f"components/{parts}.bst")
        files |= source(parts, "1")
    made.commit(files)
    return made


def compare(
    trove: Trove, before: str, now: str, product: str = "acme", policy: object = POLICY, **options: object
) -> Changes:
    policy, faults = read_policy(policy, project="acme")
    assert not faults
    wanted = next(each for each in policy.products if each.name == product)
    with ExitStack() as stack:
        old, new = (
            stack.enter_context(open_snapshot(str(trove.bare), commit, cluster="clusters/release.morph", policy=policy))
            for commit in (before, now)
        )
        return find_changes(wanted, old, new, **{"manifest": {}, "keys": None, **options})


def test_a_product_changes_with_its_own_components_and_those_of_the_parts_of_its_systems(trove: Trove) -> None:
    first = trove.run("rev-parse", "HEAD")
    second = trove.commit(source("busybox", "2"))
    third = trove.commit(source("gcc", "2"))
    names = ("base", "initramfs")
    assert compare(trove, first, first) == Changes(systems=[], components=[], without_keys=names)
    assert compare(trove, first, second) == Changes(["initramfs"], ["busybox"], without_keys=names)
    assert compare(trove, first, third, "devel") == Changes(systems=None, components=["gcc"])
    assert compare(trove, second, third) == Changes(systems=[], components=[], without_keys=names)


def test_keys_say_more_than_the_definitions_where_they_are_known(trove: Trove) -> None:
    first = trove.run("rev-parse", "HEAD")
    manifest = {"systems": [{"name": "base", "key": "a"}, {"name": "initramfs", "key": "b"}]}
    same = compare(trove, first, first, manifest=manifest, keys={"base": "a", "initramfs": "b"})
    assert same == Changes(systems=[], components=[])
    other = compare(trove, first, first, manifest=manifest, keys={"base": "c", "initramfs": "b"})
    assert other == Changes(systems=["base"], components=[])


def test_without_keys_all_that_the_definitions_say_of_a_system_counts_and_comments_do_not(trove: Trove) -> None:
    first = trove.run("rev-parse", "HEAD")
    comment = trove.commit({"components/zlib.bst": "# a comment\n" + source("zlib", "1")["components/zlib.bst"]})
    assert compare(trove, first, comment).systems == []
    recipe = trove.commit(
        {"systems/base.bst": SYSTEM.format(parts="components/zlib.bst") + "config: {include: [run]}\n"}
    )
    assert compare(trove, comment, recipe) == Changes(["base"], [], without_keys=("base", "initramfs"))


def test_files_of_the_definitions_are_sources_of_what_has_no_others(trove: Trove) -> None:
    local = "kind: import\nsources:\n- {kind: local, path: files}\n"
    before = trove.commit({"components/zlib.bst": local, "files/a": "1"})
    now = trove.commit({"files/a": "2"})
    assert compare(trove, before, now) == Changes(["base"], ["zlib"], without_keys=("base", "initramfs"))
    patched = source("zlib", "1")["components/zlib.bst"] + "- {kind: patch, path: files/a}\n"
    before = trove.commit({"components/zlib.bst": patched, "files/a": "3"})
    assert compare(trove, before, trove.commit({"components/zlib.bst": patched, "files/a": "4"})).components == []


MORPH = """\
name: release
kind: cluster
systems:
- {morph: systems/base.morph, deploy: {base: {type: tar, location: base.tar}}}
"""
MORPHOLOGIES = {
    "clusters/release.morph": MORPH,
    "systems/base.morph": "name: base\nkind: system\narch: x86_64\nstrata: [{name: core, morph: strata/core.morph}]\n",
    "strata/core.morph": "name: core\nkind: stratum\nchunks: [{name: zlib, repo: 'x:z', ref: "
    + "1" * 40
    + ", morph: strata/core/zlib.morph}]\n",
    "strata/core/zlib.morph": "name: zlib\nkind: chunk\nbuild-commands: [make]\n",
    "DEFAULTS": "split-rules: {}\n",
}


@pytest.mark.parametrize(
    ("path", "more", "systems"),
    [
        ("strata/core/zlib.morph", "# a comment\n", []),
        ("strata/core.morph", "description: New words.\n", []),
        ("strata/core/zlib.morph", "install-commands: [make install]\n", ["base"]),
        ("systems/base.morph", "configuration-extensions: [set-hostname]\n", ["base"]),
        ("DEFAULTS", "build-systems: {}\n", ["base"]),
        ("README", "Words.\n", []),
    ],
)
def test_a_system_of_morph_has_changed_if_what_it_is_built_from_has(
    trove: Trove, path: str, more: str, systems: list[str]
) -> None:
    before = trove.commit(MORPHOLOGIES)
    now = trove.commit({path: MORPHOLOGIES.get(path, "") + more})
    policy = {"products": {"acme": POLICY["products"]["acme"]}}
    assert compare(trove, before, now, policy=policy).systems == systems


def test_a_system_that_is_new_or_gone_is_a_change(trove: Trove) -> None:
    first = trove.run("rev-parse", "HEAD")
    cluster = CLUSTER + "- {morph: systems/extra.bst, arch: x86_64, deploy: {e: {type: tar, location: e.tar}}}\n"
    second = trove.commit({"clusters/release.morph": cluster, "systems/extra.bst": "kind: compose\n"})
    assert compare(trove, first, second).systems == ["extra"]
    assert compare(trove, second, first).systems == ["extra"]


def test_systems_of_architectures_that_only_this_site_knows_are_compared_too(trove: Trove) -> None:
    first = trove.commit({"clusters/release.morph": CLUSTER.replace("arch: x86_64", "arch: riscv64")})
    second = trove.commit(source("busybox", "2"))
    changes = compare(trove, first, second)
    assert (changes.systems, changes.components) == (["initramfs"], ["busybox"])


def test_products_that_do_not_fit_the_cluster_are_refused(trove: Trove) -> None:
    policy, _faults = read_policy({"products": {"x": {"systems": ["nothing"]}}}, project="acme")
    head = trove.run("rev-parse", "HEAD")
    opened = open_snapshot(str(trove.bare), head, cluster="clusters/release.morph", policy=policy)
    says = "no system of the cluster is called nothing; there are base, devel"
    with opened as snapshot, pytest.raises(SlipwayError, match=says):
        snapshot.list_products()


def test_a_commit_that_is_none_is_refused(trove: Trove) -> None:
    policy, _faults = read_policy({}, project="acme")
    opened = open_snapshot(str(trove.bare), "--upload-pack=x", cluster="c", policy=policy)
    with pytest.raises(SlipwayError, match="it is no commit"), opened:
        pass
