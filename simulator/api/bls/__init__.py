"""The BLS API: projects, LogStores, records."""

from simulator.api.bls.downloads import FILES, file_server
from simulator.api.bls.table import bls_operations

__all__ = ["FILES", "bls_operations", "file_server"]
