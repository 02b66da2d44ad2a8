"""Index definitions are kept with their LogStore."""

from pathlib import Path

from simulator.clock import ManualClock
from simulator.logstore import (
    IndexField,
    IndexSettings,
    IndexType,
    LogStoreEngine,
    LogStoreSettings,
)


def test_an_index_outlives_the_process(tmp_path: Path, clock: ManualClock) -> None:
    inner = IndexField(name="n", type=IndexType.TEXT, separators="-", include_chinese=True)
    outer = IndexField(name="o", type=IndexType.OBJECT, dynamic_mapping=True, fields=(inner,))
    index = IndexSettings(fulltext=True, case_sensitive=True, separators=" ", fields=(outer,))
    engine = LogStoreEngine(tmp_path / "db", clock)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=7))
    engine.indexes.create("default", "demo", index)
    engine.close()
    again = LogStoreEngine(tmp_path / "db", clock)
    assert again.describe_log_store("default", "demo").active_index == index
    assert again.indexes.describe("default", "demo") == index
    again.indexes.delete("default", "demo")
    assert again.describe_log_store("default", "demo").active_index is None
    again.close()
