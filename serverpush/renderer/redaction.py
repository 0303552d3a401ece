"""Redaction: what lets a visitor in is taken out of what is logged."""

from __future__ import annotations

from collections.abc import Iterable

from serverpush.jobs import AccessJob, IdentifyJob, Job, RenderJob, ResolveJob, SubscribeJob
from serverpush.renderer.requests import cookie_values

# Less is no secret, and may be part of any word.
LEAST = 8


def redacted(text: str, job: Job) -> str:
    """The text with "…" for the values of the job's cookies, and for the keys of its sessions.

    And for their beginnings: an exception's text may be cut off anywhere.
    """
    for secret in _secrets(job):
        if len(secret) >= LEAST:
            text = _without(text, secret)
    return text


def _secrets(job: Job) -> Iterable[str]:
    if isinstance(job, RenderJob | ResolveJob | SubscribeJob):
        return cookie_values(job.visitor)
    if isinstance(job, AccessJob):
        return [key for key, _ in job.visits]
    return job.keys if isinstance(job, IdentifyJob) else ()


def _without(text: str, secret: str) -> str:
    start = 0
    while (start := text.find(secret[:LEAST], start)) >= 0:
        end = start + LEAST
        while end < len(text) and secret.startswith(text[start : end + 1]):
            end += 1
        text = f"{text[:start]}…{text[end:]}"
        start += 1
    return text
