"""Measures the proxied path beside nginx, and the way from the spool to the destinations.

``python -m benchmarks`` (or ``make bench``); loopback only, a few minutes at most.
"""
