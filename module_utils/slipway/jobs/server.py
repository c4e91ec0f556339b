# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Hudson or a Jenkins, as python-jenkins speaks with it: within limits, and without its guesses at what went wrong.

The library knows addresses, crumbs and sessions. Its requests go through our own client, since its time limit bounds
one silence, and since it follows redirects to wherever the server believes that it is.
"""

from __future__ import annotations

import contextlib
import html
import io
import json
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..errors import SlipwayError
from ..http import FAILURES, MOVED, NoAnswerError, Service, explain_failure

try:
    import jenkins
    import requests
    import urllib3
    from requests.adapters import HTTPAdapter
except ImportError:  # a host that asks no such server
    jenkins = None
    HTTPAdapter = object  # type: ignore[assignment,misc]

#: What names of jobs are made of: nothing that has a meaning in addresses, in XML, for a shell or for a file system.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,199}")
#: What a token or the name of a parameter is made of.
TOKEN, PARAMETER = re.compile(r"[!-~]{1,200}"), re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
ABOUT = "mode,useCrumbs,useSecurity"
#: Where an error page says what happened, as Jetty, Hudson and Jenkins write theirs.
TOLD = (
    re.compile(r"Caused by:(?:\s|<[^>]*>)*([^\n<]+)"),
    re.compile(r"<h1[^>]*>[^<]*</h1>\s*<p[^>]*>([^<]+)", re.IGNORECASE),
    re.compile(r"<title[^>]*>([^<]+)", re.IGNORECASE),
)


def check_name(name: str, *, attempt: str = "assert the job") -> str:
    """Refuse what cannot be the name of a job everywhere."""
    if NAME.fullmatch(name) is None:
        do_next = "Names are made of letters, digits and . _ + ~ -, and begin with a letter or a digit."
        raise SlipwayError(attempt, repr(name), "it is no name of a job", do_next=do_next)
    return name


def check_token(token: str, name: str) -> str:
    """Refuse what cannot be a token, without telling it."""
    if TOKEN.fullmatch(token) is None:
        do_next = "Tokens are made of up to 200 letters, digits and signs, without blanks."
        raise SlipwayError("use the token of", name, "it is no token of a job", do_next=do_next)
    return token


class JobServer:
    """A Hudson or a Jenkins at ``url``; every exchange with it has a limit of ``timeout`` seconds."""

    def __init__(
        self, url: str, *, user: str = "", password: str = "", ca_path: str | None = None, timeout: float = 60.0
    ) -> None:
        if jenkins is None:
            do_next = "Install it: pip install python-jenkins, or Debian's python3-jenkins."
            raise SlipwayError("speak with", url, "Python's python-jenkins is not installed", do_next=do_next)
        trust = ssl.create_default_context(cafile=ca_path) if ca_path else None
        self._service = Service(url, trust=trust)
        self.url, self.user = self._service.url, user
        # The library would send these headers along, and log them.
        os.environ.pop("JENKINS_API_EXTRA_HEADERS", None)
        self._api: Any = jenkins.Jenkins(self.url, user or None, password if user else None)
        session = self._api._session
        session.trust_env = False  # else it reads passwords and proxies from the surroundings
        session.headers["Accept-Encoding"] = "identity"
        session.headers["User-Agent"] = "slipway"
        for scheme in ("http", "https", "http://", "https://"):
            session.mount(scheme, _Exchanges(self, self._service, timeout))
        self.attempt = "speak with"
        #: Whether it is a Hudson, which keeps most of a job in a map of properties.
        self.folds = False

    def connect(self) -> None:
        """Make sure that this is a Hudson or a Jenkins, and that it takes the credentials."""
        with self._attempting("find Hudson or Jenkins at"):
            request = requests.Request("GET", f"{self.url}/api/json?tree={ABOUT}")
            answer = self._api.jenkins_request(request, add_crumb=False)
            about = json.loads(answer.text)
        self.folds = "X-Jenkins" not in answer.headers
        if not isinstance(about, dict) or "useCrumbs" not in about:
            raise self._make_stranger_error("its answer says nothing of jobs")
        if self.user and about.get("useSecurity"):
            # Hudson takes whoever gives a wrong password for somebody without a name, who may read.
            with self._attempting(f"log in as {self.user} at"):
                self._read("me/api/json?tree=id")

    def read_config(self, name: str) -> str | None:
        """What a job is made of; ``None`` if there is none of this name."""
        with self._attempting(f"read the job {check_name(name)} of"):
            try:
                return str(self._api.get_job_config(name))
            except jenkins.NotFoundException:
                return None

    def create_job(self, name: str, config: str) -> None:
        """Make a job that is not there."""
        with self._attempting(f"create the job {check_name(name)} on"):
            self._api.create_job(name, config)

    def update_job(self, name: str, config: str) -> None:
        """Change what a job is made of."""
        with self._attempting(f"change the job {check_name(name)} on"):
            self._api.reconfig_job(name, config)

    def delete_job(self, name: str) -> None:
        """Remove a job, with all its builds."""
        with self._attempting(f"remove the job {check_name(name)} from"):
            self._api.delete_job(name)

    def start_job(self, name: str, parameters: Mapping[str, str], *, token: str = "", write: bool = True) -> str | None:
        """Start a job; return the address where it waits, or its own where the server does not say.

        Without ``write`` it is only looked whether that could be. Hudson would take the start of a disabled job, and
        parameters that it does not know, without a word. What is given goes in the body: addresses get into logs of
        servers and of proxies.
        """
        form = {**parameters, **({"token": check_token(token, name)} if token else {})}
        known = self._check_start(name, parameters)
        if not write:
            return None
        path = "buildWithParameters" if known else "build"
        with self._attempting(f"start the job {check_name(name, attempt='start the job')} on"):
            answer = self._api.jenkins_request(requests.Request("POST", f"{self.url}/job/{name}/{path}", data=form))
            where = str(answer.headers.get("Location", ""))
            if "/queue/item/" in where or f"/job/{name}" in where:
                return where
            raise SlipwayError(
                self.attempt,
                self.url,
                f"it answers {answer.status_code} {answer.reason}" + (f" and sends us to {where}" if where else ""),
                do_next="Look at the job's page whether it was started, and check that this is the server's address.",
            )

    def _check_start(self, name: str, parameters: Mapping[str, str]) -> set[str]:
        """The names of a job's parameters, if it can be started with these."""
        with self._attempting(f"start the job {check_name(name, attempt='start the job')} on"):
            job = self._read(f"job/{name}/api/json?tree=buildable,property[parameterDefinitions[name]]")
            rows = [row for one in job.get("property") or () for row in (one or {}).get("parameterDefinitions") or ()]
            known = {str(row["name"]) for row in rows}
        if job.get("buildable") is False:
            do_next = "Enable it on the server, or assert it with the element disabled being false."
            raise self._make_error("it is disabled", do_next)
        unknown = sorted(set(parameters) - known)
        if unknown:
            do_next = (
                f"It has {', '.join(sorted(known)) or 'none'}: correct the names, or assert the job as it shall be."
            )
            raise self._make_error(f"it has no parameter {', '.join(unknown)}", do_next)
        return known

    def _read(self, path: str) -> dict[str, Any]:
        """The JSON object at ``path``."""
        found = json.loads(self._api.jenkins_open(requests.Request("GET", f"{self.url}/{path}")))
        return found if isinstance(found, dict) else {}

    @contextlib.contextmanager
    def _attempting(self, attempt: str) -> Iterator[None]:
        """Name what is attempted in whatever goes wrong inside."""
        self.attempt = attempt
        try:
            yield
        except jenkins.NotFoundException as error:
            raise self._make_error("it answers that there is no such thing (404)", MISSING) from error
        except (ValueError, KeyError) as error:
            raise self._make_stranger_error("its answer is not what Hudson and Jenkins write") from error
        except (jenkins.JenkinsException, requests.RequestException) as error:
            raise self._make_error(str(error), "Run again; if it stays so, see the server's log.") from error

    def _make_error(self, came_back: str, do_next: str) -> SlipwayError:
        return SlipwayError(self.attempt, self.url, came_back, do_next=do_next)

    def _make_stranger_error(self, came_back: str) -> SlipwayError:
        return self._make_error(f"it is neither Hudson nor Jenkins, {came_back}", "Give the address of its front page.")

    def explain_status(self, status: int, reason: str, body: bytes) -> SlipwayError:
        """The failure for an answer that is none."""
        told = summarise_page(body)
        came_back = f"it answers {status} {reason}" + (f": {told}" if told else "")
        if status in (401, 403):
            if "crumb" in told.lower():
                return self._make_error(came_back, "A proxy before the server may take the crumb's header away.")
            if self.user:
                return self._make_error(
                    f"it refuses this to {self.user} ({status})", "Correct the password, the token or the rights."
                )
            return self._make_error(
                f"it refuses this to whoever does not log in ({status})",
                "Give a user and its password, or the token that the job has.",
            )
        return self._make_error(came_back, "See the server's log, and that all plugins are there which the job needs.")


