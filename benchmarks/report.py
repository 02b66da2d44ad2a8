"""The tables on the terminal."""

from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.proxying import Comparison, download_ratio, ratios

_GENERATOR_LIMIT: Final = 0.9
"""Of a core; above it the generator is measured as well."""


def print_proxying(console: Console, found: Comparison) -> None:
    """A table per mix: one line per load and contender; the ratios are those to nginx."""
    over = {(it["mix"], it["load"]): it for it in ratios(found.runs)}
    for mix in dict.fromkeys(run.mix for run in found.runs):
        table = Table(title=mix, title_justify="left")
        for name in ("load", "contender"):
            table.add_column(name)
        titles = ("req/s", "CPU µs", "ratio", "p50 ms", "p99", "ratio", "p99.9", "errors")
        for name in titles:
            table.add_column(name, justify="right")
        for run in found.runs:
            if run.mix != mix:
                continue
            ratio = over.get((run.mix, run.load)) if run.contender != "nginx" else None
            limit = "*" if (run.generator_busy or 0.0) > _GENERATOR_LIMIT else ""
            table.add_row(
                run.load,
                run.contender,
                f"{run.rate:,.0f}{limit}",
                f"{run.cpu_us:.1f}" if run.cpu_us else "-",
                "" if ratio is None else f"{ratio['cpu']:.2f}",
                f"{run.p50_ms:.2f}",
                f"{run.p99_ms:.2f}",
                "" if ratio is None else f"{ratio['p99']:.2f}",
                "-" if run.p999_ms is None else f"{run.p999_ms:.2f}",
                str(run.errors),
            )
        console.print(table)
    if any((run.generator_busy or 0.0) > _GENERATOR_LIMIT for run in found.runs):
        console.print("  * the load generator had little time left: its delays count too")
    _print_bulk(console, found)


def _print_bulk(console: Console, found: Comparison) -> None:
    if found.downloads:
        title = f"A download of {found.download_bytes / (1 << 20):,.0f} MiB"
        table = Table("contender", title=title, title_justify="left")
        for name in ("MB/s", "CPU s"):
            table.add_column(name, justify="right")
        for download in found.downloads:
            rate = f"{download.bytes_per_s / 1e6:,.0f}"
            table.add_row(download.contender, rate, f"{download.cpu_s:.2f}")
        console.print(table)
        ratio = download_ratio(found.downloads)
        if ratio is not None:
            console.print(f"  {ratio:.2f} x nginx's throughput")
    table = Table("contender", title="Idle kept connections", title_justify="left")
    for name in ("connections", "MB without", "MB with", "kB each"):
        table.add_column(name, justify="right")
    for idle in found.idle:
        table.add_row(
            idle.contender,
            f"{idle.connections:,}",
            f"{idle.bytes_before / 1e6:.0f}",
            f"{idle.bytes_with / 1e6:.0f}",
            f"{(idle.bytes_with - idle.bytes_before) / idle.connections / 1e3:.1f}",
        )
    console.print(table)


def print_sinks(console: Console, found: dict[str, float]) -> None:
    """What the log side manages."""
    table = Table(title=f"The log side, {found['records']:,.0f} records")
    table.add_column("what")
    table.add_column("figure", justify="right")
    for title, key in (
        ("encode and spool, records/s", "encode_and_spool_per_s"),
        ("spool to LogStore, records/s", "log_store_per_s"),
        ("  per CPU second", "log_store_per_cpu_s"),
        ("spool to bucket, records/s", "bucket_per_s"),
        ("  per CPU second", "bucket_per_cpu_s"),
        ("spool to bucket with gzip, records/s", "bucket_gzip_per_s"),
        ("  per CPU second", "bucket_gzip_per_cpu_s"),
    ):
        table.add_row(title, f"{found[key]:,.0f}")
    table.add_row("aggregate over all of them, s", f"{found['aggregate_s']:.2f}")
    table.add_row("memory for all of them pending, MB", f"{found['pending_mb']:.2f}")
    console.print(table)


def print_verdict(console: Console, count: int, found: dict[str, dict[str, float]]) -> None:
    """How long a comparison takes, by what the pipeline kept."""
    table = Table(title=f"Reconcile, {count:,} records on each side", title_justify="left")
    for name in ("kept", "seconds", "CPU seconds", "peak MB"):
        table.add_column(name, justify="left" if name == "kept" else "right")
    for kept, title in (
        ("bytes", "byte for byte"),
        ("respelled", "parsed and written again"),
        ("faults", "the same, half a percent missing and half a percent altered"),
    ):
        one = found[kept]
        table.add_row(
            title, f"{one['seconds']:.1f}", f"{one['cpu_seconds']:.1f}", f"{one['peak_mb']:.0f}"
        )
    console.print(table)


def print_queries(console: Console, found: dict[str, float]) -> None:
    """What the log service manages, with what it is to manage of a million records."""
    table = Table(title=f"The log service, {found['records']:,.0f} records")
    table.add_column("what")
    for name in ("figure", "goal", "by CPU"):
        table.add_column(name, justify="right")
    for title, key, goal in (
        ("push over HTTP in batches of 1000, records/s", "push_per_s", 20_000),
        ("pull over HTTP in pages of 1000, records/s", "pull_per_s", 50_000),
    ):
        by_cpu = found[key.replace("_per_s", "_per_cpu_s")]
        table.add_row(title, f"{found[key]:,.0f}", f"{goal:,}", f"{by_cpu:,.0f}")
    for title, key, goal_s in (
        ("count by a field, s", "count_by_field_s", 0.5),
        ("group by two fields with percentiles, s", "percentiles_by_two_s", 1.5),
        ("search of a phrase with 1000 hits, s", "phrase_s", 1.0),
        ("the newest 100 of a range of time, s", "newest_of_range_s", 0.05),
    ):
        by_cpu = found[f"{key.removesuffix('_s')}_cpu_s"]
        table.add_row(title, f"{found[key]:.3f}", f"{goal_s}", f"{by_cpu:.3f}")
    console.print(table)
