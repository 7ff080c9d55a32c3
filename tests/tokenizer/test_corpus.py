"""Reading corpora: the same documents come out of every kind of file, and what is wrong is told with its place."""

import bz2
import gzip
import hashlib
import http.server
import io
import json
import os
import random
import struct
import threading
import tracemalloc
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pyarrow as pa
import pytest
import zstandard
from pyarrow import parquet

from tokenizer import UsageError, UserError
from tokenizer.corpus import Chunk, Corpus, document_chunks, read_chunks
from tokenizer.sources import find_sources, without_secrets

TEXTS = ["The miller\nwalks.", "", "東京 🌍\t\x00", "\ufeffÄpfel " * 50]


def documents(chunks: Iterable[Chunk]) -> list[bytes]:
    """Put the parts of each document together."""
    whole, parts = [], []
    for chunk in chunks:
        parts.append(chunk.data)
        if chunk.ends_document:
            whole.append(b"".join(parts))
            parts = []
    assert not parts, "the last document never ended"
    return whole


def json_lines(texts: Iterable[str], field: str = "text") -> bytes:
    return "".join(json.dumps({"id": 1, field: text}) + "\n" for text in texts).encode()


def parquet_bytes(values: list, kind: pa.DataType | None = None, **options) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.table({"id": range(len(values)), "text": pa.array(values, kind)}), sink, **options)
    return sink.getvalue()


