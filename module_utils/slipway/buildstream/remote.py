# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A site's remote execution farm: what is said of it, checked, and as BuildStream's configuration has it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: The services of a farm. A farm has one that executes, or a cache, or both.
SERVICES = ("execution", "storage", "action_cache", "artifacts", "index", "sources")
#: What proves who asks whom, and what in a text shows that it is that; each is a text or, with ``_file``, a path.
CREDENTIALS = {
    "server_cert": re.compile(r"-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----\s*"),
    "client_cert": re.compile(r"-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----\s*"),
    "client_key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+-----END [A-Z ]*PRIVATE KEY-----\s*"),
    "token": re.compile(r"[\x21-\x7e]+\s*"),
}
FORMS = {
    "server_cert": "certificates in PEM, such as -----BEGIN CERTIFICATE-----",
    "client_cert": "a certificate in PEM, such as -----BEGIN CERTIFICATE-----",
    "client_key": "a private key in PEM, such as -----BEGIN PRIVATE KEY-----",
    "token": "one word without spaces",
}
#: What BuildStream calls them.
WORDS = {"token": "access-token", **{name: name.replace("_", "-") for name in CREDENTIALS if name != "token"}}
ACCESS = ("instance", *CREDENTIALS, *(f"{name}_file" for name in CREDENTIALS), "token_reload_minutes")
#: Neither a path nor a password has a place in the address of a service.
URL = re.compile(r"(?P<scheme>https?)://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/?")
INSTANCE = re.compile(r"[A-Za-z0-9._/-]*")
FILE = re.compile(r"/[^\x00-\x1f]*")


@dataclass(frozen=True)
class Service:
    """Where one service is, and by which files it is reached."""

    url: str
    instance: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    reload_minutes: int = 0

    def describe(self) -> dict[str, Any]:
        """The service as BuildStream's configuration has it."""
        described: dict[str, Any] = {"url": self.url}
        if self.instance:
            described["instance-name"] = self.instance
        auth: dict[str, Any] = {WORDS[name]: path for name, path in self.files.items()}
        if self.reload_minutes and "token" in self.files:
            auth["access-token-reload-interval"] = self.reload_minutes
        return {**described, "auth": auth} if auth else described


@dataclass(frozen=True)
class Farm:
    """A farm's services by name, and the texts to write, by path."""

    services: Mapping[str, Service]
    texts: Mapping[str, str] = field(default_factory=dict)


def read_farm(given: Any, directory: str) -> tuple[Farm, list[str]]:
    """What an inventory says of a farm, and a sentence for each fault of it; none of them tells a secret.

    Certificates, keys and tokens that are given as texts are to be written to files in ``directory``. What stands
    beside the services holds for each of them that does not say otherwise.
    """
    faults: list[str] = []
    services: dict[str, Service] = {}
    texts: dict[str, str] = {}
    if not isinstance(given, Mapping):
        faults.append("it is not a mapping of services to addresses")
        given = {}
    faults += _find_unknown("it", given, (*SERVICES, *ACCESS))
    common = {name: given[name] for name in ACCESS if name in given}
    for name in SERVICES:
        stated = given.get(name)
        if not stated:
            continue
        own = {"url": stated} if isinstance(stated, str) else stated
        if not isinstance(own, Mapping):
            faults.append(f"{name} is neither an address nor a mapping with its url")
            continue
        faults += _find_unknown(name, own, ("url", *ACCESS))
        services[name] = _read_service(name, _override(common, own), directory, texts=texts, faults=faults)
    if not services.keys() & {"execution", "artifacts", "index"}:
        faults.append("it names neither where to build, execution, nor where to keep what is built, artifacts or index")
    if "execution" in services:
        for name in ("storage", "action_cache"):
            if name not in given:
                services[name] = services["execution"]
    elif "storage" in services and "index" not in services:
        faults.append("storage is given without execution or index, which alone would use it")
    if "index" in services and "artifacts" in services:
        faults.append(
            "both artifacts, a server of an index and files, and index, whose files are in storage, are given"
        )
    if ("execution" in services or "index" in services) and "storage" not in services:
        faults.append("storage is missing, where the files are")
    if "action_cache" in services and "execution" not in services:
        faults.append("action_cache is given without execution")
    return Farm(services, texts), list(dict.fromkeys(faults))


