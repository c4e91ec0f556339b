from __future__ import annotations

import os
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import find_remote_commit
from ansible_collections.slipway.release.plugins.module_utils.slipway.http import Service
from ansible_collections.slipway.release.plugins.module_utils.slipway.ssh import open_tunnel
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove.lorry import (
    LorryController,
    promote_repository,
)
from peers.lorry_controller import LorryControllerPeer
from peers.morph_cache import MorphCachePeer
from peers.webserver import Peer
from publishing import run_module
from sshd import sshd

PATH = "baserock/baserock/definitions"
PATHS = ["delta/linux", "delta/gcc", PATH, "delta/glibc"]
OLD, NEW = "1" * 40, "2" * 40


class Mirror:
    def __init__(self, commit=OLD):
        self.commit = commit

    def gets(self, commit):
        return lambda: setattr(self, "commit", commit)

    def __call__(self):
        return self.commit


def run(peer, mirror, **options):
    said = []
    options = {"timeout": 10, "interval": 0.01, **options}
    api = LorryController(Service(peer.url))
    return promote_repository(api, PATH, commit=NEW, read_mirrored=mirror, report=said.append, **options), said


def posts(peer):
    return [path for method, path in peer.requests if method == "POST"]


def test_a_path_is_moved_to_the_head_and_promoted_when_the_mirror_has_the_commit():
    mirror = Mirror()
    with LorryControllerPeer(PATHS, watched=PATH, results=[("0", mirror.gets(NEW))]) as peer:
        changed, said = run(peer, mirror)
    assert changed is True
    assert posts(peer) == ["/1.0/move-to-top"]
    assert [job["path"] for job in peer.jobs.values()].count(PATH) == 1
    assert said[0] == f"{PATH} is at the head of the queue"
    assert said[-1] == "promoted"
    assert any(text.startswith("job ") and text.endswith(" runs") for text in said)


def test_a_mirror_that_has_the_commit_is_left_alone():
    with LorryControllerPeer(PATHS, polls=0) as peer:
        assert run(peer, Mirror(NEW)) == (False, [])
    assert peer.requests == []


def test_check_mode_looks_and_moves_nothing():
    with LorryControllerPeer(PATHS, polls=0) as peer:
        assert run(peer, Mirror(), write=False) == (True, [])
    assert posts(peer) == []


def test_a_job_that_looked_too_early_is_followed_by_another():
    """The job that ran at first had begun before the push."""
    mirror = Mirror()
    with LorryControllerPeer(PATHS, watched=PATH, results=[("0", lambda: None), ("0", mirror.gets(NEW))]) as peer:
        assert run(peer, mirror)[0] is True
    assert len(posts(peer)) == 2


def test_a_job_too_quick_to_be_seen_counts_as_one():
    mirror = Mirror()
    with LorryControllerPeer(PATHS, watched=PATH, results=[("0", lambda: None), ("0", mirror.gets(NEW))]) as peer:
        peer.quick = True
        assert run(peer, mirror)[0] is True
    assert len(posts(peer)) == 2


def test_a_move_that_changes_the_last_run_is_no_run():
    """The mirror's clock of a lorry is what its place in the queue is made of."""
    mirror = Mirror()
    with LorryControllerPeer(PATHS, watched=PATH, results=[("0", mirror.gets(NEW))], polls=40) as peer:
        changed, said = run(peer, mirror)
        assert peer.last_run[PATH] > 1000
    assert changed is True
    assert posts(peer) == ["/1.0/move-to-top"]
    assert "it is number 1 of 4 in the queue" in said
    assert not [text for text in said if "a job ran" in text]


def test_a_job_that_is_over_before_the_first_look_is_followed_by_another():
    mirror = Mirror()
    with LorryControllerPeer(PATHS, watched=PATH, results=[("0", lambda: None), ("0", mirror.gets(NEW))]) as peer:

        def run_at_once(path):
            peer.queue.append(peer.queue.pop(0))
            peer.last_run[path], peer.moved = peer.clock, lambda _path: None

        peer.moved, peer.polls = run_at_once, 30
        assert run(peer, mirror)[0] is True
    assert len(posts(peer)) == 3


