"""Names that fields of records do not have: a record's own properties, and Elasticsearch's."""

from typing import Final

TIME: Final = "@timestamp"
RAW: Final = "@raw"
INDEX: Final = "_index"
ID: Final = "_id"
"""Source: doc the vendor's Python SDK (baiducloud-python-sdk-bls 0.0.9, ``Hit``): made of offset
and time; how is assumed."""
