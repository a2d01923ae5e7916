"""A registry on this host's loopback that holds one image: as much of the OCI Distribution API as pulling needs."""

import gzip
import hashlib
import json
import platform
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_DOCKER = "application/vnd.docker."
_MANIFEST, _CONFIG, _LAYER = (
    f"{_DOCKER}{kind}"
    for kind in ("distribution.manifest.v2+json", "container.image.v1+json", "image.rootfs.diff.tar.gzip")
)
_UNKNOWN = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}).encode()


@contextmanager
def registry(layer: bytes, entrypoint: list[str]) -> Iterator[str]:
    """A reference to the one image that there is; Docker speaks plain HTTP to registries of 127.0.0.0/8.

    Args:
        layer: a tar archive of all its files.
        entrypoint: what it runs.
    """
    objects = _objects(layer, entrypoint)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = default_request_version = "HTTP/1.1"  # so that Docker sees that this is no TLS

        def do_GET(self) -> None:
            kind, body = objects.get(self.path, ("", _UNKNOWN))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind or "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Content-Digest", _digest(body))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 — http.server's name for it

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}/image:there"
        server.shutdown()


def _objects(layer: bytes, entrypoint: list[str]) -> Mapping[str, tuple[str, bytes]]:
    """Path -> its media type and content."""
    packed = gzip.compress(layer)
    config = _json(
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        os="linux",
        config={"Entrypoint": entrypoint},
        rootfs={"type": "layers", "diff_ids": [_digest(layer)]},
    )
    described = [
        {"mediaType": kind, "size": len(blob), "digest": _digest(blob)}
        for kind, blob in ((_CONFIG, config), (_LAYER, packed))
    ]
    manifest = _json(schemaVersion=2, mediaType=_MANIFEST, config=described[0], layers=described[1:])
    blobs = {f"/v2/image/blobs/{_digest(blob)}": ("application/octet-stream", blob) for blob in (config, packed)}
    names = ("there", _digest(manifest))
    return (
        blobs
        | {"/v2/": ("application/json", b"{}")}
        | {f"/v2/image/manifests/{name}": (_MANIFEST, manifest) for name in names}
    )


def _json(**values: object) -> bytes:
    return json.dumps(values).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