def configure_farm(farm: Farm, *, push: bool, build: bool) -> dict[str, Any]:
    """BuildStream's configuration for a host that takes from the farm, and perhaps pushes to it and builds on it."""
    services = {name: service.describe() for name, service in farm.services.items()}
    configuration: dict[str, Any] = {}
    if build and "execution" in services:
        words = {"execution": "execution-service", "storage": "storage-service", "action_cache": "action-cache-service"}
        configuration["remote-execution"] = {word: services[name] for name, word in words.items() if name in services}
    if "artifacts" in services:
        configuration["artifacts"] = {"servers": [{**services["artifacts"], "push": push}]}
    elif "index" in services:
        halves = [("index", "index"), ("storage", "storage")]
        configuration["artifacts"] = {
            "servers": [{**services[name], "type": kind, "push": push} for name, kind in halves]
        }
    if build and "sources" in services:
        configuration["source-caches"] = {"servers": [{**services["sources"], "push": push}]}
    return configuration


def _find_unknown(what: str, given: Mapping[str, Any], known: tuple[str, ...]) -> list[str]:
    unknown = sorted(str(name) for name in given if name not in known)
    return [f"{what} has {' and '.join(unknown)}, but may have only {', '.join(known)}"] if unknown else []


def _override(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What holds for a service: a text of its own takes the place of a file for all, and the other way round."""
    others = {name: f"{name}_file" for name in CREDENTIALS}
    others |= {file: name for name, file in others.items()}
    kept = {name: value for name, value in common.items() if name not in own and others.get(name) not in own}
    return {**kept, **own, "": set(kept)}


def _read_service(
    name: str, stated: Mapping[str, Any], directory: str, *, texts: dict[str, str], faults: list[str]
) -> Service:
    url = stated.get("url")
    match = URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        faults.append(f"the address of {name} is not of the form https://HOST:PORT or http://HOST:PORT")
    instance = stated.get("instance") or ""
    if not isinstance(instance, str) or not INSTANCE.fullmatch(instance):
        faults.append(f"the instance of {name} is not a name of letters, digits and ._/-")
    files: dict[str, str] = {}
    plain = match is not None and match["scheme"] == "http"
    for credential, form in CREDENTIALS.items():
        if plain and credential != "token" and stated[""] & {credential, f"{credential}_file"}:
            continue  # the certificates are for the others, which speak TLS
        text, file = stated.get(credential) or "", stated.get(f"{credential}_file") or ""
        if text and file:
            faults.append(f"both {credential} and {credential}_file are given for {name}")
        elif file and not (isinstance(file, str) and FILE.fullmatch(file)):
            faults.append(f"{credential}_file of {name} is not an absolute path on the hosts")
        elif text and not (isinstance(text, str) and form.fullmatch(text)):
            faults.append(f"{credential} of {name} is not {FORMS[credential]}")
        elif file:
            files[credential] = file
        elif text:
            shared = credential in stated[""]
            path = posixpath.join(directory, credential if shared else f"{name}-{credential}")
            # A token is read with all that is in its file.
            texts[path] = text.strip() if credential == "token" else f"{text.strip()}\n"
            files[credential] = path
    if ("client_cert" in files) != ("client_key" in files):
        faults.append(f"only one of client_cert and client_key is given for {name}")
    if plain and files:
        faults.append(f"the address of {name} is http, which protects no {' and '.join(files)}: give one with https")
    minutes = stated.get("token_reload_minutes") or 0
    if isinstance(minutes, bool) or not re.fullmatch(r"[0-9]{1,6}", str(minutes)):
        faults.append(f"token_reload_minutes of {name} is not a number of minutes")
        minutes = 0
    return Service(str(url).rstrip("/"), str(instance), files, int(minutes))
