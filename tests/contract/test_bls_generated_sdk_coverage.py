"""That no method of the vendor's generated SDK is left out of its tests."""

import ast
from pathlib import Path

from baiducloud_python_sdk_bls.api.bls_client import BlsClient


def test_every_method_is_called() -> None:
    methods = {
        name
        for name, value in vars(BlsClient).items()
        if callable(value) and not name.startswith("_")
    }
    called: set[str] = set()
    for path in Path(__file__).parent.glob("test_bls_generated_sdk_*.py"):
        called |= {
            node.attr
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "sdk"
        }
    assert len(methods) == 68
    assert methods - called == set()
