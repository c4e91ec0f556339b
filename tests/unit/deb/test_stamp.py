"""A set of debs gets one release: locked to each other, all or nothing, the same again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import handmade_debs as handmade
import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import stamp
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.control import Control, make_printable
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.lock import Member
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.version import Rule
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from hypothesis import given, settings
from hypothesis import strategies as st

ORDER = stamp.Order(Rule("r468", "lucid"), {"WG-rosdistro": "cturtle"})


def tree(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Each file with what tells that it was written: reading one may change the time of its last use."""
    stats = {entry.name: entry.stat() for entry in directory.iterdir()}
    return {name: (stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def make(directory: Path, name: str, version: str, architecture: str = "all", **fields: str) -> Path:
    """Write a deb."""
    lines = {"Package": name, "Version": version, "Architecture": architecture, "Maintainer": "A <a@example.org>"}
    lines |= {field.replace("_", "-"): value for field, value in fields.items()}
    text = "".join(f"{field}: {value}\n" for field, value in lines.items()) + "Description: short\n"
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}_{architecture}.deb"
    suffixes = (".gz", ".xz", ".zst", "")
    path.write_bytes(handmade.deb(text.encode(), control=suffixes[len(name) % 4], data=suffixes[len(version) % 4]))
    return path


@pytest.fixture
def debs(tmp_path: Path) -> list[Path]:
    """Three packages, one of which depends on the others."""
    here = tmp_path / "in"
    return [
        make(here, "ros-cturtle-ros", "1.2.0-0~lucid", "amd64"),
        make(here, "ros-cturtle-nav", "1:1.0-0~lucid", "amd64", Depends="libc6, ros-cturtle-ros, ros-cturtle-msgs"),
        make(here, "ros-cturtle-msgs", "2.0", "all", Breaks="ros-cturtle-nav (<= 1:1.0-0~lucid)"),
    ]


def control(path: str | Path) -> Control:
    """The control file of a deb, as dpkg-deb reads it."""
    done = subprocess.run(["dpkg-deb", "--field", str(path)], check=True, capture_output=True, text=True)
    return Control(done.stdout)


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir()) if directory.exists() else []


def test_a_set_is_locked_to_its_own_versions(debs: list[Path], tmp_path: Path) -> None:
    results = stamp.stamp_debs(debs, tmp_path / "out", order=ORDER)
    assert names(tmp_path / "out") == [
        "ros-cturtle-msgs_2.0-r468~lucid_all.deb",
        "ros-cturtle-nav_1.0-r468~lucid_amd64.deb",
        "ros-cturtle-ros_1.2.0-r468~lucid_amd64.deb",
    ]
    assert [result.source for result in results] == [str(path) for path in debs]
    nav = control(results[1].path)
    assert nav.get("Depends") == "libc6, ros-cturtle-ros (= 1.2.0-r468~lucid), ros-cturtle-msgs (= 2.0-r468~lucid)"
    assert (nav.get("Version"), nav.get("WG-rosdistro")) == ("1:1.0-r468~lucid", "cturtle")
    assert nav.get("Source") == "ros-cturtle-nav (1:1.0-0~lucid)"
    assert control(results[2].path).get("Breaks") == "ros-cturtle-nav (<= 1:1.0-r468~lucid)"
    for result in results:
        assert handmade.dpkg_takes(Path(result.path), tmp_path / "root") is None
        assert result.changed
        assert control(result.path).get("Version") == result.stamped
        assert Control(result.before).get("Version") == result.version
        assert str(control(result.path)) == result.after


def test_the_digests_are_those_of_the_files(debs: list[Path], tmp_path: Path) -> None:
    for result in stamp.stamp_debs(debs, tmp_path / "out", order=ORDER):
        content = Path(result.path).read_bytes()
        assert result.digests.size == len(content)
        assert result.digests.md5 == hashlib.md5(content, usedforsecurity=False).hexdigest()
        assert result.digests.sha1 == hashlib.sha1(content, usedforsecurity=False).hexdigest()
        assert result.digests.sha256 == hashlib.sha256(content).hexdigest()


