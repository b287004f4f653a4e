"""Notifications about the end of a run."""

import json
from pathlib import Path
from typing import Any

import urllib3

from swallow_spark.addresses import pool_of, proxy_of
from swallow_spark.errors import UsageError


def notify(target: str, outcome: dict[str, Any]) -> str | None:
    """Sends the outcome as a JSON object: by POST to an http(s) URL, or as a new line of a file. Returns None, or an
    error message without the address, which may be a secret."""
    line = json.dumps(outcome, ensure_ascii=False)
    try:
        if target.startswith(("http://", "https://")):
            headers, retries = {"Content-Type": "application/json"}, urllib3.Retry(3, backoff_factor=1)
            pool = pool_of(proxy_of(target))
            answer = pool.request("POST", target, body=line.encode(), headers=headers, retries=retries, timeout=30)
            return None if answer.status < 300 else f"the notification was answered by HTTP status {answer.status}"
        with Path(target).open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
    except (OSError, urllib3.exceptions.HTTPError, UsageError) as error:
        return f"the notification can't be sent ({type(error).__name__})"
    return None
