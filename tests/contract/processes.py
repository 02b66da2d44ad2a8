"""``blbsim up`` in a process of its own, to be killed."""

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Self

from baidubce.auth.bce_credentials import BceCredentials
from baidubce.bce_client_configuration import BceClientConfiguration
from baidubce.retry.retry_policy import NoRetryPolicy
from baidubce.services.bls.bls_client import BlsClient
from command import PATIENCE_S


class SimulatorProcess:
    """A scenario that is up, with its data in ``directory``; started again it goes on there.

    Args:
        directory: of the scenario and its data.
        scenario: the text of the file.
        more: options of ``blbsim up``.
    """

    def __init__(self, directory: Path, scenario: str, *more: str) -> None:
        self.data = directory / "data"
        file = directory / "scenario.yaml"
        file.write_text(scenario)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "simulator", "up", file, "--json", "--free-ports"),
                *("--data-dir", self.data, *more),
            ],
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.endpoints: dict[str, Any] = json.loads(self.process.stdout.readline())

    def client(self) -> BlsClient:
        """The vendor's SDK, which tries nothing twice."""
        return BlsClient(
            BceClientConfiguration(
                credentials=BceCredentials(
                    self.endpoints["access_key"], self.endpoints["secret_key"]
                ),
                endpoint=self.endpoints["api"],
                retry_policy=NoRetryPolicy(),
            )
        )

    def call(self, path: str, body: object = None) -> dict[str, Any]:
        """The answer to a GET of the APIs, or to a POST of ``body``."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.endpoints["api"] + path, data)
        with urllib.request.urlopen(request) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def advance(self, by: str) -> None:
        self.call("/_sim/v1/clock/advance", {"by": by})

    def stop(self, number: int) -> int:
        """Send a signal and wait for the end; its exit status."""
        self.process.send_signal(number)
        status = self.process.wait(timeout=PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def kill(self) -> None:
        """``kill -9``; fine when it has ended."""
        self.stop(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
