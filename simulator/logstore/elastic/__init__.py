"""The Elasticsearch-compatible search of LogStores."""

from simulator.logstore.elastic.calls import Elastic

__all__ = ["Elastic"]
