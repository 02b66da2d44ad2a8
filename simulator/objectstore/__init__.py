"""Buckets and objects: an adapter over moto's S3 model, its files on disk, and its S3 door.

The only room that touches moto. Importing it is cheap; making an ``ObjectStore`` is not.
"""

from simulator.objectstore.door import S3Door
from simulator.objectstore.lags import Lag
from simulator.objectstore.store import ObjectInfo, ObjectStore

__all__ = ["Lag", "ObjectInfo", "ObjectStore", "S3Door"]
