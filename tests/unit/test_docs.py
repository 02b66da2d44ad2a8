"""The docs say everything there is, and nothing that is not so."""

import argparse
import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from enum import EnumMeta
from pathlib import Path
from types import ModuleType

import pytest
from aiohttp import web

import simulator.scenario
from simulator import logstore
from simulator.accesslog import FIELDS
from simulator.api.admin import add_admin_routes
from simulator.api.metrics import encode_metrics
from simulator.api.simulation import LogServiceView, SimulationStatus
from simulator.cli.main import _parser
from simulator.model.fault_catalogue import CATALOGUE
from simulator.scenario import load_scenario
from simulator.verdict import parse_expectation
from simulator.verdict.expectation import FLOW_LOG_METRICS, HTTP_METRICS, LOAD_BALANCER_METRICS

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
ALL_TEXT = "\n".join(page.read_text() for page in PAGES)
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
MACHINE_PATHS = re.compile(r"/(?:work|root)/[\w.-]+")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def code_words(text: str) -> set[str]:
    """Whatever stands in back-quotes outside fenced blocks."""
    return set(re.findall(r"`([^`\n]+)`", FENCE.sub("", text)))


def options() -> Iterator[tuple[str, str]]:
    """Every verb with each of its long options."""
    for action in _parser()._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        for verb, parser in action.choices.items():
            for option in parser._actions:
                for name in option.option_strings:
                    if name.startswith("--") and name != "--help":
                        yield verb, name


def test_every_verb_and_option_of_the_command_is_documented():
    missing = [
        f"{verb} {name}"
        for verb, name in options()
        if not any(
            f"`blbsim {verb}" in line and (name in line or "the same" in line)
            for line in page("api.md").splitlines()
        )
    ]
    assert missing == []


def test_every_field_of_the_record_is_documented():
    words = code_words(page("record.md"))
    assert [field.name for field in FIELDS if field.name not in words] == []


def test_every_metric_that_can_be_expected_is_documented():
    """In a row of its own, or after the first of a row by its last part."""
    lines = page("scenario.md").splitlines()
    documented = {
        before + name
        for line in lines
        if (row := re.match(r"\| `((?:\w+\.<name>|http)\.(?:delay\.)?)", line))
        for before, name in [
            *(("", word) for word in re.findall(r"`(\w[^`]*)`", line.split("|")[1])),
            *((row[1], word) for word in re.findall(r"`\.([^`]*)`", line.split("|")[1])),
        ]
    }
    metrics = {
        *HTTP_METRICS,
        *(f"flow_log.<name>.{name}" for name in FLOW_LOG_METRICS),
        *(f"load_balancer.<name>.{name}" for name in LOAD_BALANCER_METRICS),
        "load_balancer.<name>.status.<code>",
        "load_balancer.<name>.status.4xx",
    }
    assert metrics - documented == set()
    for name in documented:
        example = name.replace("<name>", "shop").replace("<code>", "404")
        parse_expectation(f"{example} == {example}")


def test_every_metric_for_prometheus_is_documented():
    status = SimulationStatus(
        scenario="",
        version="",
        seed=0,
        ready=True,
        clock=None,  # type: ignore[arg-type]  not shown
        connections=0,
        dropped_records=0,
        spool=None,
        nodes=(),
        load_balancers=(),
        traffic=(),
        flow_logs=(),
        log_service=LogServiceView(log_stores=(), shippers=(), alarm_policies=()),
    )
    names = re.findall("^# TYPE (\\w+) ", encode_metrics(status), re.MULTILINE)
    assert len(names) > 8
    assert [name for name in names if name not in code_words(page("api.md"))] == []


def test_every_route_of_the_admin_api_is_documented():
    app = web.Application()
    add_admin_routes(app, None, token=None)  # type: ignore[arg-type]  nothing is called
    words = code_words(page("api.md"))
    routes = {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.method != "HEAD"
    }
    assert routes - words == set()


