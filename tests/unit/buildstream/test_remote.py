"""What an inventory says of a farm, and BuildStream's configuration for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.slipway.release.plugins.filter.farm_settings import farm_settings
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.cache import builds_remotely
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.remote import read_farm
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.servers import Server, read_servers

ROOT = Path(__file__).resolve().parents[3]
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n"
TOKEN = "eyJhbGciOi.JIUzI1NiJ9.c2VjcmV0"  # noqa: S105
FARM: dict[str, Any] = {
    "execution": "https://farm.example.org:50051",
    "artifacts": {"url": "https://cache.example.org:11002", "instance": "releases", "token_file": "/etc/cache-token"},
    "instance": "main",
    "server_cert": CERTIFICATE,
    "token": TOKEN + "\n",
}


def test_what_stands_beside_the_services_holds_for_each_that_has_no_other() -> None:
    settings = farm_settings(FARM, "/etc/slipway/farm", push=True, build=True)
    trusted = {"server-cert": "/etc/slipway/farm/server_cert"}
    farm = {
        "url": "https://farm.example.org:50051",
        "instance-name": "main",
        "auth": {**trusted, "access-token": "/etc/slipway/farm/token"},
    }
    assert settings == {
        "faults": [],
        "configuration": {
            "remote-execution": {
                "execution-service": farm,
                "storage-service": farm,
                "action-cache-service": farm,
            },
            "artifacts": {
                "servers": [
                    {
                        "url": "https://cache.example.org:11002",
                        "instance-name": "releases",
                        "auth": {**trusted, "access-token": "/etc/cache-token"},
                        "push": True,
                    }
                ]
            },
        },
        "files": [
            {"path": "/etc/slipway/farm/server_cert", "content": CERTIFICATE},
            {"path": "/etc/slipway/farm/token", "content": TOKEN},
        ],
        "present": [{"path": "/etc/cache-token", "secret": True}],
    }
    assert TOKEN not in str(settings["configuration"])


def test_a_host_that_does_not_build_there_only_pulls() -> None:
    configuration = farm_settings(FARM, "/etc/slipway/farm")["configuration"]
    assert configuration.keys() == {"artifacts"}
    assert [server["push"] for server in configuration["artifacts"]["servers"]] == [False]


def test_an_index_has_its_files_in_the_storage() -> None:
    given = {"execution": "http://farm:1", "storage": "http://store:2", "index": "http://index:3", "action_cache": ""}
    settings = farm_settings({**given, "sources": "http://sources:4"}, "/d", push=True, build=True)
    assert settings["configuration"] == {
        "remote-execution": {
            "execution-service": {"url": "http://farm:1"},
            "storage-service": {"url": "http://store:2"},
        },
        "artifacts": {
            "servers": [
                {"url": "http://index:3", "type": "index", "push": True},
                {"url": "http://store:2", "type": "storage", "push": True},
            ]
        },
        "source-caches": {"servers": [{"url": "http://sources:4", "push": True}]},
    }


def test_a_service_may_have_credentials_of_its_own() -> None:
    own = {"url": "https://cache:1", "token": "other", "token_reload_minutes": 5}
    farm, faults = read_farm({"artifacts": own, "token": TOKEN, "client_cert": CERTIFICATE, "client_key": KEY}, "/d")
    assert faults == []
    assert farm.texts == {"/d/artifacts-token": "other", "/d/client_cert": CERTIFICATE, "/d/client_key": KEY}
    assert farm.services["artifacts"].describe()["auth"] == {
        "access-token": "/d/artifacts-token",
        "access-token-reload-interval": 5,
        "client-cert": "/d/client_cert",
        "client-key": "/d/client_key",
    }


def test_certificates_for_all_are_not_for_a_service_without_tls() -> None:
    farm, faults = read_farm({"artifacts": "https://a:1", "sources": "http://s:2", "server_cert": CERTIFICATE}, "/d")
    assert faults == []
    assert [farm.services[name].files for name in ("artifacts", "sources")] == [{"server_cert": "/d/server_cert"}, {}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("https://farm:1", "it is not a mapping"),
        ({"instance": "main"}, "it names neither where to build, execution, nor where to keep what is built"),
        ({"exekution": "http://farm:1"}, "it has exekution, but may have only execution, storage,"),
        ({"execution": "farm:1"}, "the address of execution is not of the form https://HOST:PORT"),
        ({"execution": "https://user:secret@farm:1"}, "the address of execution is not of the form"),
        ({"execution": "http://farm:1/path"}, "the address of execution is not of the form"),
        ({"execution": ["http://farm:1"]}, "execution is neither an address nor a mapping"),
        ({"execution": {"address": "http://farm:1"}}, "execution has address, but may have only url,"),
        ({"execution": "http://farm:1", "instance": "a b"}, "the instance of execution is not a name"),
        ({"execution": "https://farm:1", "token": "two secrets"}, "token of execution is not one word without spaces"),
        ({"execution": "https://farm:1", "token": "secret", "token_file": "/t"}, "both token and token_file are given"),
        ({"execution": "https://farm:1", "token_file": "secret"}, "token_file of execution is not an absolute path"),
        (
            {"execution": "http://farm:1", "token": "secret"},
            "address of execution is http, which protects no token",
        ),
        (
            {"execution": "https://farm:1", "server_cert": "/etc/ca"},
            "server_cert of execution is not certificates",
        ),
        ({"execution": "https://farm:1", "client_key": KEY}, "only one of client_cert and client_key is given"),
        (
            {"execution": "https://farm:1", "client_key": "secret"},
            "client_key of execution is not a private key",
        ),
        ({"execution": "https://farm:1", "token_reload_minutes": "soon"}, "is not a number of minutes"),
        ({"execution": "http://f:1", "artifacts": "http://a:1", "index": "http://i:1"}, "both artifacts, .* and index"),
        ({"execution": "http://f:1", "storage": ""}, "storage is missing"),
        ({"index": "http://i:1"}, "storage is missing"),
        ({"artifacts": "http://a:1", "storage": "http://s:1"}, "storage is given without execution or index"),
        ({"artifacts": "http://a:1", "action_cache": "http://s:1"}, "action_cache is given without execution"),
    ],
)
def test_what_cannot_be_used_is_named_without_its_secrets(given: Any, said: str) -> None:
    settings = farm_settings(given, "/d")
    assert settings["configuration"] == {}
    text = "; ".join(settings["faults"])
    assert re.search(said, text)
    assert "secret" not in text
    assert "c2VjcmV0" not in text


def render(role: str, farm: dict[str, Any], **variables: Any) -> str:
    """The configuration that a role writes; variables of the role that are not given are its own."""
    builds = role == "build_host"
    settings = farm_settings(farm, "/etc/farm", push=builds, build=builds)
    known: dict[str, Any] = {}
    for part in ("defaults/main.yml", "vars/main.yml"):
        known |= yaml.safe_load((ROOT / "roles" / role / part).read_text()) or {}
    trusted = {name: trust_as_template(value) if isinstance(value, str) else value for name, value in known.items()}
    templar = Templar(
        DataLoader(),
        {**trusted, "inventory_hostname": "host", "groups": {}, f"_{role}_farm_settings": settings, **variables},
    )
    text = (ROOT / "roles" / role / "templates/buildstream.conf.j2").read_text()
    return str(templar.template(trust_as_template(text)))


@pytest.mark.parametrize("role", ["build_host", "coordinator"])
def test_the_roles_write_it_into_their_configuration(role: str, tmp_path: Path) -> None:
    variables = {f"{role}_buildstream_conf": "/etc/bst.conf", f"{role}_artifact_server": "http://old:1"}
    written = render(role, FARM, **variables)
    conf = tmp_path / "bst.conf"
    conf.write_text(written)
    read = yaml.safe_load(written)
    builds = role == "build_host"
    assert [server["push"] for server in read["artifacts"]["servers"]] == [builds, builds]
    assert builds_remotely(conf) is builds
    cache = Server(
        "https://cache.example.org:11002",
        server_cert=Path("/etc/farm/server_cert"),
        access_token=Path("/etc/cache-token"),
        instance="releases",
    )
    assert read_servers(conf, "any") == ([Server("http://old:1"), cache] if builds else [])
    assert TOKEN not in written

    conf.write_text(without := render(role, {}, **variables))
    assert "remote-execution" not in yaml.safe_load(without)
    assert read_servers(conf, "any") == ([Server("http://old:1")] if builds else [])


def test_the_servers_of_a_project_and_halves_of_a_server_are_read(tmp_path: Path) -> None:
    conf = tmp_path / "bst.conf"
    conf.write_text(
        """\
artifacts:
  servers:
  - {url: "http://index", type: index, push: True}
  - {url: "http://store", type: storage, push: true}
  - {url: "http://read"}
projects:
  mini: {artifacts: {servers: [{url: "http://mini", push: yes}]}}
  other: {artifacts: {servers: [{url: "http://other", push: true}]}}
"""
    )
    files = Server("http://store")
    assert read_servers(conf, "mini") == [Server("http://mini"), Server("http://index", files=files)]
