"""Whoever has the same where a rendering read gets the same from it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serverpush.protocol import Page, Serializer, Visitor
from serverpush.renderer.jobs import run
from serverpush.server.core.connection import Connection
from tests.renderer.conftest import log_in, render_job
from tests.renderer.views_notes import READERS, TEMPLATES

pytestmark = pytest.mark.django_db

PROGRAM = Serializer("function", "tests.renderer.views_notes:program")
NAMES = st.sampled_from(["a", "b", "name", "User-Agent", "Accept-Language", "Cookie"])
STEPS = st.one_of(
    st.tuples(st.sampled_from(sorted(set(READERS) - {"template"})), NAMES),
    st.tuples(st.just("template"), st.sampled_from([str(each) for each in range(len(TEMPLATES))])),
)
PROGRAMS = st.recursive(
    st.just([]),
    lambda more: st.lists(
        st.tuples(STEPS, more).map(lambda step: [*step[0], step[1]]), min_size=1, max_size=3
    ),
    max_leaves=4,
)


@pytest.fixture
def sessions(settings, ann, bob):
    ann.is_superuser = True
    ann.save()
    return ["", log_in(settings, ann), log_in(settings, bob), log_in(settings, bob, name="x")]


def test_in_whatever_way_it_reads(chain, book, sessions):
    visitors = st.builds(
        Visitor,
        cookie=st.tuples(
            st.sampled_from(sessions), st.sampled_from(["", "a=1", "a=2", "a=1; b=1"])
        ).map(lambda pair: "; ".join(filter(None, pair))),
        accept_language=st.sampled_from(["de", "en"]),
        user_agent=st.sampled_from(["Browser/1", "Browser/2"]),
        address=st.sampled_from(["192.0.2.1", "192.0.2.2"]),
    )
    pages = st.builds(
        Page,
        path=st.sampled_from(["/ask/", "/hello/"]),
        query=st.sampled_from(["", "a=1", "a=2&b=1"]),
        host=st.just("testserver"),
        language=st.just("en"),
    )
    shared = 0

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(program=PROGRAMS, clients=st.lists(st.tuples(pages, visitors), min_size=2, max_size=6))
    def check(program, clients):
        nonlocal shared
        results = []
        for page, visitor in clients:
            job = render_job(
                PROGRAM,
                book,
                path=page.path,
                query=page.query,
                language=page.language,
                data=program,
                visitor=visitor,
            )
            results.append((Connection("", page, visitor), run(chain, job)))
        for lead, result in results:
            assert result.status == "done", result
            reads = frozenset(result.reads)
            for other, own in results:
                if lead.values(reads) == other.values(reads):
                    shared += lead is not other
                    assert own.payload == result.payload, (program, reads)
                    assert own.reads == result.reads

    check()
    assert shared > 40
