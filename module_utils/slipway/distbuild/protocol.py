# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests to a Morph distbuild network, and its controller's answers, which are text for people.

A controller's own ids, ``InitiatorConnection-N``, begin again at 1 whenever it restarts, so an id alone
names nobody's build for certain: a :class:`Handle` keeps beside it what was asked and from where.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import SlipwayError, refuse
from .wire import PROTOCOL_VERSION, encode_message

DEFAULT_PORT = 7878
#: How the controller says that an id is not, or no longer, one of its builds.
NO_SUCH_BUILD = "Given build-request ID does not match any"
CANCELLING = re.compile(r"Cancelling build request with ID (\S+)")
COUNT = re.compile(r"\s*([0-9]+) distbuild requests?")
#: What a status text begins with, and how that state is called here.
STATES = (
    ("Computing build graph", "graphing"),
    ("Waiting for a worker", "waiting"),
    ("Building ", "building"),
    ("Failed", "failed"),
    ("Finished", "finished"),
    ("Cancelled", "cancelled"),
)


@dataclass(frozen=True)
class Controller:
    """Where a network's controller listens for initiators."""

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        """Name it as people write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Request:
    """What is to be built: a system of a repository's ref, or some components of it by their source names."""

    repo: str
    ref: str
    morphology: str
    original_ref: str
    components: tuple[str, ...] = ()

    @classmethod
    def create(
        cls, *, repo: str, ref: str, morphology: str, original_ref: str | None = None, components: Iterable[str] = ()
    ) -> Request:
        """The request, if no field of it can harm a network.

        The controller's helper hands the fields to a program as arguments and dies of what is no plain
        text; the request then goes back into its queue and ends every later helper too.
        """
        request = cls(repo, ref, morphology, original_ref or ref, tuple(components))
        faults = [fault for name, value in request._list_texts() if (fault := _find_fault(name, value)) is not None]
        if len(set(request.components)) < len(request.components):
            faults.append("components names the same component twice")
        refuse(
            "submit",
            morphology or "a morphology without a name",
            faults,
            summary="the request would not be safe for a network",
            do_next="Correct the values and run again; nothing was sent.",
        )
        return request

    def encode_line(self, own_id: str, *, detach: bool) -> bytes:
        """The build-request on the wire, with every field that a real controller cannot do without."""
        return encode_message(
            {
                "type": "build-request",
                "id": own_id,
                "protocol_version": PROTOCOL_VERSION,
                "partial": bool(self.components),
                **self.describe(detach=detach),
            }
        )

    def describe(self, *, detach: bool) -> dict[str, Any]:
        """What is asked for, by the names that the network has for it."""
        return {
            "repo": self.repo,
            "ref": self.ref,
            "original_ref": self.original_ref,
            "morphology": self.morphology,
            "component_names": list(self.components),
            "allow_detach": detach,
        }

    def _list_texts(self) -> list[tuple[str, str]]:
        fields = [(name, getattr(self, name)) for name in ("repo", "ref", "original_ref", "morphology")]
        return fields + [("a component", name) for name in self.components]

    def __str__(self) -> str:
        """Name what is built."""
        some = f" ({', '.join(self.components)} only)" if self.components else ""
        return f"{self.morphology}{some} at {self.ref} of {self.repo}"


@dataclass(frozen=True)
class RunningBuild:
    """One running build, from the answer to list-requests."""

    id: str
    initiator: str
    repo: str
    ref: str
    morphology: str


@dataclass(frozen=True)
class BuildStatus:
    """One recent build, from the answer to build-status; ``state`` is a word of ``STATES``, ``detail`` the text."""

    id: str
    morphology: str
    state: str
    detail: str


