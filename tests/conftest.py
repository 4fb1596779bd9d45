"""What all tests share: the option that rewrites recorded expectations, and the tests that must not run side by side."""

import os

import pytest
from hypothesis import settings

# Properties are checked without a deadline for each example: on a shared machine it would measure its neighbours. The
# examples follow from the code, so that a change is judged by itself and not by luck; `make explore` draws new ones.
settings.register_profile("counter", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1_000, print_blob=True)
settings.load_profile("counter")

# Where it is set, programs that hold back what they say to a pipe would seem not to.
os.environ.pop("PYTHONUNBUFFERED", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write recorded expectations (transcripts) anew")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `serial` go to one worker, one after another."""
    for item in items:
        if item.get_closest_marker("serial"):
            item.add_marker(pytest.mark.xdist_group("serial"))


@pytest.fixture(scope="session")
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether recorded expectations are to be written anew rather than compared."""
    return bool(request.config.getoption("--rewrite"))
