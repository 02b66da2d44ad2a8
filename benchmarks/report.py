"""The tables on the terminal."""

from rich.console import Console
from rich.table import Table

from benchmarks.proxying import Run, ratios


def print_proxying(console: Console, runs: list[Run]) -> None:
    """A table per mix: one line per load and contender, and the ratio of CPU to nginx's."""
    over = {(it["mix"], it["load"]): it["cpu"] for it in ratios(runs)}
    for mix in dict.fromkeys(run.mix for run in runs):
        table = Table(title=mix, title_justify="left")
        for name in ("load", "contender"):
            table.add_column(name)
        for name in ("req/s", "CPU µs", "x nginx", "p50 ms", "p99 ms", "errors"):
            table.add_column(name, justify="right")
        for run in runs:
            if run.mix != mix:
                continue
            ratio = over.get((run.mix, run.load)) if run.contender != "nginx" else None
            table.add_row(
                run.load,
                run.contender,
                f"{run.rate:,.0f}",
                f"{run.cpu_us:.1f}" if run.cpu_us else "-",
                "" if ratio is None else f"{ratio:.2f}",
                f"{run.p50_ms:.2f}",
                f"{run.p99_ms:.2f}",
                str(run.errors),
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
