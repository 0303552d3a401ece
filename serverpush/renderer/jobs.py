"""One job in, one result out, and nothing of it left for the next."""

from __future__ import annotations

from contextvars import copy_context
from dataclasses import replace

from django.db import close_old_connections, reset_queries

from serverpush.jobs import (
    AccessJob,
    IdentifyJob,
    Job,
    MatchJob,
    RenderJob,
    ResolveJob,
    SubscribeJob,
    UsersJob,
)
from serverpush.renderer.access import check, identify
from serverpush.renderer.handler import Chain
from serverpush.renderer.matching import match
from serverpush.renderer.once import logger
from serverpush.renderer.places import sentence
from serverpush.renderer.redaction import redacted
from serverpush.renderer.resolving import resolve
from serverpush.renderer.serializers import render
from serverpush.renderer.subscribing import subscribe
from serverpush.renderer.users import look_up
from serverpush.reporting import suppress
from serverpush.results import (
    AccessResult,
    IdentifyResult,
    MatchResult,
    RenderResult,
    ResolveResult,
    Result,
    SubscribeResult,
    UsersResult,
)


def run(chain: Chain, job: Job) -> Result:
    """Do a job; raises nothing.

    Language, time zone, URLconf and every other context variable are those of
    a copied context, so that they end with the job.
    """
    try:
        result = copy_context().run(_run, chain, job)
    except BaseException as error:  # noqa: BLE001
        problem = redacted(f"a {type(job).__name__} failed: {sentence(error)}", job)
        logger.error("%s", problem, exc_info=not isinstance(error, Exception))
        return failure(job, problem)
    # The push server logs it.
    return replace(result, error=redacted(result.error, job)) if result.error else result


def failure(job: Job, problem: str) -> Result:
    """The result of a job that came to nothing."""
    if isinstance(job, MatchJob):
        return MatchResult(None, error=problem)
    if isinstance(job, RenderJob):
        return RenderResult("failed", error=problem)
    if isinstance(job, AccessJob):
        return AccessResult((), problem)
    if isinstance(job, IdentifyJob):
        return IdentifyResult((), problem)
    if isinstance(job, UsersJob):
        return UsersResult((), problem)
    if isinstance(job, SubscribeJob):
        return SubscribeResult(False, error=problem)
    return ResolveResult(None, problem, has_failed=True)


def _run(chain: Chain, job: Job) -> Result:
    if isinstance(job, SubscribeJob):
        # No rendering: what its receivers write is a change like any other.
        return subscribe(chain, job)
    with suppress():
        if isinstance(job, RenderJob):
            return render(chain, job)
        if isinstance(job, ResolveJob):
            return resolve(chain, job)
        # These make no request, whose signals would do this.
        reset_queries()
        close_old_connections()
        try:
            if isinstance(job, MatchJob):
                return match(job)
            if isinstance(job, UsersJob):
                return look_up(job)
            return identify(job) if isinstance(job, IdentifyJob) else check(job)
        finally:
            close_old_connections()
