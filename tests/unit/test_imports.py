"""Each module can be imported first: none leans on what another import happened to do."""

import os
import re
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

# One process, which forks: the child has imported nothing of ours. Whatever is imported first, the
# packages around it are imported before; what they import with them has passed with them. What
# costs most of the time, the libraries, is imported once before; they cannot hide an order among
# our modules.
SCRIPT = """
import importlib, os, sys, traceback
import aiohttp.web, cryptography.x509, duckdb, lark, msgspec, rich.progress, sqlglot, uvloop, yaml
def imports_alone(name):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    good = False
    try:
        importlib.import_module(name)
        good = all([
            imports_alone(each)
            for each in sys.argv[1:]
            if each.startswith(name + ".")
            and each not in sys.modules
            and each.rpartition(".")[0] in sys.modules
        ])
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(0 if good else 1)
sys.exit(not imports_alone("simulator"))
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


def test_no_test_imports_from_a_conftest_by_that_name_alone():
    """Several directories have one: the first that was collected would be the one found."""
    tests = Path(__file__).parents[1]
    importing = re.compile(r"^\s*(from|import) conftest\b", re.MULTILINE)
    found = [path.name for path in tests.rglob("*.py") if importing.search(path.read_text())]
    assert found == []
