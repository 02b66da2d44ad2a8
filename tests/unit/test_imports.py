"""Each module can be imported first: none leans on what another import happened to do."""

import os
import subprocess
import sys
from pathlib import Path

import simulator

PACKAGE = Path(simulator.__file__).parent
MODULES = sorted(
    ".".join(("simulator", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    )
    for path in PACKAGE.rglob("*.py")
    if path.name != "__main__.py"
)

# One process, which forks for each module: the child has imported nothing of ours. What costs most
# of the time, the libraries, is imported once before; they cannot hide an order among our modules.
SCRIPT = """
import importlib, os, sys, traceback
import aiohttp.web, duckdb, lark, msgspec, rich.progress, sqlglot, uvloop, yaml
failed = []
for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(name)
sys.exit(", ".join(failed) or 0)
"""


def test_each_module_imports_alone():
    assert "simulator.exchange.exchange" in MODULES
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *MODULES],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_cheap_verbs_do_not_import_the_heavy_libraries():
    script = "import sys, simulator.cli; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert {"duckdb", "moto", "sqlglot", "aiohttp"} & set(done.stdout.split()) == set()
