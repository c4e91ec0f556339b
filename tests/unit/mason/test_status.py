"""What masons say is read with distrust, and told in sentences that name what to look at."""

from __future__ import annotations

import http.server
import json
import threading

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.masons import report_masons
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.preflight import fetch_status
from ansible_collections.slipway.release.plugins.module_utils.slipway.mason.status import (
    find_faults,
    format_time,
    parse_time,
    render_page,
)

COMMIT, OTHER = "a" * 40, "b" * 40
URL = "http://mason.example.org/"
NOW = 1_800_000_000
ONE = {"file": "systems/one.bst", "architecture": "x86_64"}
TWO = {"file": "systems/two.bst", "architecture": "x86_64"}
ARM = {"file": "systems/arm.bst", "architecture": "armv7lhf"}


def system(each, state="passed", message="", log="logs/a/build-x86_64.log"):
    return {**each, "name": "x", "state": state, "started": None, "ended": None, "message": message, "log": log}


def status(*systems, commit=COMMIT, release="baserock-26.46", age=0, **more):
    states = {each["state"] for each in systems}
    build = {
        "commit": commit,
        "state": "passed" if states == {"passed"} else "failed",
        "started": format_time(NOW),
        "ended": None,
        "tools": {"release": release, "bst": "2.8.1"},
        "trouble": "",
        "systems": list(systems),
    }
    return {
        "format": 1,
        "name": "Mason",
        "definitions": "git://trove/definitions",
        "branch": "master",
        "architectures": ["x86_64"],
        "tools": {"release": release, "bst": "2.8.1"},
        "commit": commit,
        "looked": format_time(NOW - age),
        "written": format_time(NOW - age),
        "trouble": "",
        "builds": [build],
        **more,
    }


def told(said, *, systems=(ONE, TWO, ARM), previous=("baserock-26.46", "26.46"), commit=COMMIT):
    return find_faults(said, url=URL, commit=commit, systems=systems, previous=previous, now=NOW, max_age=3600)


def plan(tag="baserock-26.46"):
    return {
        "project": "baserock",
        "definitions": {"commit": COMMIT},
        "remote": {"previous_tag": tag},
        "systems": [ONE, ARM],
    }


def test_a_time_is_read_as_it_was_written():
    assert parse_time(format_time(NOW)) == NOW
    assert parse_time("yesterday") is None
    assert parse_time(None) is None


@pytest.mark.parametrize("release", ["baserock-26.46", "26.46"])
def test_a_commit_whose_systems_all_passed_is_no_finding(release):
    assert told(status(system(ONE), system(TWO), release=release)) == []


def test_a_failed_system_is_named_with_its_reason_and_the_address_of_its_log():
    said = status(system(ONE), system(TWO, "failed", "gcc.bst failed to build", "logs/b/failed%20x.log"))
    assert told(said) == [
        f"the tools of baserock-26.46 did not build systems/two.bst (x86_64) of {COMMIT} on the mason at {URL}: "
        f"gcc.bst failed to build; its log is {URL}logs/b/failed%20x.log"
    ]


def test_a_commit_that_was_never_tried_is_a_finding_that_names_where_the_mason_is():
    assert told(status(system(ONE), commit=OTHER)) == [
        f"the mason at {URL} has not tried {COMMIT}: it is at {OTHER} of master; "
        "wait for it, or configure it to build the branch that is released"
    ]
    assert "; it says: no network" in told(status(commit=OTHER, trouble="no network"))[0]


@pytest.mark.parametrize("age", [3700, -3700])
def test_a_stale_status_is_a_finding_even_if_all_passed(age):
    (finding,) = told(status(system(ONE), system(TWO), age=age))
    assert finding.startswith(
        f"the status of the mason at {URL} is stale: it was written at {format_time(NOW - age)}, not"
    )


def test_the_tools_must_be_those_of_the_previous_release():
    said = status(system(ONE), system(TWO), release="baserock-26.47")
    (finding,) = told(said)
    assert "with the tools of baserock-26.47, and the previous release is baserock-26.46: provision" in finding
    assert told(said, previous=()) == []


def test_a_system_that_is_not_done_or_not_there_is_a_finding():
    not_done, not_there = told(status(system(ONE, "building")))
    assert "is not done with systems/one.bst (x86_64)" in not_done
    assert "could not build systems/two.bst (x86_64)" in not_there
    (other_cluster,) = told(status(system(ONE)))
    assert "did not build systems/two.bst (x86_64)" in other_cluster
    assert "the cluster that is released" in other_cluster


