"""The BLS API: projects, LogStores, records."""

from simulator.api.bls.table import bls_operations

__all__ = ["bls_operations"]