MISSING = "Check the name of the job, and the address of the server."


def summarise_page(body: bytes) -> str:
    """What an error page says in one line."""
    text = body[: 1 << 20].decode("utf-8", "replace")
    if "<html" in text.lower():
        found = next((match[1] for pattern in TOLD if (match := pattern.search(text))), "")
        text = html.unescape(found)
    return " ".join(text.split())[:200]


class _Exchanges(HTTPAdapter):
    """Does what the library asks for through a service's client, and tells failures as what they are."""

    def __init__(self, server: JobServer, service: Service, timeout: float) -> None:
        super().__init__()
        self._server, self._service, self._timeout = server, service, timeout
        self._base = urlsplit(service.url).path

    def send(self, request: requests.PreparedRequest, *_unused: Any, **_other: Any) -> requests.Response:
        body = request.body.encode("utf-8") if isinstance(request.body, str) else request.body
        method, path = str(request.method), request.path_url.removeprefix(self._base)
        if body is not None and not isinstance(body, bytes):
            raise AssertionError("a body is one piece")
        try:
            done = self._service.exchange(
                method,
                path,
                body=body,
                headers={name: str(value) for name, value in request.headers.items()},
                timeout=self._timeout,
            )
        except FAILURES as error:
            do_next = "Check that the service runs and can be reached from here."
            if method != "GET":
                do_next += " It may have done what it was asked: run again, and it is looked at."
            raise NoAnswerError(
                self._server.attempt, self._server.url, explain_failure(error), do_next=do_next
            ) from error
        return self._accept(request, done.response, done.body)

    def _accept(self, request: requests.PreparedRequest, response: Any, body: bytes) -> requests.Response:
        status = response.status
        if status in MOVED:
            where = str(response.headers.get("Location", ""))
            if request.method == "GET" or "login" in where.lower():
                raise self._server._make_error(
                    f"it sends us to {where or 'nowhere'}", "Give the address that the server has now, and a user."
                )
            status = 200  # what was asked for is done; the page to show next is of no use here
        elif status >= 400 and status != 404:
            raise self._server.explain_status(status, response.reason, body)
        raw = urllib3.HTTPResponse(
            body=io.BytesIO(body),
            headers=dict(response.headers.items()),
            status=status,
            reason=response.reason,
            preload_content=False,
            original_response=response,
        )
        made = self.build_response(request, raw)
        # Neither server names the encoding of a job; both write UTF-8.
        made.encoding = "utf-8"
        return made
