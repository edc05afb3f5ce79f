"""One message to one incoming webhook. Knows Slack's wire form and nothing of alerts.

Slack takes ``{"text": ...}`` in its own markup by POST; so do Mattermost and Rocket.Chat, and Discord under ``/slack``.
An address of this machine is allowed: the local user set it (docs/alerts.md). Redirects are not followed.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

TIMEOUT = 10.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
LONGEST = 3500
"""Characters of a message; Slack cuts at 4000."""


class Answer(NamedTuple):
    """What a channel said. `outcome`: "sent", or why not. `again`: the same message may get through later, not before `pause` seconds."""

    ok: bool
    outcome: str
    again: bool = False
    pause: float = 0.0


def send(url: str, text: str) -> Answer:
    """POST `text`. Never raises; takes at most about `TIMEOUT` seconds."""
    if len(text) > LONGEST:
        text = text[:LONGEST] + "..."
    proxies = urlsplit(url).hostname not in LOOPBACK
    try:
        body = {"text": text.encode("utf-8", "replace").decode()}
        answer = httpx.post(url, json=body, timeout=TIMEOUT, follow_redirects=False, trust_env=proxies)
    except httpx.InvalidURL:
        return Answer(False, "the address is not one")
    except httpx.HTTPError as error:
        return Answer(False, f"no answer: {str(error) or type(error).__name__}", again=True)
    if answer.is_success:
        return Answer(True, "sent")
    said = answer.text.strip().splitlines()[0][:100] if answer.text.strip() else answer.reason_phrase
    outcome = f"{answer.status_code} {said}".strip()
    if answer.status_code == 429 or answer.status_code >= 500:
        return Answer(False, outcome, again=True, pause=_seconds(answer.headers.get("retry-after", "")))
    return Answer(False, outcome)


def escape(text: str) -> str:
    """`text` as it must stand in Slack's markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shortened(url: str) -> str:
    """A webhook's address as it may be shown: where it goes, and its last characters."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}/...{url[-4:] if len(parts.path) > 8 else ''}"


def _seconds(text: str) -> float:
    try:
        return min(max(0.0, float(text)), 3600.0)
    except ValueError:  # absent, or a date
        return 0.0
