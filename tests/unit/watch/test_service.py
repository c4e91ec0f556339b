# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A signed tag is released once; another is refused by name, once; what fails is tried again for a while."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slipway.release.plugins.lookup.logic_files import LookupModule
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.locks import hold_flock
from ansible_collections.slipway.release.plugins.module_utils.slipway.watch.service import watch_once
from ansible_collections.slipway.release.plugins.module_utils.slipway.watch.settings import (
    check_keys,
    fill_command,
    read_settings,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.watch.status import format_time
from signedtags import Keyring, Repository, silent_server

ROOT = Path(__file__).resolve().parents[3]
NOW = 1_790_000_000
#: Keeps its words, one a line and each call as a block, and ends as the file beside it says.
RECORDER = """\
#!/bin/sh
for word; do echo "$word"; done >>"$RECORD"
echo "from $PWD" >>"$RECORD"
echo "said by the command"
exit "$(cat "$RECORD.status" 2>/dev/null || echo 0)"
"""
DISTRO = """\
release: {release}
version: "1"
stacks:
  _rules:
    git: {{uri: "{base}/$STACK_NAME.git", dev-branch: main, distro-tag: $RELEASE_NAME, release-tag: {template}}}
"""


class People:
    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self.anne, self.mallory = keyring.make("anne"), keyring.make("mallory")


@pytest.fixture(scope="module")
def people() -> Iterator[People]:
    with tempfile.TemporaryDirectory(prefix="tags-", dir="/tmp") as top:  # the agent's socket wants a short path
        keyring = Keyring(Path(top) / "gpg")
        yield People(keyring)
        keyring.close()


class Site:
    """Git servers, a distro file, a watch with a clock, and in the place of a release something that keeps notes."""

    def __init__(self, top: Path, people: People) -> None:
        self.top, self.people = top, people
        self.keyring = people.keyring
        self.now, self.said = float(NOW), list[str]()
        self.record, self.file = top / "record", top / "watch.json"
        program = top / "release"
        program.write_text(RECORDER)
        program.chmod(0o755)
        self.values: dict[str, Any] = {
            "distributions": {"lucid": {"path": str(top / "lucid.rosdistro"), "signers": [people.anne]}},
            "keys": [people.keyring.export("anne")],
            "command": [str(program), "-e", "{json}", "{version} of {stack}", "{commit}"],
            "environment": {"RECORD": str(self.record)},
            "directory": str(top),
            "work": str(top / "work"),
            "retry": 600,
            "tries": 3,
        }
        self.repositories = {name: Repository(top / f"{name}.git") for name in ("foo", "bar")}
        self.foo, self.bar = self.repositories.values()
        self.write({"foo": "1.1", "bar": None})

    def write(self, stacks: dict[str, str | None], *, release: str = "lucid", template: str = "") -> str:
        """The distro file of ``release``, with these stacks and versions."""
        names = {"release": release, "template": template or "$STACK_NAME-$STACK_VERSION"}
        text = DISTRO.format(base=f"file://{self.top}", **names)
        text += "".join(f"  {name}: {{version: {version or '~'}}}\n" for name, version in stacks.items())
        (self.top / f"{release}.rosdistro").write_text(text)
        return text

    def look(self, **changes: Any) -> dict[str, Any] | None:
        self.file.write_text(json.dumps({**self.values, **changes}))
        self.said = []
        return watch_once(read_settings(self.file), clock=lambda: self.now, tell=self.said.append)

    def calls(self) -> list[str]:
        return self.record.read_text().splitlines() if self.record.exists() else []

    def fail(self, status: int) -> None:
        (self.top / "record.status").write_text(str(status))

    def tag(self, name: str, *, message: str = "", by: str = "") -> str:
        return self.repositories[name.split("-")[0]].tag(name, self.keyring, by or self.people.anne, message=message)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.top / "work/status.json").read_text())
        return found

    def states(self) -> dict[str, str]:
        return {each["tag"]: each["state"] for each in self.status()["tags"]}


@pytest.fixture
def site(tmp_path: Path, people: People) -> Site:
    return Site(tmp_path, people)


