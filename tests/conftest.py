"""What holds for every test: the loop that users get, and no measure of the machine's speed."""

import uvloop
from hypothesis import settings

# How long an example takes says how busy the machine is. The same examples each time, so that a
# change is judged by what it changes; `pytest --hypothesis-profile explore` looks for others.
settings.register_profile("any machine", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("any machine")


def pytest_asyncio_loop_factories(config, item):
    return {"uvloop": uvloop.new_event_loop}
