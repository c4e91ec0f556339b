from __future__ import annotations

import io
import json
import random
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.morph import artifacts as morph_artifacts
from ansible_collections.slipway.release.plugins.module_utils.slipway.morph.artifacts import Transfer, publish_artifacts
from ansible_collections.slipway.release.plugins.module_utils.slipway.morph.cache import (
    MorphCache,
    check_names,
    is_optional,
    list_artifacts,
)
from hypothesis import given
from hypothesis import strategies as st
from peers.distbuild_replay import ReplayPeer, recording, scene
from peers.morph_cache import MorphCachePeer
from peers.webserver import Peer
from publishing import run_module
from sshd import sshd

KEY = "e50e2199a53186cd7c555fa52ae90280a4532900cacbca7c5d0fb7ae9a4e8b22"
SYSTEM = f"{KEY}.system.test-system-x86_64-rootfs"


def key(number):
    return f"{number:064x}"


def fill(directory, count=6, *, optional=True):
    """A cache of chunks, a stratum with its metadata, a system, and what is optional."""
    directory.mkdir(parents=True, exist_ok=True)
    names = [f"{key(n)}.chunk.chunk-{n}-runtime" for n in range(count)]
    names += [f"{key(900)}.stratum.core-runtime", f"{key(900)}.stratum.core-runtime.meta", SYSTEM]
    names += [f"{key(0)}.meta", f"{key(1)}.build-log"] if optional else []
    for name in names:
        chance = random.Random(name)  # noqa: S311  # repeatable, not secret
        (directory / name).write_bytes(chance.randbytes(chance.randint(1, 5000)))
    return sorted(names)


@pytest.fixture
def troves(tmp_path):
    """A local and a public cache server over two directories."""
    for name in ("local", "public"):
        (tmp_path / name).mkdir()
    with MorphCachePeer(tmp_path / "local") as local, MorphCachePeer(tmp_path / "public") as public:
        yield local, public


def send(troves, names, tmp_path, **options):
    local, public = troves
    return publish_artifacts(
        names,
        local=MorphCache(local.url),
        public=MorphCache(public.url),
        transfer=Transfer(str(public.directory)),
        directory=tmp_path / "on-the-way",
        **options,
    )


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_what_is_missing_is_published_and_then_nothing_is(troves, tmp_path):
    names = fill(troves[0].directory)
    fill(troves[1].directory, count=2, optional=False)
    outcome = send(troves, names, tmp_path)
    assert contents(troves[0].directory) == contents(troves[1].directory)
    assert outcome.published == outcome.missing
    assert (outcome.total, outcome.absent) == (11, [])
    assert not list((tmp_path / "on-the-way").iterdir())
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", tmp_path / "on-the-way.sha256"],
        cwd=troves[1].directory,
        check=True,
    )
    troves[0].requests.clear()
    again = send(troves, names, tmp_path)
    assert (again.missing, again.published) == ([], [])
    assert "GET" not in {method for method, _ in troves[0].requests}


def test_what_arrives_with_other_bytes_of_the_same_length_is_named(troves, tmp_path, monkeypatch):
    names = fill(troves[0].directory)

    def spoil(*words, **more):
        path = troves[1].directory / names[2]
        path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
        return looked(*words, **more)

    looked = morph_artifacts._check_published
    monkeypatch.setattr(morph_artifacts, "_check_published", spoil)
    with pytest.raises(SlipwayError, match="they arrived with other bytes") as caught:
        send(troves, names, tmp_path)
    (finding,) = caught.value.findings
    assert finding.startswith(f"{names[2]} has sha256 ")


def test_a_file_of_before_that_changed_on_its_way_is_fetched_again(troves, tmp_path):
    names = fill(troves[0].directory)
    troves[0].short = [names[3]]
    with pytest.raises(SlipwayError):
        send(troves, names, tmp_path)
    troves[0].short = ()
    path = tmp_path / "on-the-way" / names[0]
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    send(troves, names, tmp_path)
    assert contents(troves[0].directory) == contents(troves[1].directory)