def test_a_signed_tag_is_released_once_with_the_words_that_say_which(site: Site) -> None:
    made = site.tag("foo-1.2")
    entry = site.look()
    assert entry is not None
    told = {"distro": "lucid", "stack": "foo", "from_tag": "foo-1.2"}
    assert site.calls() == ["-e", json.dumps(told), "1.2 of foo", site.foo.commit, f"from {site.top}"]
    assert (entry["state"], entry["object"], entry["fingerprint"]) == ("done", made, site.people.anne)
    assert "said by the command" in Path(entry["log"]).read_text()
    assert [line.split(",")[0].split(":")[0] for line in site.said] == [
        f"{verb} foo-1.2 (foo 1.2 for lucid)" for verb in ("Accepted", "Started", "Released")
    ]
    assert site.look() is None
    assert (len(site.calls()), site.said) == (5, [])


def test_an_unreleased_stack_and_a_newer_tag_are_released_one_after_the_other(site: Site) -> None:
    site.tag("foo-1.2")
    site.tag("bar-0.1")
    assert [site.look() is not None for _ in range(3)] == [True, True, False]
    assert [line for line in site.calls() if " of " in line] == ["1.2 of foo", "0.1 of bar"]


def test_an_unsigned_tag_is_refused_by_name_once_until_it_becomes_another(site: Site) -> None:
    site.foo.put("foo-1.2", site.foo.text("foo-1.2"))
    assert site.look() is None
    assert len(site.said) == 1
    assert site.said[0].startswith("Refused foo-1.2 (foo 1.2 for lucid): Could not accept the tag foo-1.2 of file://")
    assert "it is not signed" in site.status()["tags"][0]["reason"]
    assert site.look() is None
    assert site.said == []
    site.tag("foo-1.2")
    assert site.look() is not None
    assert site.states() == {"foo-1.2": "done"}


def test_a_refused_tag_is_looked_at_again_when_other_keys_may_sign(site: Site) -> None:
    site.tag("foo-1.2", by=site.people.mallory)
    assert site.look() is None
    assert site.people.mallory in site.status()["tags"][0]["reason"]
    both = {"path": site.values["distributions"]["lucid"]["path"], "signers": {"foo": [site.people.mallory], "*": []}}
    entry = site.look(distributions={"lucid": both}, keys=[site.keyring.export("mallory")])
    assert entry is not None
    assert entry["fingerprint"] == site.people.mallory


def test_of_several_new_tags_the_newest_that_is_signed_counts(site: Site) -> None:
    site.tag("foo-1.2")
    site.tag("foo-1.3")
    site.foo.put("foo-1.4", site.foo.text("foo-1.4"))
    site.look()
    assert site.states() == {"foo-1.4": "refused", "foo-1.3": "done"}
    site.write({"foo": "1.3", "bar": None})
    assert site.look() is None
    assert [line for line in site.calls() if " of " in line] == ["1.3 of foo"]


def test_what_failed_is_tried_again_later_and_later_and_then_left_to_a_person(site: Site) -> None:
    site.tag("foo-1.2")
    site.fail(3)
    again = []
    for _ in range(3):
        entry = site.look()
        assert entry is not None
        again.append(entry["next"])
        assert site.look() is None
        site.now += 1200
    found = site.status()["tags"][0]
    assert (found["state"], found["tries"], found["next"]) == ("failed", 3, None)
    assert "release ended with status 3: said by the command" in found["reason"]
    assert again == [format_time(NOW + 600), format_time(NOW + 1200 + 1200), None]
    site.now += 1e6
    assert site.look() is None
    site.fail(0)
    site.tag("foo-1.2", message="Now it can be built")
    assert site.look() is not None
    assert site.states() == {"foo-1.2": "done"}


def test_a_release_that_lasts_too_long_is_ended(site: Site) -> None:
    site.tag("foo-1.2")
    entry = site.look(command=["sleep", "60"], command_timeout=0.5)
    assert entry is not None
    assert (entry["state"], "sleep was ended after" in entry["reason"]) == ("failed", True)


def test_what_was_interrupted_is_tried_again(site: Site) -> None:
    site.tag("foo-1.2")
    site.fail(1)
    site.look()
    status = site.status()
    status["tags"][0]["state"] = "running"
    (site.top / "work/status.json").write_text(json.dumps(status))
    site.fail(0)
    assert site.look() is not None
    assert site.said[0].startswith("Failed foo-1.2 (foo 1.2 for lucid), try 1 of 3, again after")
    assert site.states() == {"foo-1.2": "done"}


def test_what_somebody_released_by_hand_is_done_and_a_tag_that_was_taken_away_is_gone(site: Site) -> None:
    site.tag("foo-1.2")
    site.tag("bar-0.1")
    site.fail(1)
    site.look()
    site.look()
    site.write({"foo": "1.2", "bar": None})
    site.bar.git("update-ref", "-d", "refs/tags/bar-0.1")
    site.now += 1e6
    assert site.look() is None
    assert site.states() == {"foo-1.2": "done", "bar-0.1": "gone"}
    assert [line.partition(": ")[2] for line in site.said] == [
        "the distro file has 1.2 by now",
        "the tag was taken away",
    ]


