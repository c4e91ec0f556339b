"""Cluster files are read as a whole, and every fault is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.cluster import (
    Cluster,
    read_cluster,
    read_system_architecture,
    sanitise_path,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.yamltext import MAX_BYTES
from hypothesis import given, settings
from hypothesis import strategies as st

DATA = Path(__file__).parent / "data/clusters"
LABEL = "baserock-26.47"


def read(text, label=LABEL, types=()):
    return read_cluster(text.encode() if isinstance(text, str) else text, label=label, types=types)


def one(deploy="{foo: {type: tar, location: foo.tar}}", more=""):
    return f"kind: cluster\nsystems:\n- morph: systems/foo.bst\n  deploy: {deploy}\n{more}"


def from_file(name):
    return read((DATA / name).read_bytes())


@pytest.mark.parametrize("name", ["release.morph", "baserock-style.morph", "ci.morph"])
def test_a_usual_cluster_has_no_fault(name):
    assert from_file(name).faults == []


def test_systems_deployments_and_nested_subsystems_are_found():
    cluster = from_file("baserock-style.morph")
    assert [system.file for system in cluster.walk()] == [
        "systems/build-system-x86_32-chroot.morph",
        "systems/build-system-x86_64.morph",
        "systems/initramfs-x86_64.morph",
        "systems/build-system-armv7lhf-board.morph",
        "systems/cross-toolchain-system-x86_64.morph",
        "systems/devel-system-armv7lhf-board.morph",
        "systems/initramfs-armv7lhf.morph",
    ]
    (sdk,) = cluster.systems[3].deployments
    (sysroot,) = cluster.systems[3].subsystems[0].deployments
    (initramfs,) = cluster.systems[3].subsystems[0].subsystems[0].deployments
    assert (sdk.name, sdk.type, sdk.location) == ("sdk", "sdk", "armv7lhf-cross-toolchain-system-x86_64.sh")
    assert sysroot.location == "usr/armv7lhf-baserock-linux-gnueabi/sys-root"
    assert (initramfs.where, initramfs.location) == (
        "systems[3].subsystems[0].subsystems[0].deploy.initramfs-of-the-sysroot",
        "boot/initramfs.gz",
    )


def test_the_defaults_count_and_a_deployment_of_its_own_wins():
    small, large = from_file("baserock-style.morph").systems[2].deployments
    assert (small.type, small.settings["DISK_SIZE"]) == ("rawdisk", "2G")
    assert (large.type, large.settings["DISK_SIZE"]) == ("rawdisk", "8G")
    assert large.settings["BOOT_DEVICE"] == "/dev/mmcblk0p1"
    assert "DTB_PATH" not in large.settings


def test_a_location_may_stand_in_the_defaults():
    cluster = read("kind: cluster\nsystems: [{morph: a, deploy-defaults: {type: tar, location: a.tar}, deploy: {a: }}]")
    assert cluster.faults == []
    assert cluster.systems[0].deployments[0].location == "a.tar"


def test_a_location_in_the_defaults_of_two_deployments_is_given_twice():
    cluster = read(
        "kind: cluster\nsystems:\n- morph: a\n"
        "  deploy-defaults: {type: tar, location: a.tar}\n  deploy:\n    a:\n    b:\n"
    )
    assert cluster.faults == [
        "systems[0].deploy.b.location: a.tar is already the location of systems[0].deploy.a; give each its own (line 4)"
    ]


def test_a_deployment_may_be_named_like_a_file_and_lie_where_another_release_would():
    deployment = from_file("ci.morph").systems[1].deployments[0]
    assert deployment.name == "weston-qt5-system-x86_64.morph"
    assert deployment.location == "baserock-openstack-system-x86_64.img"


def test_settings_are_text_as_written_and_passwords_are_left_out():
    generic, openstack = (system.deployments[0] for system in from_file("ci.morph").systems)
    assert generic.settings == {
        "AUTOSTART": "False",
        "CLOUD_INIT": "yes",
        "DISK_SIZE": "4G",
        "SERIAL": "007",
        "VCPUS": "2",
    }
    assert set(openstack.settings) == {"DISK_SIZE", "HOSTS_CONTROLLER", "NOVA_VIRT_TYPE"}


STRUCTURED = """
name: release
kind: cluster
systems:
- morph: ./systems/swift.morph
  deploy-defaults: {type: rawdisk, HOSTS: [10.0.0.1 a, 10.0.0.2 b]}
  deploy:
    node:
      location: node.img
      SWIFT: {devices: [{ip: 10.0.0.1, ADMIN_PASSWORD: secret}], size: 1}
  subsystems:
  - morph: systems/initramfs.morph
    deploy: {initramfs: {type: initramfs, location: /boot/initramfs.gz}}