def scenario_keys() -> set[str]:
    """The keys that the readers of scenarios allow: the arguments of every ``mapping`` call."""
    keys: set[str] = set()
    for path in Path(simulator.scenario.__file__).parent.glob("*.py"):
        module = importlib.import_module(f"simulator.scenario.{path.stem}")
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr="mapping"), args=[allowed, *_]):
                    keys |= _constants(allowed, module)
    return keys


def _constants(node: ast.AST, module: ModuleType) -> set[str]:
    found: set[str] = set()
    for part in ast.walk(node):
        match part:
            case ast.Constant(value=str(text)):
                found.add(text)
            case ast.Name(id=name):
                value = getattr(module, name, None)
                if isinstance(value, EnumMeta):
                    found |= {member.value for member in value}
                elif isinstance(value, tuple | list | dict | frozenset):
                    found |= set(value)
    return found


def test_every_key_of_a_scenario_is_documented():
    keys = scenario_keys()
    assert {"version", "bind", "lognormal", "client_header", "rotate", "that"} <= keys
    text = page("scenario.md")
    words = set(re.findall(r"[a-z_0-9]+", " ".join(code_words(text))))
    assert keys - words == set()


def test_the_generated_parts_are_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def anchors(path: Path) -> set[str]:
    """The anchors of the headings of a page, as the usual renderers make them."""
    text = FENCE.sub("", path.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(path: Path):
    broken = []
    for link in LINK.findall(FENCE.sub("", path.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


SCENARIOS = [
    (path.name, text)
    for path in PAGES
    for language, text in FENCE.findall(path.read_text())
    if language == "yaml" and text.startswith("version:")
]


@pytest.mark.parametrize(("where", "text"), SCENARIOS)
def test_whole_scenarios_in_the_docs_load(where: str, text: str, tmp_path: Path):
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    assert load_scenario(path).path == path


def test_the_readme_shows_the_quickstart_as_it_is():
    quickstart = (ROOT / "scenarios" / "quickstart.yaml").read_text()
    [shown] = [text for name, text in SCENARIOS if name == "README.md"]
    assert shown == quickstart[quickstart.index("version: 1") :]


def test_the_readme_counts_the_faults_right():
    assert f"catalogue of {len(CATALOGUE)} faults" in (ROOT / "README.md").read_text()


def test_python_in_the_docs_compiles():
    blocks = [text for language, text in FENCE.findall(ALL_TEXT) if language == "python"]
    assert len(blocks) >= 4
    for text in blocks:
        compile(text, "docs", "exec")


def test_the_errors_shown_are_the_errors_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    blocks = FENCE.findall(page("scenario.md"))
    [bad] = [text for language, text in blocks if language == "text" and "broken" in text]
    [shown] = [text for language, text in blocks if language == "console" and "bad.yaml" in text]
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(bad)
    with pytest.raises(simulator.errors.ScenarioError) as caught:
        load_scenario(Path("bad.yaml"))
    assert [str(problem) for problem in caught.value.problems] == shown.splitlines()[1:-1]


def tracked_texts() -> list[Path]:
    """Every text file that belongs to the project, without asking git."""
    kept = {"", ".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".json", ".cfg"}
    top = [path for path in ROOT.iterdir() if path.is_file() and not path.name.startswith(".")]
    folders = ("simulator", "docs", "scenarios", "tests", "benchmarks")
    below = [path for name in folders for path in (ROOT / name).rglob("*") if path.is_file()]
    return [
        path
        for path in (*top, *below)
        if path.suffix in kept and "__pycache__" not in path.parts and "results" not in path.parts
    ]


def test_the_map_of_the_log_service_names_what_there_is():
    there = {module.name for module in pkgutil.iter_modules(logstore.__path__)}
    named = set(re.findall(r"``(\w+)``", logstore.__doc__ or ""))
    assert named - there == set()


def test_no_file_names_a_place_on_somebodys_machine():
    named = {
        f"{path.relative_to(ROOT)}: {found}"
        for path in tracked_texts()
        if path != Path(__file__)
        for found in MACHINE_PATHS.findall(path.read_text(errors="replace"))
    }
    assert named == set()
