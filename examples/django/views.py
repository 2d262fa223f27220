from django.conf import settings
from django.core.cache import cache
from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

import slackchat

WEEK = 7 * 24 * 60 * 60


def work(payload):
    message = payload.get("message") or {}
    print(payload.get("update_type") or payload["type"], payload["channel"], message.get("content", ""), flush=True)


@csrf_exempt
@require_POST
def hook(request):
    try:
        payload = slackchat.read(request.body, request.headers, settings.SLACKCHAT_TOKEN, settings.SLACKCHAT_SECRET)
    except slackchat.Refused as refused:
        return HttpResponse(str(refused), status=refused.status)
    if payload["type"] == "url_verification":
        return HttpResponse(payload["challenge"], content_type="text/plain")
    notification_id = request.headers.get("webhook-id")
    seen = f"slackchat:{notification_id}"
    if notification_id is None or not cache.get(seen):
        # What this raises is answered with 500, and the bridge sends the notification again.
        work(payload)
        cache.set(seen, True, WEEK)
    return HttpResponse()