"""


def test_what_morph_takes_is_taken_where_morph_makes_the_image():
    cluster = read_cluster(STRUCTURED.encode(), label=LABEL, plain=False)
    assert cluster.faults == []
    assert [system.file for system in cluster.walk()] == ["systems/swift.morph", "systems/initramfs.morph"]
    (node,) = cluster.systems[0].deployments
    assert node.settings == {
        "HOSTS": "['10.0.0.1 a', '10.0.0.2 b']",
        "SWIFT": "{'devices': [{'ip': '10.0.0.1'}], 'size': '1'}",
    }
    wrong = read_cluster(STRUCTURED.replace("node.img", "[node.img]").encode(), label=LABEL, plain=False)
    assert wrong.faults == ["systems[0].deploy.node.location: a setting is text, this is a list (line 9)"]


def test_a_setting_is_text_where_slipway_makes_the_image():
    faults = read(STRUCTURED).faults
    assert [fault.partition(": ")[0] for fault in faults] == [
        "systems[0].deploy-defaults.HOSTS",
        "systems[0].deploy.node.SWIFT",
    ]


@pytest.mark.parametrize(
    ("location", "place"), [("/boot/a.gz", "boot/a.gz"), ("//rootfs", "rootfs"), ("rootfs", "rootfs"), ("/", None)]
)
def test_the_place_of_a_subsystem_is_in_its_parent_with_a_slash_before_it_or_not(location, place):
    text = one(more=f"  subsystems: [{{morph: b, deploy: {{b: {{type: tar, location: {location}}}}}}}]\n")
    cluster = read(text)
    if place is None:
        assert cluster.faults == [
            "systems[0].subsystems[0].deploy.b.location: the location is missing; give a path (line 5)"
        ]
    else:
        assert cluster.faults == []
        assert cluster.systems[0].subsystems[0].deployments[0].location == place


def test_two_subsystems_are_not_in_one_place_by_a_slash():
    subsystems = (
        "[{morph: b, deploy: {b: {type: tar, location: /x}}}, {morph: c, deploy: {c: {type: tar, location: x}}}]"
    )
    (fault,) = read(one(more=f"  subsystems: {subsystems}\n")).faults
    assert "x is already the place of systems[0].subsystems[0].deploy.b" in fault


def test_keys_that_old_clusters_had_are_ignored_with_a_remark():
    assert from_file("ci.morph").remarks == [
        "systems[0].repo: this key is ignored (line 7)",
        "systems[0].ref: this key is ignored (line 8)",
    ]


def test_a_misspelt_key_of_a_system_is_pointed_at():
    cluster = read(one(more="  subsystem: []"))
    assert cluster.remarks == ["systems[0].subsystem: this key is ignored (did you mean subsystems?) (line 5)"]


def test_every_fault_of_a_cluster_is_listed_at_once_with_its_place():
    faults = from_file("many-faults.morph").faults
    assert len(faults) == 19
    starts = [fault.partition(": ")[0] for fault in faults]
    assert starts == [
        "system",
        "systems[0].deploy.one.location",
        "systems[0].deploy.two.location",
        "systems[0].deploy.three.type",
        "systems[0].deploy.four.location",
        "systems[1].morph",
        "systems[2].morph",
        "systems[2].deploy",
        "systems[3].morph",
        "systems[3].deploy.seven.location",
        "systems[4]",
        "systems[5].arch",
        "systems[5].deploy.one",
        "systems[5].deploy.one.HOSTNAME",
        "systems[5].deploy.one.location",
        "systems[5].deploy.eight.location",
        "systems[5].subsystems[0].deploy.nine.location",
        "systems[5].subsystems[0].deploy.ten.location",
        "systems[5].subsystems[0].deploy.twelve.location",
    ]
    assert all(fault.endswith(")") and "(line " in fault for fault in faults)


def test_deployment_names_are_unique_in_the_whole_cluster():
    assert from_file("old-duplicates.morph").faults == [
        "systems[1].deploy.devel: the deployment's name devel is already used at systems[0].deploy.devel; "
        "give each its own (line 18)",
        "systems[1].subsystems[0].deploy.initramfs: the deployment's name initramfs is already used at "
        "systems[0].subsystems[0].deploy.initramfs; give each its own (line 24)",
    ]


def test_a_deployment_named_twice_in_one_mapping_is_a_fault():
    cluster = read(one("{foo: {type: tar, location: a.tar}, foo: {type: tar, location: b.tar}}"))
    assert cluster.faults == ["line 4: the key 'foo' is given a second time (first on line 4)"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is empty"),
        ("---\n", "it is empty"),
        ("# nothing\n", "it is empty"),
        (b"\xff\xfe", "byte 0 is not UTF-8"),
        (b"kind: clust\xe9r", "byte 11 is not UTF-8"),
        ("kind: [cluster", "it is not YAML: line "),
        ("kind: cluster\n\tsystems:", "it is not YAML: line 2: found "),
        ("just text", "it is text, not a mapping with kind: cluster (line 1)"),
        ("- a\n- b", "it is a list, not a mapping with kind: cluster (line 1)"),
        ("name: x", "kind: it has no kind; a release needs a file with kind: cluster (line 1)"),
        ("name: x\nkind: system", "kind: it is of the kind system; a release needs a file with kind: cluster (line 2)"),
        ("kind: cluster", "systems: the cluster lists no systems; give at least one (line 1)"),
        ("kind: cluster\nsystems: []", "systems: the cluster lists no systems; give at least one (line 2)"),
        ("kind: cluster\nsystems: {}", "systems: the cluster lists no systems; give at least one (line 2)"),
        ("a: 1\n---\nb: 2\n", "it holds a second document from line 2"),
        ("a: !!python/object/apply:os.system [id]", "line 1: the tag tag:yaml.org,2002:python/object/apply:os.system"),
        ("a: &x [*x]", "line 1: the alias *x stands before the end of what it names"),
        ("? [a]\n: b", "line 1: a key is a list, not text"),
        ("[" * 100_000, "line 1: it is nested more than 64 levels deep"),
        ("x: " * 100, "it is not YAML"),
    ],
)
def test_what_is_no_cluster_at_all_is_told_in_one_sentence(text, sentence):
    (fault,) = read(text).faults
    assert fault.startswith(sentence)


def test_a_file_that_is_too_large_is_not_read():
    assert read(b"#" * (MAX_BYTES + 1)).faults == ["it is larger than 1 MiB"]


def test_aliases_cannot_grow_without_bounds():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 20)
    )
    (fault,) = read(bomb).faults
    assert "it grows to more than 100000 values when its aliases are followed" in fault
    keys = ", ".join(f"k{i}: v" for i in range(5000))
    merged = f"base: &base {{{keys}}}\n" + "".join(f"m{i}: {{<<: *base}}\n" for i in range(10_000))
    (fault,) = read(merged).faults
    assert "it grows to more than 100000 values" in fault


def test_aliases_cannot_nest_without_bounds():
    deep = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [[[[*a{i - 1}]]]]\n" for i in range(1, 40))
    (fault,) = read(deep).faults
    assert "it is nested more than 64 levels deep" in fault


def test_aliases_and_merges_may_be_used():
    cluster = read(
        "kind: cluster\nsystems:\n- morph: a\n  deploy:\n    a: &base {type: tar, location: a.tar, HOSTNAME: h}\n"
        "    b: {<<: *base, location: b.tar}\n    c: {<<: [{type: x}, *base], location: c.tar}\n"
    )
    assert cluster.faults == []
    assert [(each.type, each.location) for each in cluster.systems[0].deployments] == [
        ("tar", "a.tar"),
        ("tar", "b.tar"),
        ("x", "c.tar"),
    ]
    assert cluster.systems[0].deployments[1].settings == {"HOSTNAME": "h"}


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("a/b.tar", "a/b.tar holds '/'; give the bare name of a file"),
        ("/a.tar", "/a.tar holds '/'; give the bare name of a file"),
        ("baserock-26.47", "baserock-26.47 begins with the release's label baserock-26.47"),
        ("baserock-26.47-a.tar", "baserock-26.47-a.tar begins with the release's label baserock-26.47"),
        ("-a.tar", "-a.tar is not a safe file name"),
        ("'..'", ".. is not a safe file name"),
        ("a b.tar", "'a b.tar' is not a safe file name"),
        ('"a\\nb.tar"', r"'a\nb.tar' is not a safe file name"),
        ("a:b.tar", "a:b.tar is not a safe file name"),
        ("ä.tar", "ä.tar is not a safe file name"),
        (
            "a" * 186,
            "a" * 128 + "...' is not a safe file name; use letters, digits and . _ + ~ - (at most 185 of them)",
        ),
        ("", "the location is missing; give a file name"),
        ("[a]", "a setting is text, this is a list"),
    ],
)
def test_a_location_that_cannot_be_published_is_refused(location, sentence):
    (fault,) = read(one(f"{{foo: {{type: tar, location: {location}}}}}")).faults
    assert fault.startswith("systems[0].deploy.foo.location: ")
    assert sentence in fault


def test_a_location_of_a_longer_version_is_no_label_of_this_one():
    deploy = "{foo: {type: tar, location: baserock-15.25-x.tar}}"
    assert read(one(deploy), label="baserock-15.2").faults == []
    assert len(read(one(deploy), label="baserock-15.25").faults) == 1


@pytest.mark.parametrize("other", ["a.tar", "a.tar.gz", "a.tar.sha256", "a.tar.gz.sha256"])
def test_two_files_that_packaging_would_give_one_name_are_refused(other):
    cluster = read(one(f"{{a: {{type: tar, location: a.tar}}, b: {{type: tar, location: {other}}}}}"))
    (fault,) = cluster.faults
    assert fault.startswith("systems[0].deploy.b.location: ")
    assert "systems[0].deploy.a" in fault


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        ("a", True),
        ("a.morph", True),
        ("A-b_c.9", True),
        ("a/b", False),
        ("-a", False),
        ("a b", False),
        ("a" * 129, False),
    ],
)
def test_a_deployment_name_can_name_a_record(name, fine):
    assert (read(one(f"{{{name}: {{type: tar, location: a.tar}}}}")).faults == []) is fine


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("initrmfs", "initrmfs is not a type of deployment (did you mean initramfs?); known are initramfs, tar"),
        ("", "the type is missing; say what is made, such as tar or rawdisk; known are initramfs, tar"),
        ("a/b", "a/b is not a type of deployment; known are initramfs, tar"),
    ],
)
def test_a_type_that_nothing_can_make_is_refused(kind, sentence):
    (fault,) = read(one(f"{{foo: {{type: {kind}, location: a.tar}}}}"), types=["tar", "initramfs"]).faults
    assert fault == f"systems[0].deploy.foo.type: {sentence} (line 4)"


def test_the_old_path_of_a_type_is_its_name():
    (deployment,) = read(one("{foo: {type: extensions/tar, location: a.tar}}"), types=["tar"]).systems[0].deployments
    assert deployment.type == "tar"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("devel-system", "devel-system.morph"),
        ("devel-system.morph", "devel-system.morph"),
        ("minimal.bst", "minimal.bst"),
        ("systems/devel-system", "systems/devel-system"),
        ("systems/devel-system.morph", "systems/devel-system.morph"),
        ("weston-qt5-system-x86_64.img", "weston-qt5-system-x86_64.img.morph"),
        ("./systems/devel-system.morph", "systems/devel-system.morph"),
        ("././/devel-system.morph", "devel-system.morph"),
        ("./devel-system", "devel-system"),
    ],
)
def test_file_names_follow_the_rule_of_baserock(name, file):
    assert sanitise_path(name) == file


@pytest.mark.parametrize(
    ("morph", "sentence"),
    [
        ("/etc/passwd.bst", "is not a plain path"),
        ("../a.bst", "is not a plain path"),
        ("systems/../../a.bst", "is not a plain path"),
        ("systems//a.bst", "is not a plain path"),
        ("./../a.bst", "is not a plain path"),
        ("-a.bst", "is not a plain path"),
        ("junction.bst:a.bst", "is not a plain path"),
        ("systems/a", "is neither a *.morph nor a *.bst file"),
        ("systems/.bst", "has a file name that does not begin with a letter or digit"),
        ("", "the system's file is missing"),
        ("[a.bst]", "the system's file is missing"),
    ],
)
def test_a_system_is_a_file_inside_the_definitions(morph, sentence):
    text = f"kind: cluster\nsystems:\n- morph: {morph}\n  deploy: {{foo: {{type: tar, location: a.tar}}}}\n"
    (fault,) = read(text).faults
    assert fault.startswith("systems[0].morph: ")
    assert sentence in fault


@pytest.mark.parametrize(
    ("deploy", "sentence"),
    [
        ("", "systems[0].deploy: it has no deployment; give at least one, with type and location (line 4)"),
        ("{}", "systems[0].deploy: it has no deployment; give at least one, with type and location (line 4)"),
        (
            "tar",
            "systems[0].deploy: deployments are a mapping, this is text; give at least one, with type and location",
        ),
        ("{foo: tar}", "systems[0].deploy.foo: settings are a mapping, this is text (line 4)"),
        ("{foo: {type: tar, location: a, 'B=C': d}}", "systems[0].deploy.foo.B=C: the name of a setting holds letters"),
    ],
)
def test_a_system_has_deployments_with_settings(deploy, sentence):
    assert read(one(deploy)).faults[0].startswith(sentence)


def test_the_architecture_may_stand_in_the_cluster():
    cluster = read("kind: cluster\nsystems: [{morph: a, arch: armv7, deploy: {a: {type: tar, location: a.tar}}}]")
    assert cluster.systems[0].arch == "armv7l"


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("a.morph", "name: a\nkind: system\narch: x86_64\nstrata: []", ("x86_64", [])),
        ("a.morph", "name: a\nkind: system\narch: armv7\nstrata: []", ("armv7l", [])),
        ("a.morph", "name: a\nkind: system\n", (None, [])),
        ("a.morph", "name: a\nkind: stratum\n", (None, ["a.morph: its kind is stratum, not system"])),
        ("a.morph", "arch: x86_64\n", ("x86_64", ["a.morph: its kind is missing, not system"])),
        ("a.bst", "kind: compose\npublic:\n  slipway:\n    arch: x86_64\n", ("x86_64", [])),
        ("a.bst", "kind: compose\n(@): include/a.yml\n", (None, [])),
        ("a.bst", "kind: compose\npublic: nothing\n", (None, [])),
        ("a.bst", "- a\n", (None, ["a.bst: it is a list, not a mapping"])),
        ("a.bst", "", (None, ["a.bst: it is empty"])),
        (
            "a.bst",
            "kind: a\nkind: b",
            (None, ["a.bst: line 2: the key 'kind' is given a second time (first on line 1)"]),
        ),
    ],
)
def test_a_system_states_its_architecture(file, text, found):
    assert read_system_architecture(file, text.encode()) == found


WORDS = st.sampled_from(
    ["kind", "cluster", "systems", "morph", "deploy", "deploy-defaults", "subsystems", "type", "location", "a", "../a"]
) | st.text(max_size=5)
TREES = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
ENTRIES = st.recursive(
    st.fixed_dictionaries({"morph": WORDS, "deploy": st.dictionaries(WORDS, TREES, max_size=2)}),
    lambda inner: st.fixed_dictionaries({"morph": WORDS, "deploy": TREES, "subsystems": st.lists(inner, max_size=2)}),
    max_leaves=4,
)


@given(TREES | st.fixed_dictionaries({"kind": st.just("cluster"), "systems": st.lists(ENTRIES | TREES, max_size=3)}))
@settings(deadline=None)
def test_no_tree_crashes_the_reader(tree):
    assert isinstance(read(yaml.safe_dump(tree)), Cluster)


@given(st.binary(max_size=200) | st.text(alphabet="-:{}[]&*!<,>|'\"# \nab", max_size=200).map(str.encode))
@settings(deadline=None)
def test_no_text_crashes_the_reader(data):
    cluster = read(data)
    assert cluster.faults or cluster.systems
    read_system_architecture("a.morph", data)
    read_system_architecture("a.bst", data)


def test_clusters_are_read_alike_without_the_fast_parser(monkeypatch):
    fast = {path.name: from_file(path.name) for path in DATA.iterdir()}
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert {path.name: from_file(path.name) for path in DATA.iterdir()} == fast
    assert read("[" * 100_000).faults == ["line 1: it is nested more than 64 levels deep"]
