# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a release VM is told when it starts: cloud-init's NoCloud data, with the site's inventory and its secrets."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from ..errors import count_of, refuse
from ..files import read_regular
from ..yamltext import Node, NotPlainError, find_syntax_fault, read

#: The label of the file system with the data, as cloud-init's data source NoCloud wants it.
LABEL = "cidata"
META, USER = "meta-data", "user-data"
INVENTORY, SECRETS = "inventory", "secrets"
#: Groups of accounts: who may start a release, and who may do everything.
RELEASERS, ADMINISTRATORS = "releasers", "sudo"
KEY_TYPES = (
    *("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"),
    *("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"),
)
USER_KEYS = ("hostname", "users", "ssh_keys", "slipway")
PERSON_KEYS = ("name", "gecos", "groups", "ssh_authorized_keys", "shell", "lock_passwd")
HOST_KEYS = tuple(f"{kind}_{half}" for kind in ("ed25519", "ecdsa", "rsa") for half in ("private", "public"))
SITE_KEYS = (INVENTORY, SECRETS)
#: The secrets that there are, and how the text of each begins.
SECRET_FILES = {
    "signing-key.asc": "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    "ssh-key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "vault-password": "",
}
NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}\Z")
HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
#: Accounts of the image itself.
TAKEN = frozenset({"root", "slipway", "sshd", "nobody", "daemon", "bin", "sys", "mail", "www-data", "messagebus"})
MOST_FILES, MOST_BYTES = 1000, 16 << 20
DO_NEXT = "Correct the data (docs/release-vm.md), and start the machine again."


@dataclass(frozen=True)
class Person:
    """Somebody who may log in; of ``groups`` only those that give a right."""

    name: str
    keys: tuple[str, ...]
    groups: tuple[str, ...] = ()
    gecos: str = ""


@dataclass(frozen=True)
class Seed:
    """All that a machine is told. Files are by their path below the directory that they are in."""

    hostname: str
    people: tuple[Person, ...]
    host_keys: Mapping[str, str] = field(default_factory=dict)
    inventory: Mapping[str, bytes] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict)


def read_seed(directory: Path) -> Seed:
    """What is in the directory of a seed; every fault of it is in the error."""
    reader = _Reader(directory)
    seed = reader.read_seed()
    refuse("use the data in", str(directory), reader.faults, several="faults in it", do_next=DO_NEXT)
    return seed


def find_key_fault(line: str) -> str:
    """What is wrong with a line of authorized_keys, which is a type, a key and a comment; empty if nothing."""
    words = line.split()
    if not words:
        return "it is empty"
    if len(line.strip().splitlines()) > 1:
        return "it is more than one line"
    if words[0] not in KEY_TYPES:
        shown = words[0] if len(words[0]) <= 30 else f"{words[0][:27]}..."
        return f"it begins with {shown!r}, not with a type such as ssh-ed25519"
    try:
        data = base64.b64decode(words[1] if len(words) > 1 else "", validate=True)
        length = struct.unpack(">I", data[:4])[0]
    except (binascii.Error, struct.error):
        return "what follows its type is no key"
    if data[4 : 4 + length] != words[0].encode() or len(data) < length + 36:
        return f"what follows its type is no key of the type {words[0]}"
    return ""