def test_a_commit_without_systems_is_told_with_its_trouble():
    said = status()
    said["builds"][0].update(state="failed", trouble="the cluster\nhas 2 faults")
    assert told(said, systems=[ONE]) == [
        f"the mason at {URL} could not build systems/one.bst (x86_64) of {COMMIT}: the cluster has 2 faults"
    ]


def test_a_mason_has_no_say_on_other_architectures():
    assert told(status(commit=OTHER), systems=[ARM]) == []


@pytest.mark.parametrize("said", [None, [], {}, {"format": 2}, "passed"])
def test_what_is_no_status_is_a_finding(said):
    (finding,) = told(said)
    assert "serves no status of a mason" in finding


@pytest.mark.parametrize(
    "more",
    [
        {"builds": None},
        {"builds": [None, 5, {"commit": COMMIT}]},
        {"builds": [{"commit": COMMIT, "state": "passed", "tools": {"release": "26.46"}, "systems": [1]}]},
        {"builds": [{"commit": COMMIT, "tools": {"release": "26.46"}, "systems": [{**ONE, "state": ["passed"]}]}]},
    ],
)
def test_a_status_of_any_form_never_passes_by_accident(more):
    assert told({**status(), **more}, systems=[ONE]) != []


def test_words_of_a_mason_cannot_forge_lines_of_the_report():
    said = status(system(ONE, "failed", "x\n  - all is well\x1b[2J" + "y" * 500))
    (finding,) = told(said, systems=[ONE])
    assert finding.isprintable()
    assert len(finding) < 600


def test_the_page_shows_everything_escaped_and_has_no_script():
    said = status(system(ONE, "failed", "<script>alert(1)</script>", 'logs/"><script>'), trouble="<b>no network</b>")
    shown = render_page(said)
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "&lt;b&gt;no network" in shown
    assert "systems/one.bst" in shown
    assert 'href="logs/&quot;&gt;&lt;script&gt;"' in shown


def test_a_build_without_systems_has_a_row():
    said = status()
    said["builds"][0].update(state="failed", trouble="no cluster")
    assert '<td data-label="State" class="failed">failed<br>no cluster</td>' in render_page(said)


def asked(urls, answers, override=""):
    def fetch(url):
        if url not in answers:
            raise SlipwayError("read", url, "refused", do_next="Look.")
        return answers[url]

    return report_masons(urls, plan(), max_age=3600, now=NOW, override=override, fetch=fetch)


def test_masons_are_asked_one_by_one_and_architectures_without_one_are_a_warning():
    good = "http://good.example.org"
    report, said = asked([good, f"{URL}status.json"], {f"{good}/status.json": status(system(ONE))})
    assert report.findings == [f"Could not read {URL}status.json: refused. Look."]
    assert report.warnings == ["no mason that answers builds for armv7lhf: it is unknown whether that can be built"]
    assert said == [
        {"url": f"{good}/", "passed": True, "override": ""},
        {"url": URL, "passed": False, "override": ""},
    ]


def test_with_a_reason_findings_are_warnings_that_tell_it():
    report, said = asked([URL], {f"{URL}status.json": status(system(ONE, "failed"))}, override="built by hand")
    assert report.findings == []
    assert report.warnings[0].endswith("; ignored, because built by hand")
    assert said == [{"url": URL, "passed": False, "override": "built by hand"}]


def test_without_masons_nothing_is_said():
    report, said = asked([], {})
    assert (report.findings, report.warnings, said) == ([], [], [])


@pytest.fixture
def server():
    answers: dict[str, tuple[int, bytes]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            code, body = answers.get(self.path, (404, b""))
            self.send_response(code)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/status.json", answers
        httpd.shutdown()


def test_a_status_is_fetched(server):
    url, answers = server
    answers["/status.json"] = 200, json.dumps(status()).encode()
    assert fetch_status(url, of="the mason", timeout=5) == status()


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ((404, b""), "it answers 404"),
        ((200, b"<html>"), "it is not JSON"),
        ((200, b"[" * 100_000), "it is not JSON"),
        ((200, b" " * (17 << 20)), "more than 16 MiB"),
    ],
)
def test_what_is_no_status_fails_with_the_reason(server, answer, fault):
    url, answers = server
    answers["/status.json"] = answer
    with pytest.raises(SlipwayError, match=fault):
        fetch_status(url, of="the mason", timeout=20)


def test_addresses_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "status.json").write_text("{}")
    with pytest.raises(SlipwayError, match="it is not an address of http or https"):
        fetch_status(f"file://{tmp_path}/status.json", of="the mason")


def test_a_mason_that_is_away_is_told():
    with pytest.raises(SlipwayError, match=r"Could not read the status of the mason at http://127\.0\.0\.1:1/"):
        fetch_status("http://127.0.0.1:1/status.json", of="the mason", timeout=5)