def test_what_is_there_under_its_name_but_empty_or_cut_off_is_published_again(troves, tmp_path):
    names = fill(troves[0].directory)
    fill(troves[1].directory)
    empty, cut, log = SYSTEM, f"{key(2)}.chunk.chunk-2-runtime", f"{key(1)}.build-log"
    (troves[1].directory / empty).write_bytes(b"")
    for name in (cut, log):
        path = troves[1].directory / name
        path.write_bytes(path.read_bytes()[:-1])
    would = send(troves, names, tmp_path, write=False)
    assert (would.missing, would.published) == (sorted([empty, cut, log]), [])
    assert send(troves, names, tmp_path).published == sorted([empty, cut, log])
    assert contents(troves[0].directory) == contents(troves[1].directory)


def test_what_is_longer_in_public_is_named_with_both_lengths_and_stays(troves, tmp_path):
    names = fill(troves[0].directory)
    fill(troves[1].directory)
    good = (troves[1].directory / SYSTEM).read_bytes()
    (troves[0].directory / SYSTEM).write_bytes(good[:-1])
    with pytest.raises(SlipwayError, match="they are longer than in the local cache. Nothing was sent") as caught:
        send(troves, names, tmp_path)
    assert f"{SYSTEM} has {len(good)} bytes there and {len(good) - 1} in {troves[0].url}" in str(caught.value)
    assert (troves[1].directory / SYSTEM).read_bytes() == good


@pytest.mark.parametrize("gone", [True, False])
def test_what_only_the_public_cache_has_whole_is_published(troves, tmp_path, gone):
    names = fill(troves[0].directory)
    fill(troves[1].directory)
    (troves[0].directory / SYSTEM).unlink() if gone else (troves[0].directory / SYSTEM).write_bytes(b"")
    assert send(troves, names, tmp_path).missing == []


def test_what_arrives_cut_off_is_named(troves, tmp_path):
    names = fill(troves[0].directory)
    troves[1].cut = [SYSTEM]
    with pytest.raises(SlipwayError, match="still missing there, or not whole") as caught:
        send(troves, names, tmp_path)
    size = (troves[0].directory / SYSTEM).stat().st_size
    assert caught.value.findings == [f"{SYSTEM}: {size // 2} of {size} bytes"]


def test_an_empty_system_is_not_cached(troves):
    Path(troves[0].directory, SYSTEM).write_bytes(b"")
    cache = MorphCache(troves[0].url)
    assert cache.find_present([SYSTEM]) == {SYSTEM: True}
    assert cache.fetch_sizes([SYSTEM, f"{key(1)}.meta"]) == {SYSTEM: 0, f"{key(1)}.meta": None}


def test_published_files_can_be_read_by_the_server(troves, tmp_path):
    names = fill(troves[0].directory)
    send(troves, names, tmp_path)
    assert {stat.S_IMODE(path.stat().st_mode) for path in troves[1].directory.iterdir()} == {0o644}


def test_check_mode_asks_and_fetches_nothing(troves, tmp_path):
    names = fill(troves[0].directory)
    outcome = send(troves, names, tmp_path, write=False)
    assert outcome.missing == names
    assert outcome.published == []
    assert {method for method, _ in troves[0].requests} == {"POST"}
    assert not (tmp_path / "on-the-way").exists()


def test_metadata_and_build_logs_of_sources_may_be_absent_and_never_become_empty_files(troves, tmp_path):
    names = fill(troves[0].directory)
    gone = [f"{key(0)}.meta", f"{key(1)}.build-log"]
    (troves[0].directory / gone[0]).unlink()
    (troves[0].directory / gone[1]).write_bytes(b"")
    outcome = send(troves, names, tmp_path)
    assert outcome.absent == gone
    assert set(contents(troves[1].directory)) == {*names} - {*gone}
    again = send(troves, names, tmp_path)
    assert (again.published, again.absent) == ([], gone)


@pytest.mark.parametrize("name", [f"{key(900)}.stratum.core-runtime.meta", f"{key(2)}.chunk.chunk-2-runtime", SYSTEM])
def test_anything_else_that_is_absent_is_named_and_nothing_is_sent(name, troves, tmp_path):
    names = fill(troves[0].directory)
    (troves[0].directory / name).unlink()
    with pytest.raises(SlipwayError, match="it does not have them") as caught:
        send(troves, names, tmp_path)
    assert caught.value.findings == [name]
    assert contents(troves[1].directory) == {}