@dataclass(frozen=True)
class Handle:
    """A submitted build: the controller, its id for the build, and how to tell that the id is still this build.

    ``initiator`` is the address that the controller saw (``host:port``), empty if it was not asked for.
    """

    controller: Controller
    id: str
    repo: str
    ref: str
    morphology: str
    initiator: str = ""

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Handle:
        """The handle that :meth:`as_dict` made."""
        own = {name: str(value.get(name) or "") for name in ("id", "repo", "ref", "morphology", "initiator")}
        missing = [name for name in ("controller", "id", "repo", "ref", "morphology") if not value.get(name)]
        if missing or not str(value.get("port") or DEFAULT_PORT).isdecimal():
            raise SlipwayError(
                "use the handle",
                repr(dict(value)),
                f"it has no {', '.join(missing) or 'port number'}",
                do_next="Give the handle as distbuild_submit returned it.",
            )
        return cls(Controller(str(value["controller"]), int(value.get("port") or DEFAULT_PORT)), **own)

    def as_dict(self) -> dict[str, Any]:
        """A flat mapping, for a module's result."""
        return {**asdict(self), "controller": self.controller.host, "port": self.controller.port}

    def is_same(self, listed: RunningBuild) -> bool:
        """Whether a running build is this one."""
        mine = (self.id, self.repo, self.ref, self.morphology)
        theirs = (listed.id, listed.repo, listed.ref, listed.morphology)
        return mine == theirs and (not self.initiator or self.initiator == listed.initiator)

    def __str__(self) -> str:
        """Name the build."""
        return f"{self.id} ({self.morphology} at {self.ref}) on the controller {self.controller}"


def format_question(kind: str, identifier: str) -> bytes:
    """The line of a build-status, build-cancel or list-requests."""
    return encode_message({"type": kind, "id": identifier, "protocol_version": PROTOCOL_VERSION})


def find_answered(text: str) -> tuple[str, str]:
    """The kind of question that an answer is to, which only its form tells, and the id whose cancel it confirms."""
    if COUNT.match(text):
        return "list-requests", ""
    if (cancelled := CANCELLING.match(text)) is not None:
        return "build-cancel", cancelled[1]
    return ("build-cancel" if text.startswith(f"{NO_SUCH_BUILD} running") else "build-status"), ""


def parse_list(text: str) -> list[RunningBuild]:
    """The builds in the answer to list-requests. Raises :class:`ValueError` if it is none."""
    count = COUNT.match(text)
    if count is None:
        raise ValueError(f"this is not a list of requests: {text[:200]!r}")
    found = [
        RunningBuild(
            id=fields["Build request ID"],
            initiator=fields.get("Initiator", ""),
            repo=fields.get("Repo", ""),
            ref=fields.get("Ref", ""),
            morphology=fields.get("Component", ""),
        )
        for fields in map(_read_fields, text.split("\n\n")[1:])
        if "Build request ID" in fields
    ]
    if len(found) != int(count[1]):
        raise ValueError(f"the list of requests says {count[1]} and names {len(found)}: {text[:200]!r}")
    return found


def parse_status(text: str) -> BuildStatus | None:
    """The build in the answer to build-status; ``None`` if the controller does not know it (any more).

    Raises :class:`ValueError` if it is not such a answer.
    """
    if NO_SUCH_BUILD in text:
        return None
    fields = _read_fields(text)
    detail = fields.get("Build status", "")
    state = next((word for beginning, word in STATES if detail.startswith(beginning)), None)
    if state is None or "Build request ID" not in fields:
        raise ValueError(f"this is not a status of a build: {text[:200]!r}")
    return BuildStatus(fields["Build request ID"], fields.get("System build", ""), state, detail)


def _read_fields(block: str) -> dict[str, str]:
    """The ``Name: value`` lines of a text."""
    pairs = (line.strip().partition(": ") for line in block.splitlines())
    return {name: value.strip() for name, found, value in pairs if found}


def _find_fault(name: str, value: str) -> str | None:
    if not isinstance(value, str):
        return f"{name} is {value!r}, which is not text"
    if not value.strip():
        return f"{name} is empty"
    if not (value.isascii() and value.isprintable()):
        return f"{name} is {value!r}: only printable ASCII is safe to send"
    if value.startswith("-"):
        return f"{name} is {value!r}: a leading hyphen would be taken for an option"
    if value != value.strip():
        return f"{name} is {value!r}: it begins or ends with a space"
    return None