def test_a_key_that_may_sign_no_more_stops_what_waits(site: Site) -> None:
    site.tag("foo-1.2")
    site.fail(1)
    site.look()
    site.now += 1e6
    lucid = {"path": site.values["distributions"]["lucid"]["path"], "signers": [site.people.mallory]}
    site.look(distributions={"lucid": lucid}, keys=[site.keyring.export("mallory")])
    assert site.states() == {"foo-1.2": "refused"}
    assert len(site.calls()) == 5


def test_a_tag_for_one_of_two_distributions_names_it(site: Site) -> None:
    site.write({"foo": "1.1", "bar": None}, release="maverick")
    both = {
        name: {"path": str(site.top / f"{name}.rosdistro"), "signers": [site.people.anne]}
        for name in ("lucid", "maverick")
    }
    site.tag("foo-1.2", message="foo 1.2 for maverick")
    site.tag("bar-0.1")
    for _ in range(3):
        site.look(distributions=both)
    states = {(each["tag"], each["distribution"]): each["state"] for each in site.status()["tags"]}
    assert states == {
        ("foo-1.2", "lucid"): "refused",
        ("foo-1.2", "maverick"): "done",
        ("bar-0.1", "lucid"): "refused",
        ("bar-0.1", "maverick"): "refused",
    }
    reason = next(each["reason"] for each in site.status()["tags"] if each["tag"] == "bar-0.1")
    assert "lucid, maverick have bar from there, and its message does not name lucid." in reason
    only = {"lucid": both["lucid"]}
    assert site.look(distributions=only) is not None
    assert [line for line in site.calls() if " of " in line] == ["1.2 of foo", "1.2 of foo"]


def test_a_distribution_that_cannot_be_read_now_still_has_its_stacks(site: Site) -> None:
    site.write({"foo": "1.1", "bar": None}, release="maverick")
    both = {
        name: {"path": str(site.top / f"{name}.rosdistro"), "signers": [site.people.anne]}
        for name in ("lucid", "maverick")
    }
    site.look(distributions=both)
    (site.top / "maverick.rosdistro").unlink()
    site.tag("foo-1.2", message="foo 1.2 for maverick")
    assert site.look(distributions=both) is None
    assert site.states() == {"foo-1.2": "refused"}


@pytest.fixture
def silent() -> Iterator[str]:
    with silent_server() as address:
        yield address


def test_a_server_that_stands_still_holds_up_no_other_and_is_told_once(site: Site, silent: str) -> None:
    site.tag("foo-1.2")
    text = site.write({"foo": "1.1"})
    dead = text.replace(f"file://{site.top}", silent).replace("release: lucid", "release: dead").replace("foo", "dead")
    (site.top / "dead.rosdistro").write_text(dead)
    both = {
        name: {"path": str(site.top / f"{name}.rosdistro"), "signers": [site.people.anne]} for name in ("dead", "lucid")
    }
    assert site.look(distributions=both, git_timeout=1) is not None
    troubles = site.status()["troubles"]
    assert list(troubles) == [f"the tags of {silent}/dead.git"]
    assert "git was ended after 1 s" in troubles[f"the tags of {silent}/dead.git"]
    assert len([line for line in site.said if silent in line]) == 1
    site.look(distributions=both, git_timeout=1)
    assert site.said == []


def test_a_tag_that_cannot_be_judged_before_its_release_holds_up_no_other(site: Site) -> None:
    site.tag("foo-1.2")
    site.tag("bar-0.1")
    site.look()
    assert site.states() == {"foo-1.2": "done", "bar-0.1": "waiting"}
    commit = site.bar.path / "objects" / site.bar.commit[:2] / site.bar.commit[2:]
    content = commit.read_bytes()
    commit.unlink()
    site.write({"foo": "1.2", "bar": None})
    site.now += 60
    site.tag("foo-1.3")
    site.look()
    assert [line for line in site.said if "bar.git" in line] == [*site.status()["troubles"].values()]
    site.look()
    assert [line.split()[0] for line in site.said] == ["Started", "Released"]
    assert site.states() == {"foo-1.2": "done", "foo-1.3": "done", "bar-0.1": "waiting"}
    site.look()
    assert not any(line.startswith("Works again") for line in site.said)
    commit.write_bytes(content)
    assert site.look() is not None
    assert (site.states()["bar-0.1"], site.status()["troubles"]) == ("done", {})