def test_the_same_debs_give_the_same_bytes_in_any_order_and_number_of_processes(tmp_path: Path) -> None:
    paths = [make(tmp_path / "in", f"p{number}", "1.0-0~lucid", Depends="p1 | p2, p3") for number in range(25)]
    once = stamp.stamp_debs(paths, tmp_path / "one", order=ORDER, jobs=1)
    paths = paths[7:] + paths[6::-1]
    again = stamp.stamp_debs(paths, tmp_path / "two", order=ORDER, jobs=3)
    assert {result.package: result.digests for result in once} == {result.package: result.digests for result in again}
    assert subprocess.run(["diff", "-r", tmp_path / "one", tmp_path / "two"], check=False).returncode == 0


def test_a_second_run_changes_nothing_and_a_damaged_file_is_mended(debs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = stamp.stamp_debs(debs, out, order=ORDER)
    inodes = {entry.name: entry.stat().st_ino for entry in out.iterdir()}
    second = stamp.stamp_debs(debs, out, order=ORDER)
    assert not any(result.changed for result in second)
    assert [result.digests for result in first] == [result.digests for result in second]
    assert inodes == {entry.name: entry.stat().st_ino for entry in out.iterdir()}
    for damage in (lambda content: content[:-3], lambda content: content + b"x", lambda content: b"?" + content[1:]):
        path = Path(first[0].path)
        path.write_bytes(damage(path.read_bytes()))
        third = stamp.stamp_debs(debs, out, order=ORDER)
        assert [result.changed for result in third] == [True, False, False]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == first[0].digests.sha256


def test_check_says_the_same_and_writes_nothing(debs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    foreseen = stamp.stamp_debs(debs, out, order=ORDER, check=True)
    assert not out.exists()
    assert foreseen == stamp.stamp_debs(debs, out, order=ORDER)
    before = tree(out)
    assert not any(result.changed for result in stamp.stamp_debs(debs, out, order=ORDER, check=True))
    other = stamp.Order(Rule("r469", "lucid"), {})
    assert all(result.changed for result in stamp.stamp_debs(debs, out, order=other, check=True))
    assert before == tree(out)


def test_one_faulty_deb_means_that_nothing_is_written(debs: list[Path], tmp_path: Path) -> None:
    debs[1].write_bytes(debs[1].read_bytes()[:-50])
    with pytest.raises(SlipwayError) as caught:
        stamp.stamp_debs(debs, tmp_path / "out", order=ORDER)
    assert str(caught.value).startswith(f"Could not use the deb {debs[1]}: it is cut off in data.tar")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            handmade.CONTROL.replace(b"1.0-1", b"1." + b"0" * 300),
            "the name of its file would be 325 bytes long, of 240 at",
        ),
        (handmade.CONTROL + b"Depends:\n", "its control file ends before the value of Depends"),
    ],
)
def test_what_could_not_be_written_or_installed_is_refused_first(text: bytes, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "foo.deb"
    path.write_bytes(handmade.deb(text))
    with pytest.raises(SlipwayError) as caught:
        stamp.stamp_debs([path], tmp_path / "out", order=ORDER)
    assert caught.value.came_back.startswith(fault)
    assert not (tmp_path / "out").exists()


def test_every_faulty_deb_is_named(debs: list[Path], tmp_path: Path) -> None:
    debs[0].write_bytes(b"nothing")
    debs[2].write_bytes(handmade.deb(handmade.CONTROL.replace(b"1.0-1", b"1_0")))
    with pytest.raises(SlipwayError) as caught:
        stamp.stamp_debs(debs, tmp_path / "out", order=ORDER)
    assert caught.value.findings == [
        f"{debs[0]}: it is not a deb",
        f"{debs[2]}: the version '1_0' has a character that is not allowed",
    ]
    assert "Could not use 3 debs: 2 of them are faulty. Nothing was written" in str(caught.value)


def test_a_fault_that_shows_late_leaves_the_old_files(tmp_path: Path) -> None:
    first = make(tmp_path / "in", "a", "1.0")
    order = stamp.Order(Rule("r5", "x", "{upstream}-{release}"), {})
    kept = stamp.stamp_debs([first], tmp_path / "out", order=order)[0]
    late = make(tmp_path / "in", "b", "1.0", Breaks="a (= 1.0-r5)")
    make(tmp_path / "in", "a", "1.0", Section="new")
    with pytest.raises(
        SlipwayError, match=r"b_all\.deb: its Breaks has 'a \(= 1.0-r5\)', which no version can express"
    ):
        stamp.stamp_debs([first, late], tmp_path / "out", order=order)
    assert names(tmp_path / "out") == [Path(kept.path).name]
    assert hashlib.sha256(Path(kept.path).read_bytes()).hexdigest() == kept.digests.sha256


def test_a_full_disk_is_told_and_nothing_appears(debs: list[Path], tmp_path: Path) -> None:
    program = f"""
import resource, signal, sys
sys.path[:0] = {sys.path!r}
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import stamp
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.version import Rule
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
stamp.stamp_debs({[str(path) for path in debs]!r}, {str(tmp_path / "out")!r}, order=stamp.Order(Rule("r1", "x"), {{}}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "File too large. Nothing was changed; fix this and run again." in done.stderr
    assert names(tmp_path / "out") == []


def test_the_same_package_twice_is_refused(debs: list[Path], tmp_path: Path) -> None:
    copy = shutil.copy(debs[0], tmp_path / "copy.deb")
    with pytest.raises(SlipwayError, match=f"it is ros-cturtle-ros for amd64, and so is {debs[0]}"):
        stamp.stamp_debs([*debs, copy], tmp_path / "out", order=ORDER)


def test_a_destination_that_holds_the_debs_is_refused(debs: list[Path]) -> None:
    with pytest.raises(SlipwayError, match="debs to stamp are there"):
        stamp.stamp_debs(debs, debs[0].parent, order=ORDER)


def test_a_destination_that_cannot_be_made_is_named(debs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SlipwayError, match=r"Could not write .*/file/out: Not a directory"):
        stamp.stamp_debs(debs, tmp_path / "file" / "out", order=ORDER)


def test_a_directory_in_the_place_of_a_deb_is_named_and_nothing_is_changed(debs: list[Path], tmp_path: Path) -> None:
    blocked = tmp_path / "out" / "ros-cturtle-msgs_2.0-r468~lucid_all.deb"
    blocked.mkdir(parents=True)
    with pytest.raises(SlipwayError, match=f"Could not write {blocked}: there is a directory"):
        stamp.stamp_debs(debs, tmp_path / "out", order=ORDER)
    assert names(tmp_path / "out") == [blocked.name]
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".stamp").touch()
    with pytest.raises(SlipwayError, match=r"Could not write .*/out/\.stamp: File exists"):
        stamp.stamp_debs(debs, tmp_path / "out", order=ORDER)


def test_members_that_are_stamped_already_are_locked_to(debs: list[Path], tmp_path: Path) -> None:
    order = stamp.Order(ORDER.rule, {}, (Member("libc6", "all", "2.3", "2.3-r468~lucid"),))
    results = stamp.stamp_debs(debs[1:2], tmp_path / "out", order=order)
    assert control(results[0].path).get("Depends") == "libc6 (= 2.3-r468~lucid), ros-cturtle-ros, ros-cturtle-msgs"


def test_members_that_are_stamped_already_count_under_the_names_that_they_provide(tmp_path: Path) -> None:
    path = make(tmp_path / "in", "a", "1.0", Depends="b, abi")
    fast = {"package": "fast", "version": "2", "stamped": "2-r1~x", "provides": "b, abi (= 7)"}
    arguments: dict[str, Any] = {
        "debs": [str(path)],
        "directory": str(tmp_path / "out"),
        "release": "r1",
        "platform": "x",
    }
    answer = module({**arguments, "locked": [fast, {"package": "b", "version": "1", "stamped": "1-r1~x"}]})
    assert control(answer["debs"][0]["path"]).get("Depends") == "b (= 1-r1~x) | fast (= 2-r1~x), abi (= 7-r1~x)"
    refused = module({**arguments, "locked": [{**fast, "provides": "b [x]"}]})
    assert refused["msg"] == "Could not lock to fast: its Provides has 'b [x]', which is not a relation. " + (
        "Correct what it provides."
    )


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (stamp.Order(Rule("r 1", "x"), {}), "Could not use the release 'r 1'"),
        (stamp.Order(Rule("r1", "x"), {"Version": "1"}), "Could not set the field 'Version': that field has a meaning"),
        (stamp.Order(Rule("r1", "x"), {"depends": "1"}), "Could not set the field 'depends'"),
        (stamp.Order(Rule("r1", "x"), {"A B": "1"}), "Could not set the field 'A B': that is not a name for a field"),
        (stamp.Order(Rule("r1", "x"), {"#A": "1"}), "that is not a name for a field"),
        (stamp.Order(Rule("r1", "x"), {"X-A": "a\nVersion: 2"}), "is not one line of text"),
        (stamp.Order(Rule("r1", "x"), {"X-A": " "}), "is not one line of text"),
        (stamp.Order(Rule("r1", "x"), {}, (Member("a", "all", "1", "_"),)), "Could not lock to a: the version '_'"),
    ],
)
def test_an_order_that_no_deb_can_be_stamped_with_is_refused(order: stamp.Order, said: str, tmp_path: Path) -> None:
    with pytest.raises(SlipwayError) as caught:
        stamp.stamp_debs([], tmp_path / "out", order=order)
    assert said in str(caught.value)


def test_a_directory_stands_for_the_debs_in_it(debs: list[Path], tmp_path: Path) -> None:
    (debs[0].parent / "notes.txt").touch()
    assert stamp.find_debs([debs[0].parent]) == sorted(map(str, debs))
    assert stamp.find_debs([debs[1]]) == [str(debs[1])]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SlipwayError, match=r"Could not find debs at .*/empty: there are none"):
        stamp.find_debs([tmp_path / "empty"])


def test_progress_counts_every_deb(tmp_path: Path) -> None:
    paths = [make(tmp_path / "in", f"p{number}", "1.0") for number in range(30)]
    progress = Progress(tmp_path / "progress", total=len(paths))
    stamp.stamp_debs(paths, tmp_path / "out", order=ORDER, progress=progress)
    lines = (tmp_path / "progress").read_text().splitlines()
    assert len(lines) < 30
    assert " 30/30 p" in lines[-1]


def test_a_run_that_is_killed_leaves_no_half_file_and_the_next_completes(tmp_path: Path) -> None:
    paths = [make(tmp_path / "in", f"p{number}", "1.0", Depends=f"p{number // 2}") for number in range(300)]
    wanted = {result.package: result.digests for result in stamp.stamp_debs(paths, tmp_path / "wanted", order=ORDER)}
    out = tmp_path / "out"
    program = f"""
import sys
sys.path[:0] = {sys.path!r}
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import stamp
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.version import Rule
paths = stamp.find_debs([{str(tmp_path / "in")!r}])
stamp.stamp_debs(paths, {str(out)!r}, order=stamp.Order(Rule("r468", "lucid"), {{"WG-rosdistro": "cturtle"}}))
"""
    for delay in (0.0, 0.02, 0.05, 0.1, 0.2):
        shutil.rmtree(out, ignore_errors=True)
        running = subprocess.Popen([sys.executable, "-c", program])
        while running.poll() is None and not (out / ".stamp").exists():
            time.sleep(0.002)
        time.sleep(delay)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        for path in out.glob("*.deb"):
            package = path.name.partition("_")[0]
            assert hashlib.sha256(path.read_bytes()).hexdigest() == wanted[package].sha256
        results = stamp.stamp_debs(paths, out, order=ORDER)
        assert {result.package: result.digests for result in results} == wanted
        assert len(names(out)) == 300


lines = st.lists(
    st.builds(
        lambda name, value: f"{name}: {value}\n",
        st.sampled_from(
            ["Depends", "Provides", "Breaks", "Source", "Section", "X-Y", "version", "Enhances", "Essential"]
        ),
        st.text("a1 ,|()<>=.:~-+\t#", max_size=25),
    ),
    max_size=4,
)


@given(lines)
@settings(max_examples=60, deadline=None)
def test_what_is_stamped_is_what_dpkg_takes(tmp_path_factory: pytest.TempPathFactory, fields: list[str]) -> None:
    base = tmp_path_factory.getbasetemp()
    path = base / "any.deb"
    text = f"Package: a1\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.org>\n{''.join(fields)}Description: x\n"
    path.write_bytes(handmade.deb(text.encode(), control="", data=""))
    try:
        (result,) = stamp.stamp_debs([path], base / "out", order=ORDER)
    except SlipwayError as refused:
        said = str(refused)
    else:
        said = ""
        assert handmade.dpkg_takes(path, base / "root") is None
        assert handmade.dpkg_takes(Path(result.path), base / "root") is None
    assert "\n" not in said


def module(arguments: dict[str, Any], **internal: Any) -> dict[str, Any]:
    """Run the module as Ansible does, in a process of its own."""
    given = {"ANSIBLE_MODULE_ARGS": {**arguments, **{f"_ansible_{name}": value for name, value in internal.items()}}}
    name = "ansible_collections.slipway.release.plugins.modules.deb_stamp"
    program = f"import sys; sys.path[:0] = {sys.path!r}; import runpy; runpy.run_module({name!r}, run_name='__main__')"
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, input=json.dumps(given), capture_output=True, text=True, check=False)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_module_stamps_shows_the_difference_and_is_unchanged_again(debs: list[Path], tmp_path: Path) -> None:
    arguments = {
        "debs": [str(debs[0].parent)],
        "directory": str(tmp_path / "out"),
        "release": "r468",
        "platform": "lucid",
        "fields": {"WG-rosdistro": "cturtle"},
        "progress": str(tmp_path / "progress"),
    }
    foreseen = module(arguments, check_mode=True, diff=True)
    assert foreseen["changed"]
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "progress").exists()
    assert "+ " not in foreseen["diff"][0]["before"]
    assert [one["after_header"] for one in foreseen["diff"]] == [one["path"] for one in foreseen["debs"]]
    assert "Version: 2.0\n" in foreseen["diff"][0]["before"]
    assert "Version: 2.0-r468~lucid\n" in foreseen["diff"][0]["after"]
    done = module(arguments, diff=True)
    assert done["debs"] == foreseen["debs"]
    assert done["diff"] == foreseen["diff"]
    assert set(done["debs"][0]) == {
        *("package", "architecture", "version", "stamped", "source", "path", "size", "md5", "sha1", "sha256"),
        *("changed", "unsatisfied", "dropped"),
    }
    again = module(arguments, diff=True)
    assert (again["changed"], again["diff"]) == (False, [])


def test_the_module_fails_with_every_finding(debs: list[Path], tmp_path: Path) -> None:
    for path in debs[:2]:
        path.write_bytes(b"x")
    arguments = {"debs": list(map(str, debs)), "directory": str(tmp_path / "out"), "release": "r1", "platform": "x"}
    answer = module(arguments)
    assert answer["failed"]
    assert answer["findings"] == [f"{path}: it is not a deb" for path in debs[:2]]
    assert not (tmp_path / "out").exists()


def test_the_module_tells_what_the_set_does_not_satisfy(tmp_path: Path) -> None:
    paths = [make(tmp_path / "in", "a", "1.0", Depends="b (>= 2)"), make(tmp_path / "in", "b", "1.0")]
    arguments = {"debs": list(map(str, paths)), "directory": str(tmp_path / "out"), "release": "r1", "platform": "x"}
    (first, second) = module(arguments)["debs"]
    assert first["unsatisfied"] == [{"field": "Depends", "relation": "b (>= 2)"}]
    assert second["unsatisfied"] == []


def test_a_field_of_another_encoding_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.deb"
    path.parent.mkdir()
    path.write_bytes(handmade.deb(handmade.CONTROL.replace(b"A <", b"J\xf6rg <")))
    (result,) = stamp.stamp_debs([path], tmp_path / "out", order=ORDER)
    assert b"Maintainer: J\xf6rg <" in handmade.entries(Path(result.path).read_bytes())[1][1]
    assert "J\N{REPLACEMENT CHARACTER}rg" in make_printable(result.after)
    json.dumps(result.after).encode()
