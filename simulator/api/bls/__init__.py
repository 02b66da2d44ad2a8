"""The BLS API: projects, LogStores, records."""

from simulator.api.bls.downloads import FILES, file_server
from simulator.api.bls.table import bls_operations
from simulator.api.bls.workers import Workers

__all__ = ["FILES", "Workers", "bls_operations", "file_server"]
