"""A Hugging Face Hub on this machine: what `huggingface_hub` asks of it to create, upload and download a model."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub:
    """Repositories by name: a list of commits, each (id, files by name); and what was asked, in order."""

    def __init__(self) -> None:
        self.repositories: dict[str, list[tuple[str, dict[str, bytes]]]] = {}
        self.private: dict[str, bool] = {}
        self.blobs: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []

    def commit(self, name: str, files: dict[str, bytes]) -> str:
        history = self.repositories[name]
        content = (dict(history[-1][1]) if history else {}) | files
        sha = hashlib.sha1(repr((len(history), sorted(content.items()))).encode()).hexdigest()
        history.append((sha, content))
        return sha

    def at(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        history = self.repositories.get(name, [])
        if revision == "main":
            return history[-1] if history else None
        return next((one for one in history if one[0] == revision), None)


@contextmanager
def serve(hub: Hub) -> Iterator[str]:
    """The address of a server for a hub."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def tell(self, content: object) -> None:
            self.reply(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

        def missing(self, code: str) -> None:
            self.reply(404, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

        def body(self) -> bytes:
            hub.asked.append((self.command, self.path))
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def do_GET(self) -> None:
            self.body()
            parts = self.path.split("?")[0].strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                name, revision = "/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main"
                if (found := hub.at(name, revision)) is None:
                    return self.missing("RepoNotFound" if name not in hub.repositories else "RevisionNotFound")
                files = [{"rfilename": file} for file in found[1]]
                return self.tell({"id": name, "modelId": name, "sha": found[0], "siblings": files, "tags": []})
            if len(parts) > 4 and parts[2] == "resolve":
                found = hub.at("/".join(parts[:2]), parts[3])
                if found is None:
                    return self.missing("RepoNotFound")
                content = found[1].get("/".join(parts[4:]))
                if content is None:
                    return self.missing("EntryNotFound")
                mark = hashlib.sha256(content).hexdigest()
                return self.reply(200, content, {"ETag": f'"{mark}"', "X-Repo-Commit": found[0]})
            return self.missing("EntryNotFound")

        do_HEAD = do_GET

        def do_PUT(self) -> None:
            hub.blobs[self.path.rsplit("/", 1)[1]] = self.body()
            self.reply(200)

        def do_POST(self) -> None:
            body, parts = self.body(), self.path.split("?")[0].strip("/").split("/")
            if parts == ["api", "repos", "create"]:
                given = json.loads(body)
                name = f"{given['organization']}/{given['name']}" if given.get("organization") else given["name"]
                hub.repositories.setdefault(name, [])
                hub.private[name] = bool(given.get("private")) or given.get("visibility") == "private"
                return self.tell({"url": f"http://{self.headers['Host']}/{name}", "name": name, "id": name})
            if parts == ["api", "validate-yaml"]:  # the head of a model card
                return self.tell({"errors": [], "warnings": []})
            if parts[-2:] == ["objects", "batch"]:
                wanted = json.loads(body)["objects"]
                there = [{**one, "actions": {"upload": {"href": f"http://{self.headers['Host']}/lfs/{one['oid']}"}}}
                         for one in wanted]  # fmt: skip
                return self.tell({"transfer": "basic", "objects": there})
            name = "/".join(parts[2:4])
            if parts[4] == "preupload":
                modes = [{"path": one["path"], "shouldIgnore": False,
                          "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular"}
                         for one in json.loads(body)["files"]]  # fmt: skip
                return self.tell({"files": modes})
            files = {}
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                if line["key"] == "lfsFile":
                    files[line["value"]["path"]] = hub.blobs[line["value"]["oid"]]
            sha = hub.commit(name, files)
            return self.tell({"commitUrl": f"http://{self.headers['Host']}/{name}/commit/{sha}", "commitOid": sha,
                              "pullRequestUrl": None, "success": True})  # fmt: skip

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
