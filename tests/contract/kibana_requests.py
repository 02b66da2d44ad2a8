"""What Kibana 7.10 to 8 sends, as bodies of requests; for fields of access records.

Times are those of ``bls_served``: a quarter of an hour from 2026-03-01T00:00:00Z.
"""

from typing import Any

Body = dict[str, Any]

PARAMETERS = (
    "?ignore_unavailable=true&allow_no_indices=true&preference=1772323200123&batched_reduce_size=64"
    "&ccs_minimize_roundtrips=true&wait_for_completion_timeout=200ms&keep_on_completion=false"
    "&keep_alive=60s&track_total_hits=true&max_concurrent_shard_requests=5&expand_wildcards=open"
)
"""In the address of a search."""

TIME_RANGE: Body = {
    "range": {
        "@timestamp": {
            "format": "strict_date_optional_time",
            "gte": "2026-03-01T00:00:00.000Z",
            "lte": "2026-03-01T00:15:00.000Z",
        }
    }
}
HIGHLIGHT: Body = {
    "pre_tags": ["@kibana-highlighted-field@"],
    "post_tags": ["@/kibana-highlighted-field@"],
    "fields": {"*": {}},
    "fragment_size": 2147483647,
}


def kibana_bool(*filters: Body, must: tuple[Body, ...] = ()) -> Body:
    """A query as Kibana builds it: every clause is there, most are empty."""
    return {
        "bool": {
            "must": list(must),
            "filter": [*filters, TIME_RANGE],
            "should": [],
            "must_not": [],
        }
    }


def _should(query: Body) -> Body:
    """What Kibana makes of one condition of its own language."""
    return {"bool": {"should": [query], "minimum_should_match": 1}}


DISCOVER_7_10: Body = {
    "version": True,
    "size": 500,
    "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "boolean"}}],
    "aggs": {
        "2": {
            "date_histogram": {
                "field": "@timestamp",
                "fixed_interval": "30s",
                "time_zone": "Asia/Shanghai",
                "min_doc_count": 1,
            }
        }
    },
    "stored_fields": ["*"],
    "script_fields": {},
    "docvalue_fields": [{"field": "@timestamp", "format": "date_time"}],
    "_source": {"excludes": []},
    "query": kibana_bool(must=({"match_all": {}},)),
    "highlight": HIGHLIGHT,
}
"""Discover, with its chart in the same request."""

DISCOVER_7_12: Body = {
    "size": 500,
    "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "boolean"}}],
    "version": True,
    "fields": [
        {"field": "*", "include_unmapped": "true"},
        {"field": "@timestamp", "format": "strict_date_optional_time"},
    ],
    "aggs": DISCOVER_7_10["aggs"],
    "script_fields": {},
    "stored_fields": ["*"],
    "runtime_mappings": {},
    "_source": False,
    "query": kibana_bool({"match_all": {}}),
    "highlight": HIGHLIGHT,
}

DISCOVER_8: Body = {
    "sort": [
        {
            "@timestamp": {
                "order": "desc",
                "format": "strict_date_optional_time",
                "unmapped_type": "boolean",
            }
        },
        {"_doc": {"order": "desc", "unmapped_type": "boolean"}},
    ],
    "fields": DISCOVER_7_12["fields"],
    "size": 500,
    "version": True,
    "script_fields": {},
    "stored_fields": ["*"],
    "runtime_mappings": {},
    "_source": False,
    "track_total_hits": False,
    "query": kibana_bool(),
    "highlight": HIGHLIGHT,
}
"""The documents; the chart is a request of its own."""

DISCOVER_8_CHART: Body = {
    "aggs": {
        "0": {
            "date_histogram": {
                "field": "@timestamp",
                "fixed_interval": "1m",
                "time_zone": "Europe/Berlin",
                "extended_bounds": {"min": 1772323200000, "max": 1772324100000},
                "min_doc_count": 0,
            }
        }
    },
    "size": 0,
    "fields": [{"field": "@timestamp", "format": "date_time"}],
    "script_fields": {},
    "stored_fields": ["*"],
    "runtime_mappings": {},
    "_source": {"excludes": []},
    "track_total_hits": True,
    "query": kibana_bool(),
}