@pytest.mark.parametrize(
    ("fault", "words"),
    [("short", "it ended after"), ("without_length", "does not say how long"), ("empty", "is empty")],
)
def test_a_body_that_is_not_whole_is_refused(fault, words, troves, tmp_path):
    names = fill(troves[0].directory)
    bad = names[3]
    if fault == "empty":
        (troves[0].directory / bad).write_bytes(b"")
    else:
        setattr(troves[0], fault, [bad])
    with pytest.raises(SlipwayError, match="Nothing was sent") as caught:
        send(troves, names, tmp_path)
    assert len(caught.value.findings) == 1
    assert words in caught.value.findings[0]
    assert bad in caught.value.findings[0]
    assert contents(troves[1].directory) == {}
    kept = contents(tmp_path / "on-the-way")
    assert bad not in kept
    assert all(data == (troves[0].directory / name).read_bytes() for name, data in kept.items())


def test_what_an_interrupted_run_fetched_is_used_again(troves, tmp_path):
    names = fill(troves[0].directory)
    troves[0].short = [names[3]]
    with pytest.raises(SlipwayError):
        send(troves, names, tmp_path)
    troves[0].short = ()
    troves[0].requests.clear()
    send(troves, names, tmp_path)
    assert [path for method, path in troves[0].requests if method == "GET"] == [f"/1.0/artifacts?filename={names[3]}"]
    assert contents(troves[0].directory) == contents(troves[1].directory)


def test_a_file_of_another_length_is_fetched_again(troves, tmp_path):
    names = fill(troves[0].directory)
    (tmp_path / "on-the-way").mkdir()
    (tmp_path / "on-the-way" / names[0]).write_bytes(b"half of")
    send(troves, names, tmp_path)
    assert contents(troves[0].directory) == contents(troves[1].directory)


def test_an_answer_that_leaves_out_names_is_a_failure(troves, tmp_path):
    names = fill(troves[0].directory)
    troves[1].silent = [names[2]]
    with pytest.raises(SlipwayError, match="the answer does not mention 1 of them") as caught:
        send(troves, names, tmp_path)
    assert caught.value.findings == [names[2]]


def test_what_does_not_appear_is_named(troves, tmp_path):
    names = fill(troves[0].directory)
    with pytest.raises(SlipwayError, match="are still missing there") as caught:
        publish_artifacts(
            names,
            local=MorphCache(troves[0].url),
            public=MorphCache(troves[1].url),
            transfer=Transfer(str(tmp_path / "elsewhere")),
            directory=tmp_path / "on-the-way",
        )
    assert caught.value.findings == names


def test_names_are_asked_for_in_batches_of_1024(tmp_path):
    (tmp_path / "cache").mkdir()
    names = [f"{key(n)}.chunk.c" for n in range(3000)]
    with MorphCachePeer(tmp_path / "cache") as peer:
        found = MorphCache(peer.url).find_present(names)
        assert [method for method, _ in peer.requests] == ["POST"] * 3
    assert found == dict.fromkeys(names, False)


def test_a_connection_that_fails_once_is_tried_again(troves, tmp_path):
    names = fill(troves[0].directory)
    troves[0].fails = troves[1].fails = 1
    send(troves, names, tmp_path)
    assert contents(troves[0].directory) == contents(troves[1].directory)


def test_artifacts_go_over_a_real_ssh(troves, tmp_path):
    names = fill(troves[0].directory)
    with sshd(tmp_path / "sshd") as server:
        destination = f"{server.user}@{server.host}:{troves[1].directory}"
        options = [*server.options, f"Port={server.port}"]
        publish_artifacts(
            names,
            local=MorphCache(troves[0].url),
            public=MorphCache(troves[1].url),
            transfer=Transfer(destination, ssh_options=options),
            directory=tmp_path / "on the way",
        )
    assert contents(troves[0].directory) == contents(troves[1].directory)


def test_an_rsync_that_fails_keeps_what_was_fetched(troves, tmp_path):
    names = fill(troves[0].directory)
    with pytest.raises(SlipwayError, match="what was fetched is used again"):
        publish_artifacts(
            names,
            local=MorphCache(troves[0].url),
            public=MorphCache(troves[1].url),
            transfer=Transfer("/proc/nowhere/at/all"),
            directory=tmp_path / "on-the-way",
        )
    assert contents(tmp_path / "on-the-way") == contents(troves[0].directory)