class LosingPeer(LorryControllerPeer):
    """Does what it is asked, and loses the answer to the first moves; or it loses those moves themselves."""

    losses = 1
    done = True

    def handle(self, asked):
        if asked.method != "POST" or not self.losses:
            super().handle(asked)
            return
        self.losses -= 1
        if self.done:
            with self.lock:
                self._controller(asked)
        asked.handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(("done", "moves"), [(True, 1), (False, 2)], ids=["done", "not done"])
def test_a_move_whose_answer_is_lost_is_looked_for_in_the_queue(done, moves):
    mirror = Mirror()
    with LosingPeer(PATHS, watched=PATH, results=[("0", mirror.gets(NEW))], polls=9) as peer:
        peer.done = done
        changed, said = run(peer, mirror)
    assert changed is True
    assert len(posts(peer)) == moves
    assert said[0].startswith(f"the answer to the move of {PATH} was lost (")
    assert said[0].endswith("looking at the queue")


def test_a_move_that_cannot_be_looked_for_is_told_as_one_that_may_be_done():
    class Dying(LosingPeer):
        def handle(self, asked):
            if asked.method == "POST":
                self.dead = True
            if getattr(self, "dead", False):
                asked.handler.connection.shutdown(socket.SHUT_RDWR)
            else:
                super().handle(asked)

    with Dying(PATHS, polls=0) as peer:
        words = "whether it was moved cannot be read: .* It may have been"
        with pytest.raises(SlipwayError, match=words):
            run(peer, Mirror(), timeout=0.1)
    assert len(posts(peer)) == 1


def test_a_controller_that_is_away_while_it_is_waited_for_is_asked_again():
    mirror = Mirror()

    class Restarting(LorryControllerPeer):
        refused = 0

        def handle(self, asked):
            if self.refused < 4 and asked.method == "GET" and posts(self):
                self.refused += 1
                asked.handler.connection.shutdown(socket.SHUT_RDWR)
            else:
                super().handle(asked)

    with Restarting(PATHS, watched=PATH, results=[("0", mirror.gets(NEW))]) as peer:
        changed, said = run(peer, mirror, timeout=30)
    assert changed is True
    assert any(text.startswith("no answer now: Could not ask") for text in said)


def test_a_mirror_that_cannot_be_read_for_a_while_is_read_again():
    mirror, reads = Mirror(), []

    def read():
        reads.append(1)
        if len(reads) in (2, 3):
            raise SlipwayError("read", "the mirror", "Connection reset by peer", do_next="Look.")
        return mirror()

    with LorryControllerPeer(PATHS, watched=PATH, results=[("0", mirror.gets(NEW))], polls=9) as peer:
        changed, said = run(peer, read)
    assert changed is True
    assert any("Could not read the mirror: Connection reset by peer" in text for text in said)


def test_a_commit_that_its_upstream_does_not_have_is_told_after_three_jobs():
    with (
        LorryControllerPeer(PATHS, watched=PATH, results=[("0", lambda: None)] * 9) as peer,
        pytest.raises(
            SlipwayError, match=f"3 jobs have run, the last was .*, and the mirror's ref names {OLD}, not {NEW}"
        ),
    ):
        run(peer, Mirror())


def test_a_failed_job_is_told_with_its_output():
    with (
        LorryControllerPeer(PATHS, watched=PATH, results=[("1", lambda: None)]) as peer,
        pytest.raises(SlipwayError, match="job [0-9]+ ended with status 1: fatal: could not read from the upstream"),
    ):
        run(peer, Mirror())


def test_a_failed_job_that_brought_the_commit_is_enough():
    """Lorry fails for other refs too; the mirror is what counts."""
    mirror = Mirror()
    with LorryControllerPeer(PATHS, watched=PATH, results=[("1", mirror.gets(NEW))]) as peer:
        assert run(peer, mirror)[0] is True


