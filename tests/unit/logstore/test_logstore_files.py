"""Lines of files that records are shipped in."""

from simulator.logstore.files import StoredRecord, encode_line
from simulator.logstore.shipper_settings import ColumnType, FileLayout, StorageFormat
from simulator.logstore.values import RecordType

RECORD = StoredRecord(
    seq=1, timestamp_ms=0, stream="", message='{"a":1e400,"b":0.5}', type=RecordType.JSON, tags=None
)


def test_a_number_beyond_a_float_is_written_as_it_was() -> None:
    csv = FileLayout(format=StorageFormat.CSV, columns=("a", "b"), null_text="-")
    assert encode_line(RECORD, csv) == b"1e400,0.5\n"
    types = (ColumnType.FLOAT, ColumnType.STRING)
    json = FileLayout(format=StorageFormat.JSON, columns=("a", "b"), types=types)
    assert encode_line(RECORD, json) == b'{"a":null,"b":"0.5"}\n'
