# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A walk through everything that is done with jobs, on a real Hudson or on the recording of one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.http import Exchange, Service
from ansible_collections.slipway.release.plugins.module_utils.slipway.jobs.server import JobServer
from ansible_collections.slipway.release.plugins.modules import build_job, build_job_trigger
from hudson import PASSWORD, USER, VERSION

RECORDING = Path(__file__).parent / "data/hudson/jobs.json"
BASE, COPY = "debbuild-build-debs-cturtle", "debbuild-build-debs-cturtle-lucid-amd64"
TOKEN, OTHER, WRONG = "t0ken", "0ther", "wrong"
PARAMETERS = """<properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
  <hudson.model.StringParameterDefinition>
    <name>PLATFORM</name><description>Größe &lt;b&gt;</description><defaultValue>{}</defaultValue>
  </hudson.model.StringParameterDefinition>
  <hudson.model.StringParameterDefinition>
    <name>EMPTY</name><description/><defaultValue/>
  </hudson.model.StringParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties>"""
CONFIG = f"""<?xml version="1.0" encoding="UTF-8"?>
<project>
  <description>Über &amp; &lt;all&gt;</description>
  <logRotator><daysToKeep>-1</daysToKeep><numToKeep>9</numToKeep>
    <artifactDaysToKeep>-1</artifactDaysToKeep><artifactNumToKeep>-1</artifactNumToKeep></logRotator>
  {PARAMETERS.format("")}
  <scm class="hudson.scm.NullSCM"/>
  <assignedNode>master</assignedNode>
  <disabled>false</disabled>
  <quietPeriod>0</quietPeriod>
  <triggers class="vector">
    <hudson.triggers.TimerTrigger><spec>0 3 1 1 *</spec></hudson.triggers.TimerTrigger>
  </triggers>
  <concurrentBuild>false</concurrentBuild>
  <builders>
    <hudson.tasks.Shell><command>echo "platform &lt;$PLATFORM&gt;" &amp;&amp; true
echo second</command></hudson.tasks.Shell>
    <hudson.tasks.Shell><command>exit 0</command></hudson.tasks.Shell>
  </builders>
  <publishers>
    <hudson.tasks.ArtifactArchiver><artifacts>*.log</artifacts><latestOnly>false</latestOnly></hudson.tasks.ArtifactArchiver>
  </publishers>
  <buildWrappers/>
</project>
"""
MINE = f"<project><description>The copy</description>{PARAMETERS.format('lucid')}<disabled>false</disabled></project>"