def test_the_recorded_answers_are_understood(tmp_path):
    """Each recorded exchange of artifacts and sha1s, answered as the real server did."""
    records = [record for record in recording("cache-server") if record["port"] == 8080]

    class Recorded(Peer):
        def handle(self, asked):
            response = self.record["response"]
            headers = {name: value for name, value in response["headers"] if name != "Date"}
            asked.answer(response["status"], response["body"].encode("latin-1"), headers=headers)

    with Recorded() as peer:
        cache = MorphCache(peer.url)
        asked = 0
        for record in records:
            peer.record, path = record, record["request"]["path"]
            if (
                record["request"]["method"] == "POST"
                and path == "/1.0/artifacts"
                and record["response"]["status"] == 200
            ):
                names = json.loads(record["request"]["body"])
                assert cache.find_present(names) == json.loads(record["response"]["body"])
            elif record["request"]["method"] == "POST" and path == "/1.0/artifacts":
                with pytest.raises(SlipwayError, match="answers 500"):
                    cache.find_present([SYSTEM])
            elif path.startswith("/1.0/sha1s?") and record["request"]["method"] == "GET":
                found = cache.resolve_ref("repo", "ref")
                assert (found is None) is (record["response"]["status"] == 404)
            elif record["request"]["method"] == "HEAD":
                headers = dict(record["response"]["headers"])
                expected = int(headers["Content-Length"]) if record["response"]["status"] == 200 else None
                assert cache.size(SYSTEM) == expected
            else:
                continue
            asked += 1
    assert asked >= 10


def test_a_ref_is_read_from_the_cache_server(tmp_path):
    refs = {("baserock:baserock/definitions", "baserock/release/baserock-26.47"): "a" * 40}
    with MorphCachePeer(tmp_path, refs=refs) as peer:
        cache = MorphCache(peer.url)
        assert cache.resolve_ref("baserock:baserock/definitions", "baserock/release/baserock-26.47") == "a" * 40
        assert cache.resolve_ref("baserock:baserock/definitions", "nothing") is None


def test_a_server_that_is_none_is_named(tmp_path):
    class Welcome(Peer):
        def handle(self, asked):
            asked.answer(200, b"<html>Welcome to nginx</html>")

    with Welcome() as peer:
        for ask in (lambda c: c.find_present([SYSTEM]), lambda c: c.resolve_ref("r", "x")):
            with pytest.raises(SlipwayError, match="Welcome to nginx"):
                ask(MorphCache(peer.url))
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(SlipwayError, match="no whole answer within 0.3 s"):
            MorphCache(url, timeout=0.3).find_present([SYSTEM])
        with pytest.raises(SlipwayError, match="no whole answer within 0.3 s"):
            MorphCache(url).fetch(SYSTEM, io.BytesIO(), timeout=0.3)
        assert time.monotonic() - began < 15
    for url in ("ftp://x", "trove:8080", "http://", "http://x:notaport", "/a/path"):
        with pytest.raises(SlipwayError, match="not an address of an HTTP service"):
            MorphCache(url)


@given(st.text(max_size=100))
def test_only_names_of_artifacts_are_taken(text):
    with pytest.raises(SlipwayError, match="3 lines without the name of an artifact"):
        check_names([f"/{text}", f"{KEY}.{text}/x", f"../{text}"], attempt="list", on="x")


@pytest.mark.parametrize(
    ("name", "optional"),
    [
        (f"{KEY}.meta", True),
        (f"{KEY}.build-log", True),
        (f"{KEY}.stratum.core-runtime.meta", False),
        (f"{KEY}.stratum.core-runtime", False),
        (f"{KEY}.chunk.meta", False),
        (f"{KEY}.chunk.linux-x86-64-generic.meta", False),
        (f"{KEY}.chunk.gtk+-3.0~rc1:x", False),
        (SYSTEM, False),
    ],
)
def test_optional_is_a_matter_of_the_names_form(name, optional):
    check_names([name], attempt="list", on="x")
    assert is_optional(name) is optional


def fake_morph(tmp_path, lines, name="morph"):
    program = tmp_path / name
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"open({str(tmp_path / 'calls')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        f"print({chr(10).join(lines)!r})\n"
    )
    program.chmod(0o755)
    return str(program), tmp_path / "calls"


def listed(command, systems):
    return list_artifacts(command, repo="baserock:baserock/definitions", ref="abc", systems=systems)


