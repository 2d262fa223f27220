import os
from threading import Lock

from flask import Flask, request

import slackchat

TOKEN = os.environ["WEBHOOK_VERIFICATION_TOKEN"]
SECRET = os.environ.get("WEBHOOK_SECRET")

app = Flask(__name__)
seen = slackchat.Seen()
working = Lock()


def work(payload):
    message = payload.get("message") or {}
    print(payload.get("update_type") or payload["type"], payload["channel"], message.get("content", ""), flush=True)


@app.post("/slackchat")
def hook():
    try:
        payload = slackchat.read(request.get_data(), request.headers, TOKEN, SECRET)
    except slackchat.Refused as refused:
        return str(refused), refused.status
    if payload["type"] == "url_verification":
        return payload["challenge"], 200, {"content-type": "text/plain"}
    notification_id = request.headers.get("webhook-id")
    # One at a time: a repeat can come while the first is still being worked on.
    with working:
        if notification_id not in seen:
            # What this raises is answered with 500, and the bridge sends the notification again.
            work(payload)
            seen.add(notification_id)
    return "", 200