KQL: dict[str, Body] = {
    # checkout
    "word": {"multi_match": {"type": "best_fields", "query": "checkout", "lenient": True}},
    # "item 7"
    "phrase": {"multi_match": {"type": "phrase", "query": "item 7", "lenient": True}},
    # status : 200
    "equal": _should({"match": {"status": "200"}}),
    # status >= 500
    "above": _should({"range": {"status": {"gte": "500"}}}),
    # host : *
    "exists": _should({"exists": {"field": "host"}}),
    # path : *item*
    "wildcard": _should({"query_string": {"fields": ["path"], "query": "*item*"}}),
    # method : "GET" and not (host : "web-2" or status < 500)
    "and_not": {
        "bool": {
            "filter": [
                _should({"match_phrase": {"method": "GET"}}),
                {
                    "bool": {
                        "must_not": {
                            "bool": {
                                "should": [
                                    _should({"match_phrase": {"host": "web-2"}}),
                                    _should({"range": {"status": {"lt": "500"}}}),
                                ],
                                "minimum_should_match": 1,
                            }
                        }
                    }
                },
            ]
        }
    },
    # ho* : "web-1"
    "field_pattern": _should(
        {
            "multi_match": {
                "fields": ["ho*"],
                "type": "phrase",
                "query": "web-1",
                "lenient": True,
            }
        }
    ),
    # @timestamp > "2026-03-01T00:05"
    "later": _should(
        {"range": {"@timestamp": {"gt": "2026-03-01T00:05", "time_zone": "Europe/London"}}}
    ),
}
"""What Kibana makes of its own language."""

LUCENE: dict[str, Body] = {
    text: {"query_string": {"query": text, "analyze_wildcard": True, "time_zone": "Europe/Berlin"}}
    for text in (
        "*",
        "status:[500 TO *]",
        "status:>=500 AND NOT host:web-2",
        "path:/\\/item\\/[0-9]+/",
        '"item 7"~1',
        "chekout~",
        "_exists_:host",
        "path:(*item* OR checkout^2)",
    )
}

FILTERS: dict[str, Body] = {
    "is": {"match_phrase": {"host": "web-1"}},
    "is one of": {
        "bool": {
            "minimum_should_match": 1,
            "should": [{"match_phrase": {"status": 404}}, {"match_phrase": {"status": "502"}}],
        }
    },
    "exists": {"exists": {"field": "cost"}},
    "between": {"range": {"cost": {"gte": "0.5", "lt": "2"}}},
}
"""Pills of the filter bar."""

CONTEXT_ANCHOR: Body = {
    "size": 1,
    "query": {"bool": {"must": [{"constant_score": {"filter": {"ids": {"values": [""]}}}}]}},
    "fields": DISCOVER_7_12["fields"],
    "sort": DISCOVER_8["sort"],
    "stored_fields": ["*"],
    "script_fields": {},
    "runtime_mappings": {},
    "version": True,
    "_source": False,
}
"""Surrounding documents: first the one in the middle, whose id the caller puts in."""

CONTEXT_AFTER: Body = {
    "size": 2,
    "search_after": [],
    "query": {
        "bool": {
            "must": [
                {
                    "constant_score": {
                        "filter": {
                            "range": {
                                "@timestamp": {
                                    "format": "strict_date_optional_time",
                                    "lte": "2026-03-01T00:15:00.000Z",
                                }
                            }
                        }
                    }
                }
            ],
            "filter": [],
            "should": [],
            "must_not": [],
        }
    },
    "fields": DISCOVER_7_12["fields"],
    "sort": DISCOVER_8["sort"],
    "track_total_hits": False,
    "stored_fields": ["*"],
    "runtime_mappings": {},
    "_source": False,
}
"""Then those behind it, after its sort values."""

LENS_TERMS_OVER_TIME: Body = {
    "aggs": {
        "0": {
            "terms": {"field": "host", "order": {"2": "desc"}, "size": 2, "shard_size": 25},
            "aggs": {
                "1": {
                    "date_histogram": {
                        "field": "@timestamp",
                        "fixed_interval": "5m",
                        "time_zone": "Asia/Shanghai",
                        "extended_bounds": {"min": 1772323200000, "max": 1772324099999},
                    },
                    "aggs": {
                        "2": {"avg": {"field": "cost"}},
                        "3": {"percentiles": {"field": "cost", "percents": [50, 95]}},
                    },
                },
                "2": {"avg": {"field": "cost"}},
            },
        }
    },
    "size": 0,
    "fields": [{"field": "@timestamp", "format": "date_time"}],
    "script_fields": {},
    "stored_fields": ["*"],
    "runtime_mappings": {},
    "_source": {"excludes": []},
    "query": kibana_bool(),
}
"""A line for each of the slowest hosts, with the mean and percentiles within."""