def test_names_come_from_a_command_in_each_of_its_forms(tmp_path):
    morph, calls = fake_morph(tmp_path, [SYSTEM, f"{KEY}.meta", SYSTEM])
    systems = ["systems/a.morph", "systems/b.morph"]
    assert listed([morph, "list-artifacts"], systems) == [f"{KEY}.meta", SYSTEM]
    listed([morph, "list-artifacts", "{repo}", "{ref}", "{systems}", "--quiet"], systems)
    listed([morph, "list-artifacts", "{system}"], systems)
    assert calls.read_text().splitlines() == [
        "list-artifacts systems/a.morph systems/b.morph",
        "list-artifacts --repo=baserock:baserock/definitions --ref=abc systems/a.morph systems/b.morph --quiet",
        "list-artifacts systems/a.morph",
        "list-artifacts systems/b.morph",
    ]


#: Morph's command line before and since July 2016, as its parser takes it: an option's name may be cut short, and
#: ``--repo-alias`` was always there.
MORPH_OF = """#!{python}
import optparse, os, sys
open({calls!r}, "a").write(" ".join(sys.argv[1:]) + "\\n")
parser = optparse.OptionParser()
parser.add_option("--quiet", action="store_true")
parser.add_option("--repo-alias")
if {new}:
    parser.add_option("--repo")
    parser.add_option("--ref")
asked, (_command, *words) = parser.parse_args()
if {new} and not (asked.repo and asked.ref):
    open({calls!r}, "a").write("pushed to origin\\n")
    sys.exit("ERROR: no branch of that name")
repo, ref, *systems = [asked.repo, asked.ref, *words] if {new} else words
if repo != "baserock:baserock/definitions" or not all(one.endswith(".morph") for one in systems):
    sys.exit("ERROR: unknown repository " + repo)
print({name!r})
"""


def morph_of(tmp_path, *, new):
    program, calls = tmp_path / "morph", tmp_path / "calls"
    program.write_text(MORPH_OF.format(python=sys.executable, calls=str(calls), new=new, name=SYSTEM))
    program.chmod(0o755)
    return [str(program), "list-artifacts", "--quiet"], calls


@pytest.mark.parametrize("form", [["{repo}", "{ref}"], ["--repo={repo}", "--ref={ref}"]], ids=["words", "options"])
@pytest.mark.parametrize("new", [False, True], ids=["before July 2016", "since"])
def test_morph_of_either_age_lists_artifacts(new, form, tmp_path):
    command, calls = morph_of(tmp_path, new=new)
    systems = ["systems/a.morph", "systems/b.morph"]
    assert listed([*command, *form, "{systems}"], systems) == [SYSTEM]
    listed([*command, *form, "{system}"], systems)
    options = "list-artifacts --quiet --repo=baserock:baserock/definitions --ref=abc"
    words = "list-artifacts --quiet baserock:baserock/definitions abc"
    if new:
        asked = [f"{options} {' '.join(systems)}", f"{options} {systems[0]}", f"{options} {systems[1]}"]
    else:  # it is found out once for all systems
        asked = [f"{form} {' '.join(systems)}" for form in (options, words)]
        asked += [f"{options} {systems[0]}", f"{words} {systems[0]}", f"{words} {systems[1]}"]
    assert calls.read_text().splitlines() == asked


def test_what_a_newer_morph_refuses_is_told_and_not_asked_for_in_words(tmp_path):
    command, calls = morph_of(tmp_path, new=True)
    with pytest.raises(SlipwayError, match="ERROR: unknown repository other:definitions"):
        list_artifacts([*command, "{repo}", "{ref}"], repo="other:definitions", ref="abc", systems=["systems/a.morph"])
    assert len(calls.read_text().splitlines()) == 1


def test_a_command_of_somebody_else_gets_its_words(tmp_path):
    program, calls = fake_morph(tmp_path, [SYSTEM], "mine")
    listed([program, "{repo}", "{ref}"], ["systems/a.morph"])
    assert calls.read_text().split() == ["baserock:baserock/definitions", "abc", "systems/a.morph"]


def test_a_command_that_chats_or_names_nothing_is_refused(tmp_path):
    chatty, _ = fake_morph(tmp_path, ["Creating build graph", SYSTEM], "chatty")
    with pytest.raises(SlipwayError, match="--quiet") as caught:
        listed([chatty], ["systems/a.morph"])
    assert caught.value.findings == ["'Creating build graph'"]
    empty, _ = fake_morph(tmp_path, [""], "empty")
    with pytest.raises(SlipwayError, match="empty named none"):
        listed([empty], ["systems/a.morph"])