def refused(path: Path | str, **options) -> str:
    with pytest.raises(UserError) as failure:
        documents(read_chunks([path], **options))
    assert failure.value.hint
    return str(failure.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", json_lines(TEXTS)),
        ("a.NDJSON", json_lines(TEXTS).replace(b"\n", b"\r\n")),
        ("blank.jsonl", b"\xef\xbb\xbf\n" + json_lines(TEXTS).replace(b"\n", b"\n\n").rstrip()),
        ("a.jsonl.gz", gzip.compress(json_lines(TEXTS[:2])) + gzip.compress(json_lines(TEXTS[2:]))),
        ("a.jsonl.zst", zstandard.compress(json_lines(TEXTS[:2])) + zstandard.compress(json_lines(TEXTS[2:]))),
        ("a.parquet", parquet_bytes(TEXTS, row_group_size=3)),
        ("large.parquet", parquet_bytes(TEXTS, pa.large_string(), compression="zstd")),
        ("view.parquet", parquet_bytes(TEXTS, pa.string_view())),
        ("dictionary.parquet", parquet_bytes(pa.array(TEXTS).dictionary_encode())),
        ("binary.parquet", parquet_bytes([text.encode() for text in TEXTS], pa.binary())),
    ],
)
def test_every_format_gives_the_same_documents(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert documents(read_chunks([path])) == [text.encode() for text in TEXTS]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("chunk_bytes", [1, 7, 4096, 1 << 22])
def test_a_file_is_one_document_of_exactly_its_bytes(tmp_path, pack, chunk_bytes):
    data = bytes(range(256)) * 3 + "東京\r\n".encode()
    path = tmp_path / {bytes: "a.txt", gzip.compress: "a.txt.gz"}.get(pack, "a.zst")
    path.write_bytes(pack(data))
    chunks = list(read_chunks([path], chunk_bytes=chunk_bytes))
    assert documents(chunks) == [data]
    assert max(len(chunk.data) for chunk in chunks) <= chunk_bytes
    path.write_bytes(pack(b""))
    assert documents(read_chunks([path], chunk_bytes=chunk_bytes)) == [b""]


def test_bytes_that_are_no_utf_8_are_kept_and_lone_surrogates_are_not(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "\xff\\u00e9\xc3\xa9\\n"}\n{"text": "a\\ud800b\\udcff"}\n')
    assert documents(read_chunks([path])) == [b"\xff\xc3\xa9\xc3\xa9\n", "a\ufffdb\ufffd".encode()]


def test_a_field_can_be_named(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(json_lines(["one"], field="body"))
    (tmp_path / "b.parquet").write_bytes(parquet_bytes(["two"]))
    (tmp_path / "c.txt").write_bytes(b"three")
    assert documents(read_chunks([tmp_path / "a.jsonl", tmp_path / "c.txt"], field="body")) == [b"one", b"three"]
    assert documents(read_chunks([tmp_path / "b.parquet"], field="text")) == [b"two"]
    with pytest.raises(UsageError, match="no source is JSONL or Parquet"):
        read_chunks([tmp_path / "c.txt"], field="body")


def test_stdin_is_one_document_or_with_a_field_json_lines(monkeypatch):
    def give(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))

    give(b"low\nlower\xff")
    assert documents(read_chunks(["-"])) == [b"low\nlower\xff"]
    give(json_lines(TEXTS))
    assert documents(read_chunks(["-"], field="text")) == [text.encode() for text in TEXTS]
    with pytest.raises(UsageError, match="named twice"):
        read_chunks(["-", "-"])


def test_a_pipe_that_the_shell_opened_is_read_and_one_with_a_name_never_waited_for(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    assert documents(read_chunks([f"/dev/fd/{reading}"])) == [b"through a pipe"]
    os.close(reading)
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert "neither a file nor a directory" in refused(tmp_path / "pipe.jsonl")
    assert "neither a file nor a directory" in refused("/dev/null")


def test_directories_globs_and_their_order(tmp_path, monkeypatch):
    for name in ("b.txt", "a/z.txt", "a/.hidden", ".git/x", "a/y.txt", "[1].txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    os.mkfifo(tmp_path / "a" / "pipe")
    monkeypatch.chdir(tmp_path)
    assert find_sources([tmp_path]) == [str(tmp_path / name) for name in ("[1].txt", "a/y.txt", "a/z.txt", "b.txt")]
    assert find_sources(["b.txt", Path("a", ".hidden")]) == ["b.txt", "a/.hidden"]
    assert find_sources(["**/*.txt"]) == ["[1].txt", "a/y.txt", "a/z.txt", "b.txt"]
    assert find_sources(["a/[yz].txt"]) == ["a/y.txt", "a/z.txt"]
    assert find_sources(["[1].txt"]) == ["[1].txt"]
    assert find_sources(["a*"]) == ["a/y.txt", "a/z.txt"]


def test_urls_are_read_like_files_and_never_told_with_their_secrets(tmp_path, monkeypatch):
    storage = fsspec.filesystem("memory")
    storage.pipe(
        {
            "/corpus/b.jsonl.gz": gzip.compress(json_lines(["two"])),
            "/corpus/a.txt": b"one",
            "/corpus/deep/c.parquet": parquet_bytes(["three"]),
        }
    )
    try:
        assert documents(read_chunks(["memory://corpus/a.txt"])) == [b"one"]
        assert documents(read_chunks(["memory://corpus"])) == [b"one", b"two", b"three"]
        assert find_sources(["memory://corpus/*.gz"]) == ["memory:///corpus/b.jsonl.gz"]
        assert "cannot find memory://corpus/none.txt" in refused("memory://corpus/none.txt")
        assert "cannot find nowhere://a.txt" in refused("nowhere://a.txt")
        assert "s3fs" in refused("s3://bucket/a.txt")
    finally:
        storage.rm("/corpus", recursive=True)
    (tmp_path / "in.txt").write_bytes(b"local")
    assert documents(read_chunks([(tmp_path / "in.txt").as_uri()])) == [b"local"]
    shown = without_secrets("404 at 'https://me:key@host/a.txt?signature=1': no")
    assert shown == "404 at 'https://host/a.txt': no"


class QuietServer(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


def test_a_web_server_is_a_source(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(json_lines(TEXTS)))
    (tmp_path / "b.parquet").write_bytes(parquet_bytes(TEXTS))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietServer, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        for name in ("a.jsonl.gz?signature=1", "b.parquet"):
            assert documents(read_chunks([f"{address}/{name}"])) == [text.encode() for text in TEXTS]
        message = refused(f"{address}/none.txt?signature=1")
        assert message.startswith(f"cannot find {address}/none.txt: ")
        assert "signature" not in message
        server.shutdown()


@pytest.mark.parametrize("missing", ["pyarrow", "zstandard", "fsspec"])
def test_what_an_extra_brings_is_asked_for_before_anything_is_read(tmp_path, monkeypatch, missing):
    name = {"pyarrow": "a.parquet", "zstandard": "a.txt.zst", "fsspec": "memory://a.txt"}[missing]
    (tmp_path / "a.parquet").touch()
    (tmp_path / "a.txt.zst").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(UserError, match=missing) as failure:
        read_chunks([name])
    assert "needlepoint[corpus]" in failure.value.hint


NOISE = random.Random("noise").randbytes(100_000)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("cut.txt.gz", gzip.compress(NOISE)[:-50_000], "before byte 50,"),
        ("cut.txt.zst", zstandard.compress(NOISE)[:-50_000], "before byte 50,"),
        ("wrong.txt.gz", b"plain", "Not a gzipped file"),
        ("wrong.txt.zst", b"plain text", "Unknown frame"),
        ("sum.gz", gzip.compress(NOISE)[:-8] + bytes(8), "CRC"),
        ("middle.gz", gzip.compress(NOISE[:999])[:500] + b"\xff" * 500, "before byte"),
        ("cut.jsonl.gz", gzip.compress(json_lines(["x" * 100] * 3) + NOISE)[:-50_000], "line 4"),
        ("cut.jsonl", json_lines(["one", "two"])[:-5], "line 2: Unterminated string"),
        ("none.jsonl", json_lines(["one"]) + b'{"body": "two"}', "line 2: there is no field 'text'; there are 'body'"),
        ("type.jsonl", b'{"text": ["a", "b"]}', 'line 1: the field \'text\' holds no text but ["a", "b"]'),
        ("null.jsonl", b'\n{"text": null}', "line 2: the field 'text' holds no text but null"),
        ("list.jsonl", b'["text"]', "line 1: it is JSON, but no object"),
        ("deep.jsonl", b'{"text":' + b"[" * 200_000, "line 1: "),
        ("number.jsonl", b'{"text": ' + b"9" * 100_000 + b"}", "line 1: "),
        ("bzip.jsonl", bz2.compress(NOISE), "line 1: "),
        ("cut.parquet", parquet_bytes(["one", "two"])[:-20], "cannot read"),
        ("wrong.parquet", b"PAR1 is what it begins with, but not what it is", "cannot read"),
        ("empty.parquet", b"", "cannot read"),
        ("type.parquet", parquet_bytes([1, 2]), "the column 'text' holds no text but int64"),
        ("list.parquet", parquet_bytes([["a"], ["b"]]), "the column 'text' holds no text but list"),
        ("null.parquet", parquet_bytes(["one", None, "three"]), "row 2: the column 'text' holds nothing here"),
    ],
)
def test_damaged_files_are_told_with_the_place(tmp_path, name, content, what):
    path = tmp_path / name
    path.write_bytes(content)
    message = refused(path)
    assert message.startswith(f"cannot read {path}: ")
    assert what in message


def test_a_column_or_field_that_is_not_there_is_told_with_those_that_are(tmp_path):
    (tmp_path / "a.parquet").write_bytes(parquet_bytes(["one"]))
    assert "there is no column 'body'; there are 'id', 'text'" in refused(tmp_path / "a.parquet", field="body")


def test_parquet_damaged_anywhere_is_an_error_or_text_but_never_a_traceback(tmp_path):
    content = parquet_bytes([f"text {number}" for number in range(500)])
    generator = random.Random("damage")
    path = tmp_path / "a.parquet"
    for _ in range(60):
        damaged = bytearray(content)
        damaged[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        try:
            documents(read_chunks([path]))
        except UserError as err:
            assert str(err).startswith(f"cannot read {path}")  # noqa: PT017 - some damage is in no way visible


def test_sources_that_are_not_there_are_told_before_anything_is_read(tmp_path):
    for missing in ("missing.txt", "none*.txt", "a" * 300, "\x00"):
        with pytest.raises(UserError):
            read_chunks([tmp_path / missing])
    for nothing in ([tmp_path], []):
        with pytest.raises(UserError, match="no files to read"):
            read_chunks(nothing)


def test_names_that_mean_nothing_or_have_no_end_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for sources in ([""], ["file:///dev/zero"], [f"file://{tmp_path}/pipe"]):
        with pytest.raises(UserError, match=r"there is no file ''|is neither a file nor a directory"):
            read_chunks(sources)
    for sources in (["-", "/dev/stdin"], "one.txt", tmp_path):
        with pytest.raises(UsageError, match=r"named twice|one name, not a list"):
            read_chunks(sources)


def test_a_field_without_a_name_is_no_other_field(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "one", "": "two"}\n', encoding="utf-8")
    assert [chunk.data for chunk in read_chunks([tmp_path / "a.jsonl"], field="")] == [b"two"]


def test_a_file_that_vanishes_is_told(tmp_path):
    path = tmp_path / "a.txt"
    path.touch()
    chunks = read_chunks([path])
    path.unlink()
    with pytest.raises(UserError, match=r"cannot open .*a\.txt: No such file"):
        list(chunks)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_small_file_that_unpacks_to_much_is_read_in_little_memory(tmp_path, pack):
    path = tmp_path / ("bomb.gz" if pack is gzip.compress else "bomb.zst")
    path.write_bytes(pack(bytes(150_000_000)))
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    size = sum(len(chunk.data) for chunk in read_chunks([path], chunk_bytes=1 << 20))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == 150_000_000
    assert most < 50_000_000


def test_the_digest_tells_documents_apart_and_not_how_they_were_read(tmp_path):
    def passed(chunks: Iterable[Chunk]) -> Corpus:
        corpus = Corpus(chunks)
        assert all(isinstance(chunk, Chunk) for chunk in corpus)
        return corpus

    path = tmp_path / "a.txt"
    path.write_bytes(b"lowlower")
    one = passed(document_chunks(["lowlower"]))
    assert one.digest == passed(read_chunks([path], chunk_bytes=3)).digest
    assert one.digest == "sha256:" + hashlib.sha256(b"lowlower" + struct.pack("<Q", 8)).hexdigest()
    assert (one.documents, one.bytes) == (1, 8)
    two = passed(document_chunks(["low", b"lower"]))
    assert (two.documents, two.bytes) == (2, 8)
    assert len({one.digest, two.digest, passed(document_chunks(["lower", "low"])).digest}) == 3
    with pytest.raises(UsageError, match="not a list"):
        document_chunks("one text")
