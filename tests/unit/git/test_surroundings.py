"""What the caller's environment and git settings say of servers is kept; what they say of bytes changes none."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway import process
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.checkout import check_out
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.files import ensure_files
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import (
    Annotation,
    Person,
    ensure_ref,
    find_remote_commit,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.tree import FILE, Entry, commit_tree
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes.changes import find_changes
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.home import provide_environment
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.process import run
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove.definitions import publish_definitions
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove.grokmirror import promote_mirror

TEAM = Person("Team", "team@example.org", 1_700_000_000)
TAG = "refs/tags/proj-1.3"
HOOK = "#!/bin/sh\necho 'the hook of a person ran' >&2\nexit 1\n"


def git(*words, cwd, **variables):
    """Run git as somebody without settings."""
    clean = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    clean |= TEAM.environment() | variables
    return subprocess.run(["git", *words], cwd=cwd, env=clean, check=True, capture_output=True, text=True).stdout


class Site:
    """Definitions with a signed history and a tag, a mirror that is one commit behind, a wiki, a key."""

    def __init__(self, top: Path) -> None:
        self.top, self.home = top, top / "gnupg"
        self.definitions, self.wiki, self.work = top / "defs.git", top / "wiki.git", top / "work"
        self.key = make_key(self.home, "Release <release@example.org>")
        git("init", "-q", "-b", "master", str(self.work), cwd=top)
        with provide_environment(self.home) as signing:
            self.commit("first", **signing)
            git("tag", "-a", "-m", "proj 1.2", "proj-1.2", cwd=self.work)
            self.commit("Größe geändert", **signing)
            git("clone", "-q", "--bare", str(self.work), str(self.definitions), cwd=top)
            git("clone", "-q", "--mirror", str(self.definitions), str(top / "local/defs.git"), cwd=top)
            self.head = self.commit("last", **signing)
        git("push", "-q", str(self.definitions), "master", cwd=self.work)
        git("init", "-q", "--bare", "-b", "main", str(self.wiki), cwd=top)

    def commit(self, subject: str, **signing: str) -> str:
        git("commit", "-q", f"-S{self.key}", "--allow-empty", "-m", subject, cwd=self.work, **signing)
        return git("rev-parse", "HEAD", cwd=self.work).strip()

    def tag(self, key: str | None = None) -> tuple[str | None, bool]:
        with provide_environment(self.home) as signing:
            annotation = Annotation("proj 1.3\n", TEAM, key or self.key, signing)
            return ensure_ref(str(self.definitions), TAG, commit=self.head, annotation=annotation)

    def use(self) -> None:
        """Use git in every way that a release does."""
        url = str(self.definitions)
        assert self.tag() == (None, True)
        ensure_ref(url, "refs/heads/proj/release/proj-1.3", commit=self.head)
        assert ensure_files(str(self.wiki), "main", files={"new.md": "# hello\n"}, message="Add\n", person=TEAM).changed
        history = find_changes(url, self.head, project="proj", version="1.3")
        assert [each["subject"] for each in history["changes"]] == ["last", "Größe geändert"]
        promote_mirror(self.top / "local", "defs", ref="refs/heads/master", commit=self.head, timeout=20)
        made = [
            commit_tree(self.top / name, TREE, refs=["refs/heads/main"], message="m\n", person=TEAM) for name in "xy"
        ]
        assert made == [NAME, NAME]
        foreign = publish_definitions(TREE, self.definitions, branch="master", message="m\n", person=TEAM).foreign
        assert foreign is None
        check_out(url, self.head, self.top / "tree")
        with provide_environment(self.home) as signing:
            git("verify-tag", "proj-1.3", cwd=self.definitions, **signing)


TREE = {b"a": Entry(FILE, b"x\r\n")}
NAME = "9e018ed9a72b23b0df22814342fff3e91300bf23"
BY_FILE = {
    "a bare repository is used only when it is named": "[safe]\nbareRepository = explicit",
    "signatures are by ssh": "[gpg]\nformat = ssh\n[user]\nsigningKey = ~/.ssh/id.pub",
    "the log shows signatures": "[log]\nshowSignature = true",
    "hooks of one's own": "[core]\nhooksPath = {top}/template/hooks",
    "a template with hooks": "[init]\ntemplateDir = {top}/template",
    "colours, and ends of lines of one's own": "[color]\nui = always\n[core]\nautocrlf = true",
    "all is signed": "[tag]\ngpgSign = true\n[commit]\ngpgSign = true\n[push]\ngpgSign = true",
    "another encoding": "[i18n]\ncommitEncoding = ISO-8859-1\nlogOutputEncoding = ISO-8859-1",
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return Site(tmp_path)


@pytest.mark.parametrize("settings", BY_FILE.values(), ids=BY_FILE)
def test_a_persons_git_settings_change_nothing_of_what_is_made(site, settings):
    hooks = site.top / "template/hooks"
    hooks.mkdir(parents=True)
    for name in ("pre-push", "post-checkout"):
        (hooks / name).write_text(HOOK)
        (hooks / name).chmod(0o755)
    (site.top / ".gitconfig").write_text(settings.format(top=site.top))
    site.use()


def test_neither_do_settings_in_the_environment(site, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'gpg.format'='ssh' 'log.showSignature=true'")
    for name, value in {"COUNT": "1", "KEY_0": "safe.bareRepository", "VALUE_0": "explicit"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    site.use()


def test_the_repository_of_a_hook_that_starts_us_is_not_touched(site, monkeypatch, tmp_path):
    precious = tmp_path / "precious"
    git("init", "-q", "-b", "master", str(precious), cwd=tmp_path)
    git("commit", "-q", "--allow-empty", "-m", "precious", cwd=precious)

    def look():
        return git("for-each-ref", cwd=precious), sorted((precious / ".git").rglob("*"))

    before = look()
    for name, place in {"DIR": "", "INDEX_FILE": "index", "OBJECT_DIRECTORY": "objects", "COMMON_DIR": ""}.items():
        monkeypatch.setenv(f"GIT_{name}", str(precious / ".git" / place))
    monkeypatch.setenv("GIT_WORK_TREE", str(precious))
    monkeypatch.chdir(precious)
    site.use()
    assert look() == before


@pytest.mark.parametrize("way", ["GIT_SSH_COMMAND", "GIT_SSH", "GIT_CONFIG_COUNT", "core.sshCommand", "insteadOf"])
def test_how_to_reach_a_server_stays_the_persons(site, monkeypatch, way):
    program = site.top / "my-ssh"
    program.write_text('#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\nexec sh -c "$1"\n')
    program.chmod(0o755)
    url = f"ssh://git@trove.invalid{site.definitions}"
    if way == "GIT_CONFIG_COUNT":
        for name, value in {"COUNT": "1", "KEY_0": "core.sshCommand", "VALUE_0": str(program)}.items():
            monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    elif way.startswith("GIT"):
        monkeypatch.setenv(way, str(program))
    elif way == "core.sshCommand":
        (site.top / ".gitconfig").write_text(f"[core]\nsshCommand = {program}\n")
    else:
        (site.top / ".gitconfig").write_text(f'[url "{site.top}"]\ninsteadOf = ssh://git@trove.invalid{site.top}\n')
    process._has_ssh_command.cache_clear()
    assert find_remote_commit(url, "refs/heads/master") == site.head


def test_programs_get_an_environment_that_is_built(monkeypatch):
    dropped = ("GIT_DIR", "PYTHONPATH", "PIP_TARGET", "GZIP", "TAR_OPTIONS", "XZ_OPT", "LANGUAGE", "DEB_BUILD_OPTIONS")
    for name in (*dropped, "ANSIBLE_CONFIG", "SOURCE_DATE_EPOCH", "https_proxy", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    said = dict(line.split("=", 1) for line in run(["env"], attempt="look").stdout.splitlines())
    assert not said.keys() & {*dropped, "ANSIBLE_CONFIG", "SOURCE_DATE_EPOCH"}
    assert (said["https_proxy"], said["XDG_CACHE_HOME"], said["TZ"], said["LC_ALL"]) == ("x", "x", "UTC", "C.UTF-8")


@pytest.mark.parametrize("mask", [0o077, 0o000])
def test_what_programs_make_has_the_modes_that_readers_need(tmp_path, mask):
    before = os.umask(mask)
    try:
        run(["sh", "-c", "mkdir d && : > f"], attempt="make", cwd=tmp_path)
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "df"] == [0o755, 0o644]


class Protected(SimpleHTTPRequestHandler):
    """A repository for those who know an account; while it is asked, it looks at the words of all processes."""

    def do_GET(self):
        self.server.words += b"".join(read_words())
        if self.headers.get("Authorization") == "Basic " + base64.b64encode(self.server.account.encode()).decode():
            return super().do_GET()
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.end_headers()
        return None

    def log_message(self, *words):
        pass


def read_words():
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield (each / "cmdline").read_bytes()


@pytest.mark.parametrize(
    ("account", "known"),
    [("me:s3%20cret%3A%2F%40", "me:s3 cret:/@"), ("s3cret:", "s3cret:"), ("s3cret", "s3cret:of the person's helper")],
)
def test_an_account_in_an_address_is_in_the_words_of_no_process(site, monkeypatch, account, known):
    git("update-server-info", cwd=site.definitions)
    helper = '!f() { echo "password=of the person\'s helper"; }; f'
    for name, value in {"COUNT": "1", "KEY_0": "credential.helper", "VALUE_0": helper}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Protected, directory=str(site.top)))
    server.words, server.account = b"", known
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://{account}@127.0.0.1:{server.server_port}/defs.git"
        assert find_remote_commit(url, "refs/heads/master") == site.head
    finally:
        server.shutdown()
        server.server_close()
    assert f"http://127.0.0.1:{server.server_port}/defs.git".encode() in server.words
    assert b"cret" not in server.words


def test_a_tag_of_another_kind_is_not_taken_for_the_release(site):
    git("update-ref", TAG, site.head, cwd=site.definitions)
    with pytest.raises(SlipwayError, match="is no annotated tag"):
        site.tag()
    assert git("rev-parse", TAG, cwd=site.definitions).strip() == site.head


def test_a_tag_without_a_signature_is_not_taken_for_the_release(site):
    git("tag", "-a", "-m", "proj 1.3", "proj-1.3", site.head, cwd=site.definitions)
    with pytest.raises(SlipwayError, match=f"should be signed by {site.key}, but is signed by nobody"):
        site.tag()


def test_a_tag_by_another_key_is_not_taken_for_the_release(site):
    other = make_key(site.home, "Other <other@example.org>")
    site.tag(other)
    with pytest.raises(SlipwayError, match=f"but is signed by {other}"):
        site.tag()


def test_a_tag_of_another_release_is_not_taken_for_this_one(site):
    with provide_environment(site.home) as signing:
        git("tag", "-s", "-u", site.key, "-m", "x", "proj-1.1", site.head, cwd=site.definitions, **signing)
    git("update-ref", TAG, "refs/tags/proj-1.1", cwd=site.definitions)
    with pytest.raises(SlipwayError, match="the tag there says that it is proj-1.1"):
        site.tag()


@pytest.mark.parametrize("taken", [True, False])
def test_a_push_whose_answer_is_lost_is_looked_at(site, monkeypatch, taken):
    """The server takes it, or not, and the connection breaks; what is there then is what counts."""
    program = site.top / "my-ssh"
    push = 'sh -c "$1"' if taken else ":"
    program.write_text(
        "#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\n"
        f'case "$1" in git-receive-pack*) {push}; exit 255 ;; *) exec sh -c "$1" ;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(program))
    url = f"ssh://git@trove.invalid{site.definitions}"
    if taken:
        assert ensure_ref(url, TAG, commit=site.head) == (None, True)
    else:
        with pytest.raises(SlipwayError, match="Could not push"):
            ensure_ref(url, TAG, commit=site.head)
    assert find_remote_commit(url, TAG) == (site.head if taken else None)
