"""What all tests share: the option that rewrites recorded expectations, and the tests that must not run side by side."""

import os

import pytest

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