def test_the_server_of_a_distro_file_is_given_up_as_soon_as_any_other(site: Site, silent: str) -> None:
    site.tag("foo-1.2")
    dead = {"repository": f"{silent}/distros.git", "path": "dead.rosdistro", "signers": [site.people.anne]}
    assert site.look(distributions={"dead": dead, **site.values["distributions"]}, git_timeout=1) is not None
    assert list(site.status()["troubles"]) == ["the distro file of dead"]
    assert "git was ended after 1 s" in site.status()["troubles"]["the distro file of dead"]


def test_what_there_is_no_time_for_is_one_of_the_first_the_next_time(site: Site) -> None:
    site.tag("foo-1.2")
    assert site.look(look_timeout=0) is None
    assert "were over before this one's turn" in next(iter(site.status()["troubles"].values()))
    assert site.look() is not None
    assert site.status()["troubles"] == {}


def test_a_server_that_comes_back_is_told(site: Site) -> None:
    away = site.top / "away"
    site.foo.path.rename(away)
    assert site.look() is None
    assert len(site.said) == 1
    assert "foo.git: " in site.said[0]
    away.rename(site.foo.path)
    site.look()
    assert site.said == [f"Works again: the tags of file://{site.top}/foo.git"]


def test_a_distro_file_is_read_from_its_branch(site: Site) -> None:
    distros = Repository(site.top / "distros.git")
    blob = distros.git("hash-object", "-w", "--stdin", stdin=site.write({"foo": "1.1"}).encode())
    tree = distros.git("mktree", stdin=f"100644 blob {blob}\tlucid.rosdistro\n".encode())
    distros.git("update-ref", "refs/heads/live", distros.git("commit-tree", tree, "-m", "More"))
    place = {"repository": f"file://{distros.path}", "branch": "live", "path": "lucid.rosdistro"}
    site.tag("foo-1.2")
    lucid = {**place, "signers": [site.people.anne]}
    assert site.look(distributions={"lucid": {**lucid, "path": "gone.rosdistro"}}) is None
    assert "Could not read gone.rosdistro of file://" in site.said[0]
    assert site.look(distributions={"lucid": lucid}) is not None


def test_a_fault_of_one_distro_file_is_told_and_the_others_are_watched(site: Site) -> None:
    site.tag("foo-1.2")
    (site.top / "broken.rosdistro").write_text("release: [")
    broken = {"path": str(site.top / "broken.rosdistro"), "signers": [site.people.anne]}
    entry = site.look(distributions={"broken": broken, **site.values["distributions"]})
    assert entry is not None
    assert entry["state"] == "done"
    assert list(site.status()["troubles"]) == ["the distro file of broken"]


def test_a_tag_that_could_be_of_two_stacks_of_a_repository_is_told_of_and_not_released(site: Site) -> None:
    site.write({"foo": "1.1", "bar": None}, template="$STACK_VERSION")
    place = site.top / "lucid.rosdistro"
    place.write_text(place.read_text().replace("$STACK_NAME.git", "foo.git"))
    site.foo.tag("1.2", site.keyring, site.people.anne, message="foo 1.2")
    assert site.look() is None
    troubles = list(site.status()["troubles"])
    assert troubles == [f"the tag 1.2 could be foo 1.2 or bar 1.2 of file://{site.foo.path}"]
    assert len(site.said) == 1
    site.look()
    assert site.said == []


def test_a_tag_that_is_signed_for_another_stack_is_refused(site: Site) -> None:
    site.write({"foo": "1.1", "bar": None}, template="v$STACK_VERSION")
    site.foo.tag("v1.2", site.keyring, site.people.anne, message="foo 1.2")
    site.bar.tag("v1.2", site.keyring, site.people.anne, message="foo 1.2")
    site.look()
    site.look()
    found = {each["stack"]: each for each in site.status()["tags"]}
    assert {name: each["state"] for name, each in found.items()} == {"foo": "done", "bar": "refused"}
    assert "neither its name nor its message says 'bar 1.2'" in found["bar"]["reason"]


