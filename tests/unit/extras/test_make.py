"""Extra files of a system of Morph's: whole, once, and with the same bytes in every run."""

from __future__ import annotations

import csv
import dataclasses
import json

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.make import make_files
from morphsystems import commit_files, git, make_repository, write_tar

LORRIES = {
    "open/hello.lorry": '{"hello": {"type": "git", "url": "https://hello.example.org/"}}',
    "open/quiet.lorry": '{"quiet": {"type": "tarball"}}',
    "README": "What is mirrored.",
}
GPLV3 = [{"names": ["gcc"], "reason": "it is stripped from the system"}]


def make(site, entry, **more):
    present, made = make_files([entry], site, previous=more.pop("previous", {}), **more)
    path = site.release.images / entry.file
    return (path.read_bytes().decode() if path.exists() else None), made, present


def refused(site, entry, **more):
    with pytest.raises(SlipwayError) as caught:
        make(site, entry, **more)
    assert not (site.release.images / entry.file).exists() or more
    assert [path.name for path in site.release.images.glob(".*")] == []
    return str(caught.value)


def test_a_baseline_manifest_lists_system_strata_and_chunks_in_the_original_columns(site, wanted, morph):
    text, _made, _present = make(site, wanted("baseline-manifest", format="text"))
    head, *rows = text.splitlines()
    assert head.split("\t") == ["ARTIFACT".ljust(35), "REPOSITORY".ljust(53), "REF".ljust(40), "COMMIT "]
    cells = [[cell.rstrip() for cell in row.split("\t")] for row in rows]
    assert [row[0] for row in cells] == [
        "0000000.system.genivi-x86_64-rootfs",
        "1111111.stratum.core-runtime",
        "3333333.chunk.hello-bins-2.10",
        "2222222.chunk.hello-misc-2.10",
        "4444444.chunk.tool-bins",
    ]
    assert cells[0][1:] == [
        "git://trove.example.org/baserock/baserock/definitions", "baserock/builds/0123456", morph.commit[:7]
    ]  # fmt: skip
    assert cells[2][2] == "master"
    assert len({len(row) for row in rows}) == 1


def test_the_table_has_a_line_for_each_chunk_with_licences_and_upstream(site, wanted, morph):
    lorries = morph.top / "local-config/lorries.git"
    if not lorries.exists():
        make_repository(lorries, LORRIES)
    text, _made, _present = make(
        site, wanted("baseline-manifest", format="csv", skip=GPLV3, stated={"tool": ["ISC"]}, lorries=str(lorries))
    )
    assert text.endswith("\r\n")
    assert all(line.startswith('"') for line in text.splitlines())
    assert list(csv.reader(text.splitlines())) == [
        ["hello", "2.10", "GPL-2.0-or-later", "['GPL-2.0-or-later', 'MIT', 'UNKNOWN']", "https://hello.example.org/"],
        ["quiet", "", "UNKNOWN", "['UNKNOWN']", "UNKNOWN"],
        ["tool", "", "ISC", "['ISC']", "baserock:baserock/tool"],
    ]


def test_a_licence_manifest_follows_strata_and_chunks_and_leaves_out_what_it_is_told_and_bootstrap(site, wanted):
    text, _made, _present = make(site, wanted("licence-manifest", skip=GPLV3))
    assert text == (
        "upstream:hello\n--------------\n GPL-2.0-or-later\n MIT\n UNKNOWN\n\n"
        "baserock:baserock/tool\n----------------------\n ISC\n\n"
        "upstream:quiet\n--------------\n UNKNOWN\n\n"
    )


def test_what_is_known_of_a_commit_is_not_read_again(site, wanted, morph, monkeypatch):
    names = {path.name for path in site.cache.iterdir()}
    assert f"hello-{morph.commits['delta/hello']}.licences" in names
    monkeypatch.setattr(type(site.git), "open_files", None)
    text, made, _present = make(site, wanted("licence-manifest"))
    assert " GPL-2.0-or-later\n MIT\n" in text
    assert made == [wanted("licence-manifest").file]


def test_another_version_of_the_tool_reads_it_again(site, wanted, morph):
    kept = site.cache / f"tool-{morph.commits['baserock/baserock/tool']}.licences"
    value = json.loads(kept.read_text())
    wrong = {"files": {"WRONG": 1}, "main": ""}
    kept.write_text(json.dumps({**value, "tool": "licensecheck version v1", "licences": wrong}))
    text, _made, _present = make(site, wanted("licence-manifest"))
    assert "WRONG" not in text
    assert json.loads(kept.read_text()) == value


