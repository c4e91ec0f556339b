"""What was packaged is judged under a real qemu, once for the same bytes, and waivers count for what they say."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.difference.tree import Tree
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates import compare as compare_module
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates import judge as judge_module
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.checks import (
    Check,
    find_obstacles,
    list_checks,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.judge import Judgement, Places, judge
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.started import Outcome
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.unpacked import match_packed
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.records import format_json, seal_record
from bootables import make_sector

TODAY = datetime.date(2026, 11, 20)
GOOD = "boot-report: id=tiny version=1.1 failed=none\r\n"
BOOT = {"boot": {"firmware": ["bios"], "memory": "32M", "limit": 20}}


class Release:
    """A release of one product whose disks say what they are told to."""

    def __init__(self, top: Path, version: str = "1.1", **gates: Any) -> None:
        self.directory = top / "releases" / version
        self.version = version
        self.places = Places(
            self.directory, self.directory / "artifacts", self.directory / "logs", (top / "download/public",)
        )
        for place in (self.places.artifacts, self.places.logs):
            place.mkdir(parents=True)
        self.deployed: list[dict[str, Any]] = []
        self.packaged: list[dict[str, Any]] = []
        self.plan: dict[str, Any] = {
            "project": "acme",
            "version": version,
            "label": f"acme-{version}",
            "deployments": [],
            "products": [{"name": "acme", "systems": [], "gates": gates or BOOT}],
            "policy": {"waivers": []},
        }

    def add(self, name: str, data: bytes, *, type: str = "rawdisk", system: str = "tiny", **settings: str) -> None:
        file = f"acme-{self.version}-{name}"
        packed = gzip.compress(data, 1, mtime=0)
        (self.places.artifacts / f"{file}.gz").write_bytes(packed)
        facts = {"name": file, "size": len(data), "sha256": digest(data), "deployment": name, "type": type}
        self.deployed.append({**facts, "architecture": "x86_64", "system": f"systems/{system}.bst"})
        self.packaged.append({"name": f"{file}.gz", "size": len(packed), "sha256": digest(packed)})
        self.plan["deployments"].append(
            {"name": name, "system_name": system, "architecture": "x86_64", "type": type, "file": file}
            | {"settings": settings, "product": "acme"}
        )

    def publish(self) -> None:
        """Leave what a published release leaves."""
        records, public = self.directory / "records", self.places.public[0] / f"acme-{self.version}"
        for directory in (records, public):
            directory.mkdir(parents=True, exist_ok=True)
        settings = {f"deploy-{each['name']}": each["settings"] for each in self.plan["deployments"]}
        said = {"publication": {}, "package": {"files": self.packaged}, "gate": {"gates": []}}
        said |= {f"deploy-{each['deployment']}": each for each in self.deployed}
        for stage, outputs in said.items():
            inputs = {"settings": settings[stage]} if stage in settings else {}
            record = {"stage": stage, "project": "acme", "version": self.version, "inputs": inputs, "outputs": outputs}
            (records / f"{stage}.json").write_bytes(format_json(seal_record(record)))
        for each in self.packaged:
            (self.places.artifacts / each["name"]).rename(public / each["name"])

    def waive(self, **waiver: str) -> None:
        self.plan["policy"]["waivers"].append({"reason": "known", "until": "2026-12-01", **waiver})

    def judge(
        self, known: list[dict[str, Any]] | None = None, *, write: bool = True, timeout: float = 100
    ) -> Judgement:
        return judge(
            self.plan,
            match_packed(self.deployed, self.packaged, self.places.artifacts),
            places=self.places,
            known=known or [],
            today=TODAY,
            timeout=timeout,
            progress=Progress(self.places.logs / "gate.log" if write else None),
            write=write,
        )

    def fail(self, **options: Any) -> str:
        with pytest.raises(SlipwayError) as caught:
            self.judge(**options)
        return str(caught.value)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path)


def test_a_disk_that_reports_as_expected_passes_and_leaves_its_log_and_nothing_else(release: Release):
    release.add("disk", make_sector(GOOD))
    (result,) = release.judge().results
    assert (result["gate"], result["subject"], result["result"], result["fault"]) == ("boot", "disk", "passed", "")
    assert result["facts"]["report"][0]["version"] == "1.1"
    assert Path(result["log"]).read_text() == GOOD.replace("\r", "")
    assert Path(result["log"]).name == "gate-boot-disk-bios.log"
    assert "boot of disk (bios): passed" in (release.places.logs / "gate.log").read_text()
    assert not list(release.directory.glob(".gates-*"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("1.1", "1.0"), "it reports the version 1.0, and not 1.1"),
        (GOOD.replace("tiny", "huge"), "it reports that it is huge, and not tiny or acme-1.1"),
        (GOOD.replace("none", "10-network"), "1 unit failed: 10-network"),
    ],
    ids=["version", "system", "unit"],
)
def test_one_that_reports_otherwise_stops_the_release_in_one_sentence(release: Release, text: str, said: str):
    release.add("disk", make_sector(text))
    log = release.places.logs / "gate-boot-disk-bios.log"
    what = "expected the report id=tiny or acme-1.1 version=1.1 failed=none"
    mend = "Mend what it is about, release the mended commit, and run the same command"
    assert release.fail() == (
        f"Could not pass the gate boot with disk (bios) of acme-1.1: {what}; {said}. Nothing is public. {mend}; "
        f"or give a waiver with a reason and an end (release_policy.waivers). The log is {log}."
    )


def test_all_are_judged_before_a_failure_and_those_that_passed_are_not_judged_again(
    release: Release, monkeypatch: pytest.MonkeyPatch
):
    release.add("good", make_sector(GOOD))
    release.add("bad", make_sector(GOOD.replace("1.1", "1.0")))
    release.add("worse", make_sector(GOOD.replace("none", "a")))
    said = release.fail()
    assert "Could not pass the gates with acme-1.1: 2 checks failed." in said
    assert "\n  - boot of bad (bios): it reports the version 1.0, and not 1.1 (the log is " in said
    release.deployed.clear()
    release.packaged.clear()
    release.plan["deployments"].clear()
    for name in ("good", "bad", "worse"):
        release.add(name, make_sector(GOOD))
    started = []
    whole = judge_module.started.boot

    def boot(check: Check, *rest: Any, **more: Any) -> Outcome:
        started.append(check.subject)
        return whole(check, *rest, **more)

    monkeypatch.setattr(judge_module.started, "boot", boot)
    results = release.judge().results
    assert sorted(started) == ["bad", "worse"]
    assert [each["subject"] for each in results] == ["good", "bad", "worse"]
    started.clear()
    (release.directory / ".gates.json").unlink()
    again = release.judge(known=results)
    assert again.results == results
    assert not again.made
    assert not started
    release.plan["products"][0]["gates"] = {"boot": {**BOOT["boot"], "memory": "48M"}}
    assert release.judge(known=results, write=False).open == [
        f"boot of {name} (bios)" for name in ("good", "bad", "worse")
    ]


def test_what_listens_in_a_system_counts_for_all_of_its_files_and_the_release_before_is_started_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    gates = {**BOOT, "difference": {"listening": {"added": 0}}}
    archive = io.BytesIO()
    tarfile.open(fileobj=archive, mode="w").close()
    now = {"1.0": "tcp 22", "1.1": "tcp 22"}
    for version in now:
        release = Release(tmp_path, version, **gates)
        release.add("disk", b"disk", BOOT="bios")
        release.add("tar", archive.getvalue(), type="tar")
        release.add("other", archive.getvalue(), type="tar")
        if version == "1.0":
            release.publish()
    started = []

    def boot(check: Check, *_rest: Any, **_more: Any) -> Outcome:
        started.append((check.subject, check.version))
        return Outcome(facts={"listening": [now[check.version]]})

    monkeypatch.setattr(judge_module.started, "boot", boot)
    monkeypatch.setattr(compare_module, "read_tree", lambda *_: Tree())
    assert {each["result"] for each in release.judge().results} == {"passed"}
    assert sorted(started) == [("disk", "1.0"), ("disk", "1.1")]
    now["1.1"] = "tcp 23"
    (release.directory / ".gates.json").unlink()
    assert release.fail().count("listening: 1 added, at most 0 may be: tcp 23") == 3


def test_what_was_passed_and_edited_afterwards_is_judged_again(release: Release):
    release.add("disk", make_sector(GOOD))
    release.judge()
    journal = release.directory / ".gates.json"
    said = json.loads(journal.read_text())
    assert not release.judge(write=False).open
    said["gates"][0]["reason"] = "trust me"
    journal.write_text(json.dumps(said))
    assert release.judge(write=False).open == ["boot of disk (bios)"]


def test_a_packaged_file_with_other_bytes_than_on_record_is_not_judged(release: Release):
    release.add("disk", make_sector(GOOD))
    path = release.places.artifacts / "acme-1.1-disk.gz"
    path.write_bytes(gzip.compress(make_sector(GOOD), 9) + b"more")
    assert f"Could not unpack {path}: it has the SHA-256 " in release.fail()
    release.packaged[0]["sha256"] = digest(path.read_bytes())
    assert f"Could not unpack {path}: Not a gzipped file" in release.fail()
    path.write_bytes(gzip.compress(b"others"))
    release.packaged[0]["sha256"] = digest(path.read_bytes())
    assert "and what was deployed has" in release.fail()


def test_a_waiver_lets_pass_what_it_names_is_on_record_and_is_told_when_nothing_needs_it(release: Release):
    release.add("disk", make_sector(GOOD.replace("none", "a")))
    release.waive(gate="boot", subject="tin*")
    release.waive(gate="boot", subject="disk", version="1.0")
    (result,) = release.judge().results
    assert (result["result"], result["reason"], result["until"]) == ("waived", "known", "2026-12-01")
    assert result["fault"] == "1 unit failed: a"
    release.plan["policy"]["waivers"].clear()
    assert "1 unit failed: a" in release.fail()
    release.waive(gate="boot", subject="other")
    release.waive(gate="boot", subject="disk")
    judged = release.judge()
    assert judged.warnings == [
        "the waiver of the gate boot for other was not needed: take it out of release_policy.waivers"
    ]


def test_a_waiver_that_has_ended_stops_before_anything_is_judged(release: Release):
    release.add("disk", make_sector(GOOD))
    release.waive(gate="boot", subject="disk", until="2026-11-19")
    assert release.fail() == (
        "Could not judge acme-1.1: the waiver of the gate boot for disk ended on 2026-11-19: mend what it is about, or "
        "decide anew and give it a later end. Correct the policy and run the same command again. Nothing is public."
    )
    assert not list(release.places.logs.iterdir())
    (finding,) = find_obstacles(release.plan, today=TODAY).findings
    assert finding.startswith("the waiver of the gate boot for disk ended on 2026-11-19: ")


def test_a_gate_whose_time_is_over_says_so(release: Release):
    release.add("disk", make_sector(GOOD))
    assert "the time of the whole gate was over before it began (release_gate_timeout)" in release.fail(timeout=0)


def test_a_disk_is_started_by_the_firmware_that_its_setting_names(release: Release):
    release.plan["products"][0]["gates"] = {"boot": {"firmware": ["bios", "efi"]}}
    release.add("both", b"")
    release.add("efi", b"", BOOT="efi")
    release.add("files", b"", type="tar")
    assert [check.title for check in list_checks(release.plan).checks] == ["both (bios)", "both (efi)", "efi (efi)"]


def test_gates_that_have_nothing_to_judge_are_a_fault_before_the_release_begins(release: Release):
    release.add("files", b"", type="tar")
    (finding,) = find_obstacles(release.plan, today=TODAY).findings
    assert finding.startswith("release_policy.products.acme.gates.boot: there is nothing to start")


def test_an_initramfs_is_started_with_the_kernel_of_its_architecture(release: Release):
    release.plan["products"][0]["gates"] = {"boot": {"firmware": "kernel"}}
    release.add("small", b"", type="initramfs")
    assert "needs one kernel of its architecture, and there are: none" in list_checks(release.plan).faults[0]
    release.add("kernel", b"", type="kernel", system="other")
    (check,) = list_checks(release.plan).checks
    assert check.files == {"initramfs": "small", "kernel": "kernel"}