def test_a_stopped_queue_is_told_at_once_and_nothing_is_moved():
    with LorryControllerPeer(PATHS, polls=0) as peer:
        peer.running_queue = False
        with pytest.raises(SlipwayError, match="the queue is stopped, so no job will run") as caught:
            run(peer, Mirror())
    assert "/1.0/start-queue" in str(caught.value)
    assert posts(peer) == []


def test_a_queue_that_is_stopped_while_waiting_is_told():
    with LorryControllerPeer(PATHS, polls=0) as peer:
        threading.Timer(0.2, lambda: setattr(peer, "running_queue", False)).start()
        with pytest.raises(SlipwayError, match="the queue is stopped"):
            run(peer, Mirror())


def test_a_path_that_is_not_mirrored_is_told_at_once():
    with LorryControllerPeer(["delta/linux"]) as peer, pytest.raises(SlipwayError, match="does not mirror it"):
        run(peer, Mirror())


def test_a_queue_that_does_not_move_is_waited_for_up_to_the_limit():
    with (
        LorryControllerPeer(PATHS, polls=0) as peer,
        pytest.raises(SlipwayError, match="the last state was it is number 1 of 4 in the queue"),
    ):
        run(peer, Mirror(), timeout=0.3)


def test_the_maintained_lorry_is_waited_for_and_that_is_said():
    mirror = Mirror()
    with LorryControllerPeer(PATHS, watched=PATH, results=[("0", lambda: None)] * 3, maintained=True) as peer:
        peer.results[-1] = ("0", mirror.gets(NEW))
        changed, said = run(peer, mirror)
    assert changed is True
    assert "no move-to-top" in said[0]
    assert posts(peer) == []


def test_the_maintained_lorry_without_the_path_is_told():
    with (
        LorryControllerPeer(["delta/linux"], maintained=True) as peer,
        pytest.raises(SlipwayError, match="does not mirror it"),
    ):
        run(peer, Mirror())


class Odd(Peer):
    def __init__(self, status, body):
        self.status, self.body = status, body

    def handle(self, asked):
        asked.answer(self.status, self.body)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>Welcome</html>", "answers 200 OK: <html>Welcome"),
        (500, b"", "answers 500"),
        (404, b"gone", "answers 404"),
        (302, b"", "it has moved to None"),
    ],
)
def test_a_service_that_is_no_lorry_controller_is_told(status, body, words):
    with Odd(status, body) as peer, pytest.raises(SlipwayError, match=words) as caught:
        run(peer, Mirror())
    assert peer.url in str(caught.value)


def test_a_service_that_is_not_there_is_told():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(SlipwayError, match="Connection refused"):
        LorryController(Service(url)).list_queue()


def test_a_service_that_drips_or_says_nothing_is_not_waited_for():
    class Dripping(Peer):
        def handle(self, asked):
            asked.handler.send_response(200)
            asked.handler.send_header("Content-Length", "1000000")
            asked.handler.end_headers()
            while True:
                asked.handler.wfile.write(b" ")
                time.sleep(0.02)

    began = time.monotonic()
    with Dripping() as peer, pytest.raises(SlipwayError, match="no whole answer within 0.4 s"):
        LorryController(Service(peer.url), timeout=0.4).list_queue()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(SlipwayError, match="no whole answer within 0.4 s"),
    ):
        LorryController(Service(f"http://127.0.0.1:{server.getsockname()[1]}"), timeout=0.4).list_queue()
    assert time.monotonic() - began < 15


def test_a_real_mirror_is_read_with_git(tmp_path):
    mirror = tmp_path / "mirror.git"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@y"]
    subprocess.run(["git", "init", "-q", "--bare", str(mirror)], check=True)
    tree = subprocess.run(
        [*git, "--git-dir", str(mirror), "mktree"], input=b"", capture_output=True, check=True
    ).stdout.split()[0]
    commit = subprocess.run(
        [*git, "--git-dir", str(mirror), "commit-tree", tree, "-m", "x"], capture_output=True, text=True, check=True
    ).stdout.strip()
    ref = "refs/heads/baserock/release/baserock-26.47"

    def fetch():
        subprocess.run([*git, "--git-dir", str(mirror), "update-ref", ref, commit], check=True)

    with LorryControllerPeer(PATHS, watched=PATH, results=[("0", fetch)]) as peer:
        assert promote_repository(
            LorryController(Service(peer.url)),
            PATH,
            commit=commit,
            read_mirrored=lambda: find_remote_commit(str(mirror), ref),
            timeout=10,
            interval=0.01,
        )