class Walk:
    """The steps, and what came of each."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.reach = {"url": url, "user": USER, "password": PASSWORD, "ca_path": None, "timeout": 60.0}

    def assert_job(self, name: str, config: str = CONFIG, *, write: bool = True, **more: Any) -> dict[str, Any]:
        options = {"state": "present", "base": None, "token": None, "drift": "mend", "name": name, "config": config}
        return build_job.act({**self.reach, **options, **more}, write=write)

    def trigger(self, name: str, *, write: bool = True, **more: Any) -> dict[str, Any]:
        return build_job_trigger.act(
            {**self.reach, "name": name, "parameters": {}, "token": TOKEN, **more}, write=write
        )

    def touch(self, name: str, *words: str) -> None:
        """Have the server itself write the job."""
        server = JobServer(self.url, user=USER, password=PASSWORD)
        for word in words:
            server._api.jenkins_request(requests.Request("POST", f"{self.url}/job/{name}/{word}"))

    def change(self, name: str, before: str, after: str) -> None:
        """Do what somebody does who changes a job on the server."""
        server = JobServer(self.url, user=USER, password=PASSWORD)
        config = server.read_config(name)
        assert config is not None
        assert before in config
        server.update_job(name, config.replace(before, after))

    def run(self) -> dict[str, Any]:
        """All steps, by name."""
        seen: dict[str, Any] = {}
        copy: dict[str, Any] = {"base": BASE, "token": TOKEN}
        seen["wrong password"] = self.refuse(lambda: self.assert_job(BASE, password=WRONG))
        seen["base absent"] = self.refuse(lambda: self.assert_job(COPY, MINE, **copy))
        seen["check of what is absent"] = self.assert_job(BASE, write=False)
        for word in ("made", "again"):
            seen[f"base {word}"] = self.assert_job(BASE)
            seen[f"copy {word}"] = self.assert_job(COPY, MINE, **copy)
        for name in (BASE, COPY):
            self.touch(name, "disable", "enable")
        seen["base written by the server"] = self.assert_job(BASE)
        seen["copy written by the server"] = self.assert_job(COPY, MINE, **copy)
        newer = CONFIG.replace("exit 0", "exit 0 # newer").replace("Über", "Newer")
        seen["base changed, in check mode"] = self.assert_job(BASE, newer, write=False)
        seen["base changed, left alone"] = self.refuse(lambda: self.assert_job(BASE, newer, drift="fail"))
        seen["base changed"] = self.assert_job(BASE, newer)
        seen["copy of the changed base"] = self.assert_job(COPY, MINE, **copy)
        for name in (BASE, COPY):
            self.touch(name, "disable", "enable")
        seen["base changed, written by the server"] = self.assert_job(BASE, newer)
        seen["copy changed, written by the server"] = self.assert_job(COPY, MINE, **copy)
        self.change(COPY, "<defaultValue>lucid</defaultValue>", "<defaultValue>karmic</defaultValue>")
        seen["drifted, in check mode"] = self.assert_job(COPY, MINE, write=False, **copy)
        seen["drifted"] = self.assert_job(COPY, MINE, **copy)
        seen["mended"] = self.assert_job(COPY, MINE, **copy)
        seen["other token"] = self.assert_job(COPY, MINE, base=BASE, token=OTHER)
        seen["token again"] = self.assert_job(COPY, MINE, **copy)
        seen["trigger in check mode"] = self.trigger(COPY, user="", write=False)
        seen["trigger"] = self.trigger(COPY, user="", parameters={"PLATFORM": "a b&c=<d>;ü"})
        seen["trigger with defaults"] = self.trigger(COPY, user="")
        seen["no such parameter"] = self.refuse(lambda: self.trigger(COPY, user="", parameters={"PLATFROM": "x"}))
        seen["wrong token"] = self.refuse(lambda: self.trigger(COPY, user="", token=WRONG))
        self.touch(COPY, "disable")
        seen["disabled"] = self.refuse(lambda: self.trigger(COPY))
        seen["no such job"] = self.refuse(lambda: self.trigger("nowhere"))
        seen["other kind"] = self.refuse(lambda: self.assert_job(BASE, "<matrix-project/>"))
        seen["unknown kind"] = self.refuse(lambda: self.assert_job("odd", "<nonsense/>"))
        gone: dict[str, Any] = {"state": "absent", "config": None}
        seen["removed, in check mode"] = self.assert_job(COPY, write=False, **gone)
        seen["removed"] = self.assert_job(COPY, **gone)
        seen["removed again"] = self.assert_job(COPY, **gone)
        return seen

    def refuse(self, act: Any) -> str:
        try:
            return f"not refused: {act()}"
        except SlipwayError as error:
            return str(error).replace(self.url, "URL")


def describe_login(value: str | None) -> str:
    """Who asks, without the password."""
    if not value:
        return "nobody"
    user, _, password = base64.b64decode(value.removeprefix("Basic ")).decode("utf-8").partition(":")
    return f"{user}, {'right' if password == PASSWORD else 'wrong'} password"


@contextmanager
def recorded(url: str) -> Iterator[list[dict[str, Any]]]:
    """Record what is asked and answered in the block, with the word {url} for the server's address."""
    kept: list[dict[str, Any]] = []
    original = Service.exchange

    def exchange(self: Service, method: str, path: str, **words: Any) -> Exchange:
        done = original(self, method, path, **words)
        headers, body = words["headers"], words["body"] or b""
        asked = {
            "method": method,
            "path": path,
            "login": describe_login(headers.get("Authorization")),
            "crumb": headers.get(".crumb"),
            "type": headers.get("Content-Type"),
            "body": body.decode("utf-8"),
        }
        answer = {
            "status": done.response.status,
            "reason": done.response.reason,
            "headers": {
                name: value.replace(url, "{url}")
                for name, value in done.response.headers.items()
                if name not in ("Transfer-Encoding", "Content-Length", "Date", "Connection")
            },
            "body": done.body.decode("utf-8").replace(url, "{url}"),
        }
        kept.append({"asked": asked, "answered": answer})
        return done

    Service.exchange = exchange  # type: ignore[method-assign,assignment]
    try:
        yield kept
    finally:
        Service.exchange = original  # type: ignore[method-assign]


def write_recording(kept: list[dict[str, Any]], home: Path) -> None:
    """Keep what was recorded on a server with this home."""
    made = {"server": f"org.eclipse.hudson:hudson-war:{VERSION}", "exchanges": kept}
    text = json.dumps(made, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    RECORDING.parent.mkdir(parents=True, exist_ok=True)
    RECORDING.write_text(text.replace(str(home), "/srv/hudson"), encoding="utf-8")
