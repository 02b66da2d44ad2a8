"""What a pipeline kept, wherever it keeps it."""

import gzip
import io
import json
import sqlite3
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from simulator.cli.against import SourceError, open_source


def read(text: object) -> list[tuple[bytes, str]]:
    """Every line of a source with its place."""
    source = open_source(str(text))
    lines = list(source.lines())
    return [(line, source.place(number)) for number, line in enumerate(lines, 1)]


def fails(text: object) -> str:
    with pytest.raises(SourceError) as caught:
        read(text)
    return str(caught.value)


def test_json_lines(tmp_path: Path):
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"a":1}\r\n\n{"a":2}')
    assert read(path) == [
        (b'{"a":1}', f"{path}:1"),
        (b"", f"{path}:2"),
        (b'{"a":2}', f"{path}:3"),
    ]


def test_a_json_array(tmp_path: Path):
    path = tmp_path / "out.json"
    path.write_text(json.dumps([{"a": 1}, {"a": "x\ny"}], indent=2))
    lines = [line for line, _ in read(path)]
    assert [json.loads(line) for line in lines] == [{"a": 1}, {"a": "x\ny"}]
    path.write_text("[1, 2")
    assert f"{path}: begins like a JSON array and is none" in fails(path)


def test_gzip_is_recognised_with_all_its_members(tmp_path: Path):
    path = tmp_path / "out.log"
    path.write_bytes(gzip.compress(b"1\n2\n") + gzip.compress(b"3\n"))
    assert [line for line, _ in read(path)] == [b"1", b"2", b"3"]
    path.write_bytes(gzip.compress(b"1\n" * 1000)[:-9])
    assert f"{path}: broken gzip after line " in fails(path)


def test_csv_has_a_header(tmp_path: Path):
    path = tmp_path / "out.csv"
    path.write_text('request,vport\n"GET ""/""\nx",80\n')
    ((line, place),) = read(path)
    assert json.loads(line) == {"request": 'GET "/"\nx', "vport": "80"}
    assert place == f"{path}:1"


def test_standard_input(monkeypatch: pytest.MonkeyPatch):
    class Stdin:
        buffer = io.BytesIO(b"1\n2\n")

    monkeypatch.setattr("sys.stdin", Stdin())
    assert read("-") == [(b"1", "line 1"), (b"2", "line 2")]


def test_a_directory_is_every_file_below(tmp_path: Path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.jsonl").write_text("3\n")
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(b"1\n2\n"))
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "_SUCCESS").write_text("mark")
    (tmp_path / ".crc").write_text("mark")
    expected = [
        (b"1", f"{tmp_path}/a.log.gz:1"),
        (b"2", f"{tmp_path}/a.log.gz:2"),
        (b"3", f"{tmp_path}/b/2.jsonl:1"),
    ]
    assert read(f"dir:{tmp_path}") == expected
    assert read(tmp_path) == expected
    (tmp_path / "x.parquet").write_text("")
    assert "x.parquet: cannot tell what it is; expected .jsonl" in fails(f"dir:{tmp_path}")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "logs.db"
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("create table records(request text, vport integer, raw blob)")
        opened.execute("insert into records values ('GET /', 80, x'ff0a')")
        opened.execute("""insert into records values ('a "b"', null, '{"a":1}')""")
        opened.execute("delete from records where rowid = 0")
        opened.execute("create view seen as select request from records")
        opened.execute("create table plain(id text primary key, m text) without rowid")
        opened.execute("insert into plain values ('x', '{}')")
        opened.commit()
    return path


def test_a_table_by_columns_and_by_one_column(database: Path):
    rows = read(f"sqlite:{database}?table=records")
    assert [json.loads(line) for line, _ in rows] == [
        {"request": "GET /", "vport": 80, "raw": "\ufffd\n"},
        {"request": 'a "b"', "vport": None, "raw": '{"a":1}'},
    ]
    assert rows[1][1] == f"{database} records row 2"
    rows = read(f"sqlite:{database}?table=records&column=raw")
    assert rows[0][0] == b'"\\ufffd\\n"'
    assert rows[1][0] == b'{"a":1}'


def test_views_and_tables_without_row_ids(database: Path):
    assert len(read(f"sqlite:{database}?table=seen")) == 2
    assert read(f"sqlite:{database}?table=plain&column=m") == [(b"{}", f"{database} plain row 1")]


def test_sqlite_errors_say_what_there_is(database: Path, tmp_path: Path):
    there = "there are plain, records, seen"
    assert f"no table 'record'; {there}" in fails(f"sqlite:{database}?table=record")
    assert f"no table ''; {there}; name one with ?table=NAME" in fails(f"sqlite:{database}")
    assert "no column 'row' in records; there are request, vport, raw" in fails(
        f"sqlite:{database}?table=records&column=row"
    )
    assert "unknown option 'tabel'; expected table and column" in fails(
        f"sqlite:{database}?tabel=records"
    )
    missing = tmp_path / "missing.db"
    assert fails(f"sqlite:{missing}?table=a") == f"sqlite:{missing}: no such file"
    assert not missing.exists()
    missing.write_text("no database at all, and long enough to be looked at")
    assert "file is not a database" in fails(f"sqlite:{missing}?table=a")


def test_files_that_are_not_there():
    assert fails("missing.jsonl").startswith(
        "missing.jsonl: no such file; expected a file, -, dir:"
    )
    assert fails("dir:missing") == "dir:missing: no such directory"


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        page = self.path
        self.send_response(404 if page == "/gone" else 200)
        if page == "/1":
            self.send_header("Link", '</other>; rel="prev", </2?x=1>; rel="next"')
        elif page == "/loop":
            self.send_header("Link", '</loop>; rel="next"')
        self.end_headers()
        self.wfile.write(b'[{"a":1},\n{"a":2}]' if page == "/1" else b'{"a":3}\n')

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_url_page_by_page(site: str):
    assert read(f"{site}/1") == [
        (b'{"a":1}', f"{site}/1 record 1"),
        (b'{"a":2}', f"{site}/1 record 2"),
        (b'{"a":3}', f"{site}/2?x=1 record 1"),
    ]


def test_a_url_that_does_not_answer_well(site: str):
    assert fails(f"{site}/gone") == f"{site}/gone: answered 404 Not Found"
    assert f"{site}/loop: its next page is {site}/loop; expected a new http page" in fails(
        f"{site}/loop"
    )
    assert "cannot be read" in fails("http://127.0.0.1:1/")
