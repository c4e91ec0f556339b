# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks an artifact server which artifacts it holds whole.

BuildStream's own questions end at the server's index, which goes on naming artifacts whose files are gone. So
this program asks for the files too, with BuildStream's own messages: it is run by the Python that runs ``bst``,
and imports nothing of Slipway. Its argument is a JSON file: ``names``, ``timeout`` (seconds for one answer), and
``index`` and ``files``, the servers of both, which may be the same. A server is its ``url`` and perhaps
``instance-name``, and ``server-cert``, ``client-cert``, ``client-key`` and ``access-token``, which are paths. It writes
JSON: ``missing``, by name what is missing, or ``error`` and the ``url`` of the server that gave it. With ``offer`` it
offers the server a megabyte, always the same, and writes ``refusal``: BuildStream tells of a file that was not taken
only the number of a status.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

URN = "urn:fdc:buildstream.build:2020:artifact:"
#: What one answer may bring: gRPC's own limit is 4 MiB.
BATCH_BYTES = 2 << 20
#: How many digests one question may hold; a digest takes about 70 bytes.
BATCH_DIGESTS = 10_000
NOT_FOUND = 5
OFFER_BYTES = 1 << 20


class ContentServer:
    """An artifact server: Remote Execution's content store with Remote Asset as its index."""

    def __init__(self, question: dict[str, Any]) -> None:
        grpc = importlib.import_module("grpc")
        index = "build.bazel.remote.asset.v1.remote_asset_pb2"
        store = "build.bazel.remote.execution.v2.remote_execution_pb2"
        stream = "google.bytestream.bytestream_pb2"
        self.asset, self.store, self.stream = _import_messages(index), _import_messages(store), _import_messages(stream)
        self.artifact = _import_messages("buildstream.v2.artifact_pb2").Artifact
        self.absent, self.failure = grpc.StatusCode.NOT_FOUND, grpc.RpcError
        self.timeout = float(question["timeout"])
        self.index_instance, self.instance = (question[name].get("instance-name", "") for name in ("index", "files"))
        #: Whom it speaks to at the moment.
        self.url = self.index_url = question["index"]["url"]
        self.files_url = question["files"]["url"]
        channel = _open_channel(grpc, question["index"])
        self.index = _import_messages(f"{index}_grpc").FetchStub(channel)
        if question["files"] != question["index"]:
            channel = _open_channel(grpc, question["files"])
        self.files = _import_messages(f"{store}_grpc").ContentAddressableStorageStub(channel)
        self.bytes = _import_messages(f"{stream}_grpc").ByteStreamStub(channel)

    def find_digest(self, name: str) -> Any | None:
        """The digest that the index gives for an artifact."""
        self.url = self.index_url
        request = self.asset.FetchBlobRequest(instance_name=self.index_instance, uris=[URN + name])
        try:
            answer = self.index.FetchBlob(request, timeout=self.timeout)
        except self.failure as error:
            if error.code() == self.absent:
                return None
            raise
        if answer.status.code == NOT_FOUND:
            return None
        if answer.status.code:
            raise ValueError(f"its index answers with status {answer.status.code}: {answer.status.message}")
        return answer.blob_digest

    def read(self, digests: list[Any]) -> Iterator[tuple[Any, bytes | None]]:
        """Each digest and its content, or ``None`` if the server has it no more."""
        self.url = self.files_url
        for batch in _split_batches(digests):
            if batch[0].size_bytes > BATCH_BYTES:
                yield batch[0], self._read_large(batch[0])
                continue
            request = self.store.BatchReadBlobsRequest(instance_name=self.instance, digests=batch)
            for each in self.files.BatchReadBlobs(request, timeout=self.timeout).responses:
                if each.status.code not in (0, NOT_FOUND):
                    raise ValueError(f"it cannot read {each.digest.hash}: {each.status.message}")
                yield each.digest, each.data if each.status.code == 0 else None

    def find_missing(self, digests: list[Any]) -> set[str]:
        """The hashes of what the server does not have."""
        found: set[str] = set()
        self.url = self.files_url
        for start in range(0, len(digests), BATCH_DIGESTS):
            batch = digests[start : start + BATCH_DIGESTS]
            request = self.store.FindMissingBlobsRequest(instance_name=self.instance, blob_digests=batch)
            answer = self.files.FindMissingBlobs(request, timeout=self.timeout)
            found.update(digest.hash for digest in answer.missing_blob_digests)
        return found

    def offer(self, content: bytes) -> str:
        """Why the server does not take ``content``; empty when it does."""
        digest = self.store.Digest(hash=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        self.url = self.files_url
        request = self.store.BatchUpdateBlobsRequest(instance_name=self.instance)
        request.requests.add(digest=digest, data=content)
        status = self.files.BatchUpdateBlobs(request, timeout=self.timeout).responses[0].status
        return f"status {status.code}: {status.message}" if status.code else ""

    def _read_large(self, digest: Any) -> bytes | None:
        name = "/".join(filter(None, (self.instance, f"blobs/{digest.hash}/{digest.size_bytes}")))
        request = self.stream.ReadRequest(resource_name=name)
        try:
            return b"".join(part.data for part in self.bytes.Read(request, timeout=self.timeout))
        except self.failure as error:
            if error.code() == self.absent:
                return None
            raise


def find_missing(server: ContentServer, names: list[str]) -> dict[str, str]:
    """What is missing of each artifact that the server does not hold whole."""
    found: dict[str, str] = {}
    digests = {name: server.find_digest(name) for name in names}
    contents: dict[str, bytes | None] = {}
    for digest, content in server.read(_deduplicate(digest for digest in digests.values() if digest is not None)):
        contents[digest.hash] = content
    roots: dict[str, list[Any]] = {}
    blobs: dict[str, list[Any]] = {}
    for name, digest in digests.items():
        if digest is None:
            found[name] = "it is not in the index"
        elif contents.get(digest.hash) is None:
            found[name] = "its description is gone"
        else:
            artifact = server.artifact.FromString(contents[digest.hash])
            roots[name] = [artifact.files] if artifact.HasField("files") else []
            stated = [artifact.public_data, artifact.low_diversity_meta, artifact.high_diversity_meta]
            blobs[name] = [each for each in (*stated, *(log.digest for log in artifact.logs)) if each.hash]
    below, gone = _read_trees(server, _deduplicate(root for each in roots.values() for root in each))
    for name, trees in roots.items():
        found_below = (directory for root in trees for directory in _collect_directories(root.hash, below))
        blobs[name] += [digest for directory in found_below for digest in below[directory][1]]
    gone |= server.find_missing(_deduplicate(digest for each in blobs.values() for digest in each))
    for name, trees in roots.items():
        directories = {hash_ for root in trees for hash_ in _collect_directories(root.hash, below)}
        lost = len(gone & (directories | {digest.hash for digest in blobs[name]}))
        if lost:
            found[name] = f"{lost} of its files are gone" if lost > 1 else "one of its files is gone"
    return found


def _read_trees(server: ContentServer, roots: list[Any]) -> tuple[dict[str, tuple[list[str], list[Any]]], set[str]]:
    """By hash the directories and the files of each directory from ``roots`` on; and the directories that are gone."""
    below: dict[str, tuple[list[str], list[Any]]] = {}
    gone: set[str] = set()
    ahead = roots
    while ahead:
        further = []
        for digest, content in server.read(ahead):
            if content is None:
                gone.add(digest.hash)
                below[digest.hash] = ([], [])
                continue
            directory = server.store.Directory.FromString(content)
            below[digest.hash] = (
                [each.digest.hash for each in directory.directories],
                [each.digest for each in directory.files],
            )
            further += [each.digest for each in directory.directories]
        ahead = [digest for digest in _deduplicate(further) if digest.hash not in below]
    return below, gone


def _collect_directories(root: str, below: dict[str, tuple[list[str], list[Any]]]) -> set[str]:
    seen = {root}
    ahead = [root]
    while ahead:
        new = set(below[ahead.pop()][0]) - seen
        seen |= new
        ahead += new
    return seen


def _deduplicate(digests: Any) -> list[Any]:
    return list({digest.hash: digest for digest in digests}.values())


def _split_batches(digests: list[Any]) -> Iterator[list[Any]]:
    """Groups whose contents fit into one answer; what does not is a group of its own."""
    batch: list[Any] = []
    size = 0
    for digest in digests:
        # In an answer each content comes with its digest and a status.
        needed = digest.size_bytes + 200
        if batch and size + needed > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(digest)
        size += needed
    if batch:
        yield batch


def _open_channel(grpc: Any, server: dict[str, Any]) -> Any:
    scheme, _unused, address = server["url"].partition("://")
    address = address.rstrip("/")
    if scheme != "https":
        return grpc.insecure_channel(address)
    files = [server.get(name) for name in ("server-cert", "client-key", "client-cert")]
    credentials = grpc.ssl_channel_credentials(*(Path(file).read_bytes() if file else None for file in files))
    if server.get("access-token"):
        token = grpc.access_token_call_credentials(Path(server["access-token"]).read_text(encoding="utf-8").strip())
        credentials = grpc.composite_channel_credentials(credentials, token)
    return grpc.secure_channel(address, credentials)


def _import_messages(name: str) -> Any:
    return importlib.import_module(f"buildstream._protos.{name}")


def main() -> None:
    """Answer the question in the file that the command line names."""
    question = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    server = None
    try:
        server = ContentServer(question)
        answer: dict[str, Any] = {"missing": find_missing(server, question["names"])}
        if question.get("offer"):
            answer["refusal"] = server.offer(bytes(OFFER_BYTES))
    except Exception as error:  # whatever it is, the caller tells it with the server's name
        code, details = getattr(error, "code", None), getattr(error, "details", None)
        answer = {"error": f"{code().name}: {details()}" if code and details else f"{type(error).__name__}: {error}"}
        answer["url"] = server.url if server is not None else question["index"]["url"]
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