LENS_BY_PERCENTILE: Body = {
    "aggs": {
        "0": {
            "terms": {"field": "path", "order": {"1.95": "desc"}, "size": 3, "shard_size": 25},
            "aggs": {
                "1": {"percentiles": {"field": "cost", "percents": [95]}},
                "2": {"cardinality": {"field": "host"}},
            },
        }
    },
    "size": 0,
    "query": kibana_bool(),
}

LENS_FORMULA: Body = {
    "aggs": {
        "0": {
            "terms": {
                "field": "host",
                "order": {"1-bucket>1-metric": "desc"},
                "size": 5,
                "shard_size": 25,
            },
            "aggs": {
                "1-bucket": {
                    "filter": kibana_bool(KQL["above"]),
                    "aggs": {"1-metric": {"sum": {"field": "cost"}}},
                },
                "2-bucket": {"filter": kibana_bool(KQL["equal"])},
            },
        }
    },
    "size": 0,
    "query": kibana_bool(),
}
"""``sum(cost, kql='status >= 500')`` and a filtered count."""

LENS_OTHER_BUCKET: Body = {
    "aggs": {
        "other-filter": {
            "filters": {
                "filters": {
                    "": {
                        "bool": {
                            "must": [],
                            "filter": [{"exists": {"field": "host"}}],
                            "should": [],
                            "must_not": [{"match_phrase": {"host": "web-1"}}],
                        }
                    }
                }
            },
            "aggs": {"1": {"avg": {"field": "cost"}}},
        }
    },
    "size": 0,
    "query": kibana_bool(),
}

LENS_HISTOGRAM: Body = {
    "aggs": {
        "0": {
            "histogram": {
                "field": "cost",
                "interval": 0.5,
                "min_doc_count": 1,
                "extended_bounds": {"min": 0, "max": 2},
            }
        }
    },
    "size": 0,
    "query": kibana_bool(),
}

TSVB_TIME_SERIES: Body = {
    "size": 0,
    "query": kibana_bool(),
    "timeout": "30000ms",
    "aggs": {
        "61ca57f1": {
            "filter": {"match_all": {}},
            "aggs": {
                "timeseries": {
                    "date_histogram": {
                        "field": "@timestamp",
                        "fixed_interval": "10m",
                        "min_doc_count": 0,
                        "time_zone": "UTC",
                        "extended_bounds": {"min": 1772323200000, "max": 1772324100000},
                    },
                    "aggs": {"61ca57f2": {"max": {"field": "cost"}}},
                }
            },
            "meta": {"timeField": "@timestamp", "panelId": "1", "seriesId": "61ca57f1"},
        }
    },
    "runtime_mappings": {},
}

CONTROL_OPTIONS: Body = {
    "size": 0,
    "query": kibana_bool(),
    "aggs": {
        "suggestions": {
            "terms": {
                "field": "host",
                "size": 10,
                "shard_size": 10,
                "include": "web.*",
                "order": {"_count": "desc"},
                "execution_hint": "map",
            }
        },
        "unique_terms": {"cardinality": {"field": "host"}},
        "validation": {"filters": {"filters": {"web-1": {"match": {"host": "web-1"}}}}},
    },
    "runtime_mappings": {},
}
"""The values that a control of a dashboard offers."""

FIELD_SUMMARY: Body = {
    "size": 0,
    "query": kibana_bool(),
    "track_total_hits": True,
    "runtime_mappings": {},
    "aggs": {
        "sample": {
            "sampler": {"shard_size": 5000},
            "aggs": {
                "min_value": {"min": {"field": "cost"}},
                "max_value": {"max": {"field": "cost"}},
                "sample_count": {"value_count": {"field": "cost"}},
                "top_values": {"terms": {"field": "cost", "size": 10}},
            },
        }
    },
}
"""The popover of a field in the list of fields."""

FIELD_LIST_7 = "/*/_field_caps?fields=*&ignore_unavailable=true&allow_no_indices=false"
FIELD_LIST_8 = (
    "/*/_field_caps?allow_no_indices=true&ignore_unavailable=true&filters=-parent"
    "&include_empty_fields=true&expand_wildcards=open"
)
FIELD_LIST_8_BODY: Body = {"fields": ["*", "_id", "_index"], "index_filter": TIME_RANGE}

VALUE_SUGGESTIONS: Body = {
    "field": "host",
    "string": "WEB",
    "size": 10,
    "case_insensitive": True,
    "timeout": "1000ms",
    "index_filter": {"bool": {"must": [], "filter": [TIME_RANGE]}},
}
"""What the query bar completes a value with."""