def test_a_component_without_a_known_licence_stops_the_release_by_name_where_the_policy_says_so(site, wanted):
    message = refused(site, wanted("licence-manifest", unknown="fail"))
    assert "Could not list the licences of genivi-x86_64: no licence is known of quiet. State them" in message
    text, _made, _present = make(site, wanted("licence-manifest", unknown="fail", stated={"quiet": ["CC0-1.0"]}))
    assert " CC0-1.0\n" in text


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        (None, "there is no baserock/*.meta, which Morph leaves in each system"),
        (b"{", "./baserock/x.meta is not JSON"),
        (b"[]", "./baserock/x.meta is not a mapping"),
        (b'{"artifact-name": "x", "kind": "chunk"}', "./baserock/x.meta says no repo, sha1, cache-key, original_ref"),
    ],
)
def test_metadata_that_is_missing_or_malformed_is_told_by_name(site, wanted, meta, message):
    write_tar(site.release.images / "system.tar", {} if meta is None else {"./baserock/x.meta": meta})
    assert message in refused(site, wanted("baseline-manifest"))


def test_an_archive_that_was_cut_off_is_told(site, wanted):
    path = site.release.images / "system.tar"
    path.write_bytes(path.read_bytes()[:1000])
    assert "it is no whole tar archive" in refused(site, wanted("baseline-manifest"))


def test_a_commit_that_the_trove_does_not_have_is_told_with_its_component(site, wanted, morph):
    meta = morph.list_meta()["hello-bins.meta"] | {"sha1": "f" * 40}
    write_tar(site.release.images / "system.tar", {"baserock/hello-bins.meta": json.dumps(meta).encode()})
    message = refused(site, wanted("baseline-manifest"))
    assert f"find the commit {'f' * 40} of" in message
    assert "Let the Trove mirror what hello is built from" in message


def test_a_kernel_comes_out_of_the_deployed_archive(site, wanted):
    text, _made, _present = make(site, wanted("kernel", paths=["boot/zImage", "boot/vmlinuz"]))
    assert text == "a kernel"


def test_a_kernel_that_is_not_there_is_told_with_the_places(site, wanted):
    message = refused(site, wanted("kernel", paths=["boot/zImage"]))
    assert message == (
        "Could not take the kernel out of genivi-x86_64: system.tar has none of boot/zImage. "
        "Set the paths of the kernel in the policy (paths), or correct the system, and run again."
    )


def test_a_file_is_that_of_the_release_commit(site, wanted, morph):
    work = morph.top / "baserock/baserock/definitions.git"
    try:
        commit_files(work, {"README": "later\n"})
        message = refused(site, wanted("file", path="README"))
        assert "has no such file" in message
        later = dataclasses.replace(site.release.definitions, commit=git("rev-parse", "HEAD", cwd=work))
        release = dataclasses.replace(site.release, definitions=later)
        assert make(dataclasses.replace(site, release=release), wanted("file", path="README"))[0] == "later\n"
    finally:
        git("reset", "--quiet", "--hard", morph.commit, cwd=work)


def test_a_command_makes_a_file_of_what_it_is_told(site, wanted):
    words = ["sh", "-c", 'echo "$0 $1 $SOURCE_DATE_EPOCH"', "{label}", "{system}"]
    text, _made, _present = make(site, wanted("command", command=words, timeout=60))
    assert text == "baserock-26.47 genivi-x86_64 1700000000\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("date +%N", "made the SHA-256"),
        ("true", "it succeeded, but what it made is missing or empty"),
        ("echo no >&2; exit 3", "sh ended with status 3: no"),
        ("sleep 30", "sh was ended after 1 s"),
    ],
)
def test_a_command_that_fails_or_makes_other_bytes_each_time_is_refused(site, wanted, script, message):
    assert message in refused(site, wanted("command", command=["sh", "-c", script], timeout=1))


def test_a_rerun_verifies_and_a_changed_file_is_told_with_both_digests(site, wanted):
    entry = wanted("kernel", paths=["boot/vmlinuz"])
    _text, made, present = make(site, entry)
    assert made == [entry.file]
    assert make(site, entry, previous=present)[1] == []
    path = site.release.images / entry.file
    path.unlink()
    assert make(site, entry, previous=present)[1] == [entry.file]
    path.write_bytes(b"another")
    message = refused(site, entry, previous=present)
    assert present[entry.file].sha256 in message
    path.unlink()
    write_tar(site.release.images / "system.tar", {"boot/vmlinuz": b"other"})
    assert "but its record says" in refused(site, entry, previous=present)
    assert not path.exists()


def test_check_mode_lists_and_makes_nothing(site, wanted):
    text, made, present = make(site, wanted("kernel", paths=["boot/vmlinuz"]), write=False)
    assert (text, made, present) == (None, ["baserock-26.47-genivi-x86_64-extra"], {})
