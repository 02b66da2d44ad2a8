"""Fields without a column: many of them take the time and memory of one."""

import json

import pytest
from demo_store import EVERYTHING, NOW_MS, Store

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine, LogStoreSettings, NewRecord, RecordType
from simulator.logstore.fields import MAX_COLUMNS

FIELDS = MAX_COLUMNS + 100


def test_many_fields_without_a_column_fit_into_little_memory() -> None:
    engine = LogStoreEngine(None, ManualClock(NOW_MS / 1000), threads=2, memory_limit="128MB")
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    for first in range(0, 4000, 1000):
        records = [
            NewRecord(
                message=json.dumps({f"k{i:03}": f"v{i}-{n}" for i in range(FIELDS)}),
                timestamp_ms=NOW_MS + n,
            )
            for n in range(first, first + 1000)
        ]
        engine.push("default", "demo", records, record_type=RecordType.JSON)
    names = [f"k{i:03}" for i in range(FIELDS)]
    items = ", ".join(f"max(lower({name})) as {name}" for name in names)
    found = engine.query("default", "demo", EVERYTHING, f"select {items}")
    assert found.rows == (tuple(f"v{i}-999" for i in range(FIELDS)),)
    found = engine.query("default", "demo", EVERYTHING, "select * limit 1")
    assert len(found.rows[0]) == FIELDS + 3  # and what every record has
    engine.close()


def test_what_is_not_json_has_none_of_them(store: Store) -> None:
    store.push({f"k{i:03}": i for i in range(MAX_COLUMNS)})
    store.push({"z": "one", "y": {"x": "two"}}, {"y.x": "three"}, "no JSON", '{"z": "text"}')
    order = "order by `@timestamp`, `@seq`"
    rows = store.select(f"select z, y.x, y where z is not null or `y.x` is not null {order}")
    assert rows == [("one", "two", '{"x":"two"}'), (None, "three", None)]
    assert store.select("select count(z), count(y.x), count(*)") == [(1, 2, 5)]
    rows = store.select("select z as k, count(*) as n group by k having n > 0 order by n desc, k")
    assert rows == [(None, 4), ("one", 1)]
    inner = "select z, k095 from (select z, k095, y) where z is not null"
    assert store.select(inner) == [("one", None)]
    assert store.select("select count(*) where regexp_like(z, '^(o|n|e){3}$')") == [(1,)]


def test_complaint_about_one_names_the_record(store: Store) -> None:
    store.push({f"k{i:03}": i for i in range(MAX_COLUMNS)}, {"z": "one"})
    with pytest.raises(ControlError) as caught:
        store.select("select z, count(*)")
    assert '"@raw"' in caught.value.message
