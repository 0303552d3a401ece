"""Sites with several push servers for the tests of a module."""

from __future__ import annotations

import pytest

from tests.cluster.several import Several


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two push servers on one Redis, with a site that has an author and users."""
    several = Several(tmp_path_factory.mktemp("two"))
    try:
        several.start(2)
        several.site.add_people()
        yield several
    finally:
        several.stop()


@pytest.fixture
def several(tmp_path):
    """Starts as many push servers as are asked for, for one test alone."""
    started = []

    def start(count, redis=None, **environ):
        started.append(Several(tmp_path / str(len(started)), **(redis or {})))
        return started[-1].start(count, **environ)

    yield start
    for each in started:
        each.stop()