def arguments(troves, tmp_path, **changes):
    return {
        "local_url": troves[0].url,
        "public_url": troves[1].url,
        "destination": str(troves[1].directory),
        "directory": str(tmp_path / "on-the-way"),
        "progress": str(tmp_path / "progress"),
        **({"repo": "baserock:definitions", "ref": "master"} if "list_command" in changes else {}),
        **changes,
    }


def test_the_module_publishes_once_and_check_mode_is_honest(troves, tmp_path):
    names = fill(troves[0].directory)
    morph, _ = fake_morph(tmp_path, names)
    asked = arguments(troves, tmp_path, list_command=[morph], systems=["systems/a.morph", "systems/part.morph"])
    checked = run_module("trove_artifacts", asked, check=True)
    assert (checked["changed"], checked["missing"], checked["published"]) == (True, names, [])
    assert not (tmp_path / "progress").exists()
    done = run_module("trove_artifacts", asked)
    assert (done["changed"], done["published"]) == (True, names)
    assert done["diff"]["after"].splitlines() == names
    assert done["bytes"] == sum(len(data) for data in contents(troves[1].directory).values())
    assert "11/11" in (tmp_path / "progress").read_text()
    for check in (True, False):
        assert run_module("trove_artifacts", asked, check=check)["changed"] is False


def test_check_mode_before_there_are_definitions_expects_a_change(troves, tmp_path):
    asked = arguments(troves, tmp_path, list_command=["nothing"], systems=["x"], chdir=str(tmp_path / "source"))
    answer = run_module("trove_artifacts", asked, check=True)
    assert (answer["changed"], answer["missing"]) == (True, [])
    assert "the directory" in run_module("trove_artifacts", asked)["msg"]


def test_check_mode_does_not_promise_what_is_absent(troves, tmp_path):
    names = fill(troves[0].directory)
    send(troves, names, tmp_path)
    asked = arguments(troves, tmp_path, names=[*names, f"{key(5)}.meta"])
    for check in (True, False):
        answer = run_module("trove_artifacts", asked, check=check)
        assert (answer["changed"], answer["absent"]) == (False, [f"{key(5)}.meta"])


def test_the_module_lists_every_fault(troves, tmp_path):
    names = fill(troves[0].directory)
    troves[0].short = names[:2]
    answer = run_module("trove_artifacts", arguments(troves, tmp_path, names=names))
    assert answer["failed"]
    assert len(answer["findings"]) == 2


def test_check_mode_of_a_build_tells_whether_it_is_cached(troves, tmp_path):
    played = scene("success-fresh")
    morph, _ = fake_morph(tmp_path, [SYSTEM, f"{KEY}.meta", f"{key(1)}.chunk.x"])
    with ReplayPeer([played]) as peer:
        asked = {
            "controller": "127.0.0.1",
            "port": peer.port,
            "repo": "test:definitions",
            "ref": "abc",
            "morphology": "systems/a.morph",
            "log_directory": str(tmp_path / "logs"),
            "cache_url": troves[0].url,
            "list_command": [morph],
        }
        before = run_module("distbuild_submit", asked, check=True)
        Path(troves[0].directory, SYSTEM).write_bytes(b"")
        assert run_module("distbuild_submit", asked, check=True)["cached"] is False
        Path(troves[0].directory, SYSTEM).write_bytes(b"x")
        after = run_module("distbuild_submit", asked, check=True)
        assert peer.received == []
        assert (before["cached"], before["changed"]) == (False, True)
        assert (after["cached"], after["changed"]) == (True, False)

        del asked["list_command"]
        asked["artifacts"] = [SYSTEM]
        known = run_module("distbuild_submit", asked)
        assert (known["changed"], known["artifacts"], known["request_id"]) == (False, [SYSTEM], "")
        assert run_module("distbuild_submit", asked, check=True)["cached"] is True
        assert peer.received == []
        Path(troves[0].directory, SYSTEM).unlink()
        lost = run_module("distbuild_submit", asked)
        assert (lost["changed"], lost["request_id"]) == (True, "InitiatorConnection-1")