def test_the_api_is_reached_through_a_real_ssh(tmp_path):
    mirror = Mirror()
    with (
        LorryControllerPeer(PATHS, watched=PATH, results=[("0", mirror.gets(NEW))]) as peer,
        sshd(tmp_path / "sshd") as server,
    ):
        where = f"ssh://{server.user}@{server.host}:{server.port}"
        with open_tunnel(where, f"127.0.0.1:{peer.port}", options=server.options) as path:
            assert stat.S_IMODE(os.stat(Path(path).parent).st_mode) == 0o700
            api = LorryController(Service("http://127.0.0.1:12765", unix_socket=path))
            assert promote_repository(api, PATH, commit=NEW, read_mirrored=mirror, timeout=10, interval=0.01)
        assert not Path(path).exists()


def test_the_module_promotes_through_ssh_and_the_cache_server(tmp_path):
    release = "baserock/release/baserock-26.47"
    refs = {("baserock:definitions", release): OLD}

    def fetch():
        refs["baserock:definitions", release] = NEW

    with (
        LorryControllerPeer(PATHS, watched=PATH, results=[("0", fetch)], lasts=2) as peer,
        MorphCachePeer(tmp_path, refs=refs) as cache,
        sshd(tmp_path / "sshd") as server,
    ):
        asked = {
            "backend": "lorry_controller",
            "url": peer.url,
            "tunnel": f"ssh://{server.user}@{server.host}:{server.port}",
            "ssh_options": server.options,
            "mirror": "baserock:definitions",
            "cache_url": cache.url,
            "path": PATH,
            "ref": f"refs/heads/{release}",
            "commit": NEW,
            "timeout": 30,
            "progress": str(tmp_path / "progress"),
        }
        assert run_module("trove_promote", asked, check=True)["changed"] is True
        assert posts(peer) == []
        assert run_module("trove_promote", asked)["changed"] is True
        assert run_module("trove_promote", asked)["changed"] is False
    assert posts(peer) == ["/1.0/move-to-top"]
    assert "is at the head of the queue" in (tmp_path / "progress").read_text()


@pytest.mark.parametrize("commit", ["2222222", "A" * 40, "refs/heads/master", ""])
def test_a_commit_that_no_ref_can_name_is_refused_and_not_waited_for(commit):
    for backend in ({"toplevel": "/nowhere"}, {"backend": "lorry_controller", "mirror": "/nowhere"}):
        answer = run_module("trove_promote", {"path": PATH, "ref": "refs/heads/x", "commit": commit, **backend})
        assert f"{commit!r} is not a whole commit" in answer["msg"]


def test_the_module_says_what_a_backend_needs():
    asked = {"path": PATH, "ref": "refs/heads/x", "commit": NEW}
    assert "toplevel" in run_module("trove_promote", asked)["msg"]
    assert "mirror" in run_module("trove_promote", {**asked, "backend": "lorry_controller"})["msg"]


def test_a_tunnel_that_cannot_be_made_is_told(tmp_path):
    with sshd(tmp_path / "sshd") as server:
        where = f"ssh://{server.user}@{server.host}:{server.port}"
        options = [*server.options, f"IdentityFile={tmp_path}/nothing", "IdentityAgent=none"]
        options.remove(f"IdentityFile={tmp_path}/sshd/user")
        with (
            pytest.raises(SlipwayError, match="without a prompt, and run again"),
            open_tunnel(where, "127.0.0.1:1", options=options),
        ):
            pass
    with pytest.raises(SlipwayError, match="not a destination for ssh"), open_tunnel("-oProxyCommand=x", "127.0.0.1:1"):
        pass
