"""A key planted in the environment appears in no file, log, table, export or traceback, whatever fails."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEYS = {
    "OPENAI_API_KEY": "sk-planted-0penai-4f9c1b7e2d",
    "ANTHROPIC_API_KEY": "planted.anthropic.word-without-form",
}


class Gossip(BaseHTTPRequestHandler):
    """Fails every call and quotes whatever it was sent, headers and all, in the way that the server's status says."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        said = f"Incorrect API key provided: {self.headers['authorization']} in {dict(self.headers)} for {body[:50]}"
        status = self.server.status  # type: ignore[attr-defined]
        reply = json.dumps({"type": "error", "error": {"type": "a_kind", "message": said, "code": said}}).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "x-request-id": said[:90]}.items():
            self.send_header(name, value.replace("\n", " "))
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply[: len(reply) // 2] if status == 200 else reply)

    do_GET = do_POST  # noqa: N815 - the library's name

    def log_message(self, *_arguments: Any) -> None:
        """Nothing on stderr."""


@pytest.fixture
def gossip() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gossip)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def needlepoint(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", "-v", *arguments],
        cwd=ROOT, env=os.environ | KEYS | {"NEEDLEPOINT_HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "status", "exit_code"), [("openai", 401, 1), ("anthropic", 400, 3), ("openai", 200, 3)]
)
def test_a_planted_key_is_nowhere(
    gossip: ThreadingHTTPServer, tmp_path: Path, provider: str, status: int, exit_code: int
) -> None:
    """The server quotes the key back: in a refusal for good, in one of this request, and in an answer that breaks."""
    gossip.status = status  # type: ignore[attr-defined]
    store, url = tmp_path / "runs.db", f"http://127.0.0.1:{gossip.server_address[1]}"
    model = ["-m", f"{provider}/a-model", "--base-url", url + ("/v1" if provider == "openai" else "")]
    command = ["probe", "needle", *model, "-n", "1", "--lengths", "200", "-d", str(store), "--max-retries", "0"]
    asked = needlepoint(*command, "--keep-prompts", "--json", "-o", str(tmp_path / "table.json"), home=tmp_path)
    assert asked.returncode == exit_code, asked.stderr
    looked = [
        needlepoint("runs", *words, "-d", str(store), home=tmp_path)
        for words in (["list"], ["show", "--attempts"], ["export", "-o", str(tmp_path / "rows.jsonl")])
    ]
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert store in written
    texts = [each.stdout + each.stderr for each in (asked, *looked)]
    assert "401" in texts[0] or "trials have no answer" in texts[0]
    haystacks = [text.encode() for text in texts] + [path.read_bytes() for path in written]
    for key in KEYS.values():
        for haystack in haystacks:
            assert key.encode() not in haystack
            assert key.encode()[:20] not in haystack