def test_old_entries_and_their_logs_are_forgotten(site: Site) -> None:
    for number in range(2, 6):
        site.tag(f"foo-1.{number}")
        site.look(keep=2)
        site.write({"foo": f"1.{number}", "bar": None})
    site.look(keep=2)
    assert site.states() == {"foo-1.4": "done", "foo-1.5": "done"}
    assert sorted(path.name for path in (site.top / "work/logs").iterdir()) == [
        "lucid_foo_1.4.log",
        "lucid_foo_1.5.log",
    ]


def test_two_watches_of_one_place_do_not_work_at_once(site: Site) -> None:
    site.look()
    with (
        hold_flock(site.top / "work/lock", attempt="hold", on="it", timeout=1),
        pytest.raises(SlipwayError, match="Could not watch with .*held by another process"),
    ):
        site.look()


def test_a_status_that_cannot_be_read_releases_nothing(site: Site) -> None:
    site.tag("foo-1.2")
    (site.top / "work").mkdir()
    (site.top / "work/status.json").write_text("{}")
    with pytest.raises(SlipwayError, match="so that nothing is released twice"):
        site.look()
    assert site.calls() == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"command": []}, "there is no command"),
        ({"command": ["x", "{verison}"]}, r"the command's word '\{verison\}' has \{verison\}, which is none of commit"),
        ({"distributions": {"lucid": {"path": "x"}}}, "KeyError: 'signers'"),
        ({"keys": None}, "TypeError"),
        ({"surprise": 1}, "surprise"),
        ({"tries": "often"}, "ValueError: .*'often'"),
        ({"git_timeout": None}, "TypeError"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_before_anything_is_looked_at(
    site: Site, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SlipwayError, match=sentence):
        site.look(**changes)
    assert not (site.top / "work").exists()


def test_numbers_may_be_text_as_a_command_line_gives_them(site: Site) -> None:
    site.tag("foo-1.2")
    site.fail(1)
    texts = {"git_timeout": "60", "look_timeout": "600", "command_timeout": "60", "retry": "60", "tries": "2"}
    entry = site.look(**texts, keep="1")
    assert entry is not None
    assert (entry["state"], entry["next"]) == ("failed", format_time(NOW + 60))


def test_the_keys_of_all_signers_are_asked_for_when_the_host_is_provisioned(site: Site) -> None:
    site.file.write_text(json.dumps(site.values))
    check_keys(read_settings(site.file))
    site.file.write_text(json.dumps({**site.values, "keys": []}))
    with pytest.raises(SlipwayError, match=f"no key that was given has the fingerprint {site.people.anne}"):
        check_keys(read_settings(site.file))


def test_a_value_is_one_word_of_the_command_whatever_is_in_it() -> None:
    values = {"distro": "l", "stack": "s", "version": "1", "tag": 't"; rm -rf {stack} $x', "commit": "c", "object": "o"}
    filled = fill_command(["run", "a {tag}", "{json}", '{"a": 1}'], values)
    assert filled[:2] == ["run", f"a {values['tag']}"]
    assert json.loads(filled[2]) == {"distro": "l", "stack": "s", "from_tag": values["tag"]}
    assert filled[3] == '{"a": 1}'


def test_the_role_installs_all_that_the_program_stands_on(site: Site, tmp_path: Path) -> None:
    variables = yaml.safe_load((ROOT / "roles/debs_watch/vars/main.yml").read_text())
    packages = variables["_debs_watch_logic"]
    assert packages == sorted(packages)
    home = tmp_path / "lib"
    for file in LookupModule().run(packages):
        (home / file["path"]).parent.mkdir(parents=True, exist_ok=True)
        (home / file["path"]).write_text(file["content"])
    shutil.copy(ROOT / "roles/debs_watch/files/debs_watch.py", home)
    imported = {
        part.module.split(".")[0]
        for path in (home / "slipway").glob("*/*.py")
        for part in ast.walk(ast.parse(path.read_text()))
        if isinstance(part, ast.ImportFrom) and part.level == 2 and part.module
    }
    assert {name for name in imported if not (home / "slipway" / f"{name}.py").is_file()} <= set(packages)
    site.file.write_text(json.dumps(site.values))

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        program = ["/usr/bin/python3", "-B", str(home / "debs_watch.py"), *words, str(site.file)]
        return subprocess.run(program, capture_output=True, text=True, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})

    site.foo.put("foo-1.2", site.foo.text("foo-1.2"))
    assert (call("--check").returncode, (tmp_path / "work").exists()) == (0, False)
    done = call()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Refused foo-1.2 (foo 1.2 for lucid): ")
    site.file.write_text("{}")
    done = call()
    assert done.returncode == 1
    assert done.stderr.startswith("Could not read the settings")