class _Reader:
    """Collects what is wrong, so that it is told at once."""

    def __init__(self, directory: Path) -> None:
        self.faults: list[str] = []
        self._directory = directory

    def read_seed(self) -> Seed:
        user = self._read_mapping(USER, needed=True)
        unreadable = bool(self.faults)
        meta = self._read_mapping(META, needed=False)
        self._check_words(user, USER_KEYS, where=USER)
        site = self._mapping(user.get("slipway"), where=f"{USER}: slipway")
        self._check_words(site, SITE_KEYS, where=f"{USER}: slipway")
        named = user.get("hostname") or meta.get("local-hostname")
        seed = Seed(
            hostname=self._read_hostname(named),
            people=() if unreadable else tuple(self._read_people(user.get("users"))),
            host_keys=self._read_host_keys(user.get("ssh_keys")),
            inventory=self._read_files(INVENTORY, site),
            secrets=self._read_files(SECRETS, site),
        )
        self._check_inventory(seed.inventory)
        self._check_secrets(seed.secrets)
        return seed

    def _read_mapping(self, name: str, *, needed: bool) -> Mapping[str, Node]:
        try:
            data = read_regular(self._directory / name)
        except FileNotFoundError:
            if needed:
                self.faults.append(f"there is no file {name}")
            return {}
        except OSError as error:
            self.faults.append(f"{name}: {error.strerror}")
            return {}
        if name == USER and not data.startswith(b"#cloud-config"):
            self.faults.append(f"{name} does not begin with the line #cloud-config")
            return {}
        if not data.strip():
            return {}
        try:
            root, twice = read(data)
        except NotPlainError as error:
            self.faults.append(f"{name}: {error}")
            return {}
        self.faults += [f"{name}: {sentence}" for sentence in twice]
        return self._mapping(root, where=name)

    def _mapping(self, node: Node | None, *, where: str) -> Mapping[str, Node]:
        if node is None or node.value is None:
            return {}
        if node.mapping is None:
            self.faults.append(f"{where} is {node.kind}, not a mapping")
            return {}
        return node.mapping

    def _check_words(self, found: Iterable[str], known: Sequence[str], *, where: str) -> None:
        for word in found:
            if word not in known:
                near = get_close_matches(word, known, n=1)
                hint = f", perhaps {near[0]} is meant" if near else f"; known are {', '.join(known)}"
                self.faults.append(f"{where} has {word}, which a release VM does not know{hint}")

    def _text(self, node: Node | None, *, where: str) -> str:
        if node is None:
            return ""
        if node.text is None:
            self.faults.append(f"{where} is {node.kind}, not text")
            return ""
        return node.text

    def _read_hostname(self, node: Node | None) -> str:
        name = self._text(node, where="hostname") or "release-vm"
        if not HOSTNAME.match(name):
            self.faults.append(f"hostname is {name!r}; it has small letters, digits and dashes, and no dot")
        return name

    def _read_people(self, node: Node | None) -> Iterable[Person]:
        if node is not None and node.items is None:
            self.faults.append(f"{USER}: users is {node.kind}, not a list")
            return
        seen: set[str] = set()
        for number, entry in enumerate(node.items or [] if node is not None else [], 1):
            if entry.text == "default":
                continue  # of cloud-init's own, which there is none of
            person = self._read_person(self._mapping(entry, where=f"user {number}"), number=number)
            if person.name in seen:
                self.faults.append(f"the user {person.name} is there twice")
            seen.add(person.name)
            yield person
        if not seen:
            self.faults.append(f"{USER}: users has nobody, so that nobody could log in")

    def _read_person(self, entry: Mapping[str, Node], *, number: int) -> Person:
        name = self._text(entry.get("name"), where=f"the name of user {number}")
        who = f"user {name or number}"
        self._check_words(entry, PERSON_KEYS, where=who)
        if not NAME.match(name) or name in TAKEN:
            self.faults.append(f"{who}: {name!r} is no name for an account of a person")
        keys = self._read_texts(entry.get("ssh_authorized_keys"), where=f"the keys of {who}")
        if not keys:
            self.faults.append(f"{who} has no ssh_authorized_keys, and could not log in")
        for place, key in enumerate(keys, 1):
            if fault := find_key_fault(key):
                self.faults.append(f"key {place} of {who} is none: {fault}")
        groups = self._read_groups(entry.get("groups"), who=who)
        gecos = "".join(each for each in self._text(entry.get("gecos"), where=f"gecos of {who}") if each not in ":\n,")
        return Person(name, tuple(keys), tuple(groups), gecos)

    def _read_groups(self, node: Node | None, *, who: str) -> list[str]:
        if node is not None and node.text is not None:
            groups = [word.strip() for word in node.text.split(",")]
        else:
            groups = self._read_texts(node, where=f"the groups of {who}")
        for group in groups:
            if group not in (RELEASERS, ADMINISTRATORS):
                self.faults.append(f"{who} is in the group {group}; groups are {RELEASERS} and {ADMINISTRATORS}")
        return groups

    def _read_texts(self, node: Node | None, *, where: str) -> list[str]:
        if node is None or node.value is None:
            return []
        if node.items is None or any(each.text is None for each in node.items):
            self.faults.append(f"{where} are no list of texts")
            return []
        return [each.text for each in node.items if each.text is not None]

    def _read_host_keys(self, node: Node | None) -> dict[str, str]:
        given = self._mapping(node, where=f"{USER}: ssh_keys")
        self._check_words(given, HOST_KEYS, where=f"{USER}: ssh_keys")
        found = {name: self._text(value, where=f"ssh_keys: {name}") for name, value in given.items()}
        for name in found:
            kind, _unused, half = name.partition("_")
            if half == "private" and f"{kind}_public" not in found:
                self.faults.append(f"{USER}: ssh_keys has {name} without {kind}_public")
        return found

    def _read_files(self, name: str, site: Mapping[str, Node]) -> dict[str, bytes]:
        """The files in a directory of the seed, and those that user-data has as texts."""
        given = self._mapping(site.get(name), where=f"slipway: {name}")
        found = {path: self._text(node, where=f"slipway: {name}: {path}").encode() for path, node in given.items()}
        for path in found:
            if path.startswith("/") or ".." in path.split("/") or not path.isprintable() or path.endswith("/"):
                self.faults.append(f"slipway: {name}: {path!r} is no path below a directory")
        top = self._directory / name
        total = 0
        for each in sorted(top.rglob("*")):
            path = str(each.relative_to(top))
            if each.is_symlink() or not (each.is_file() or each.is_dir()):
                self.faults.append(f"{name}/{path} is neither a file nor a directory")
            elif each.is_file():
                total += each.stat().st_size
                if total > MOST_BYTES or len(found) >= MOST_FILES:
                    self.faults.append(f"{name} has more than {MOST_FILES} files or {MOST_BYTES >> 20} MiB")
                    break
                found[path] = read_regular(each)
        return found

    def _check_inventory(self, files: Mapping[str, bytes]) -> None:
        if not files:
            self.faults.append(f"there is no {INVENTORY}: neither a directory {INVENTORY}/ nor slipway: {INVENTORY}")
        for path, data in files.items():
            is_yaml = path.endswith((".yml", ".yaml")) and not data.startswith(b"$ANSIBLE_VAULT")
            if is_yaml and (fault := find_syntax_fault(data)):
                self.faults.append(f"{INVENTORY}/{path} is no YAML: {fault}")

    def _check_secrets(self, files: Mapping[str, bytes]) -> None:
        self._check_words(files, tuple(SECRET_FILES), where=SECRETS)
        for name, data in files.items():
            begins = SECRET_FILES.get(name, "")
            if not data.strip():
                self.faults.append(f"{SECRETS}/{name} is empty")
            elif not data.lstrip().startswith(begins.encode()):
                self.faults.append(f"{SECRETS}/{name} does not begin with {begins}")


def summarise_seed(seed: Seed) -> str:
    """Who may do what, in a line."""
    may = [f"{each.name} ({', '.join(each.groups) or 'looks'})" for each in seed.people]
    return f"{count_of(len(seed.inventory), 'file')} of inventory, {', '.join(may)}"
