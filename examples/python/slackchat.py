"""What a receiver in Python checks. Nothing but the standard library."""

import base64
import hashlib
import hmac
import json
import time
from collections import OrderedDict

TOLERANCE_SECONDS = 300
TYPES = ("url_verification", "update_notification", "republish_request", "unpublish_request")


class Refused(Exception):
    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def read(body, headers, token, secret=None):
    """The payload of a request.

    body: bytes, as they came. headers: anything with get(name). secret: "whsec_…", several separated by spaces.
    Raises Refused, with the status to answer.
    """
    if secret is not None and not signed(body, headers, secret):
        raise Refused(403, "the signature is wrong")
    try:
        payload = json.loads(body)
    except ValueError:
        raise Refused(400, "the body is not JSON") from None
    given = payload.get("token") if isinstance(payload, dict) else None
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(errors="surrogatepass"), token.encode()):
        raise Refused(403, "the token is wrong")
    if payload.get("type") not in TYPES:
        raise Refused(400, "the type is not known")
    return payload


def signed(body, headers, secret):
    """Standard Webhooks: HMAC-SHA256 over id, timestamp and body, with one of the secrets, not long ago."""
    name, sent_at, signatures = (headers.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) < 20) or abs(time.time() - int(sent_at)) > TOLERANCE_SECONDS:
        return False
    keys = [base64.b64decode(one.removeprefix("whsec_") + "==") for one in secret.split()]
    expected = [base64.b64encode(hmac.digest(key, f"{name}.{sent_at}.".encode() + body, hashlib.sha256)) for key in keys if key]
    given = [one.removeprefix("v1,").encode() for one in signatures.split() if one.startswith("v1,")]
    return any([hmac.compare_digest(one, other) for one in given for other in expected])


class Seen:
    """The ids of the last notifications that were dealt with, in this process. Several processes need a store that they share."""

    def __init__(self, limit=100_000):
        self.limit = limit
        self.ids = OrderedDict()

    def __contains__(self, notification_id):
        return notification_id in self.ids

    def add(self, notification_id):
        if notification_id is None:
            return
        self.ids[notification_id] = True
        if len(self.ids) > self.limit:
            self.ids.popitem(last=False)
