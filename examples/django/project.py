"""A project around the view, to try it."""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    DATA_UPLOAD_MAX_MEMORY_SIZE=64 * 1024 * 1024,
    ROOT_URLCONF=__name__,
    SECRET_KEY="only to try it",
    SLACKCHAT_SECRET=os.environ.get("WEBHOOK_SECRET"),
    SLACKCHAT_TOKEN=os.environ["WEBHOOK_VERIFICATION_TOKEN"],
)

from views import hook  # noqa: E402, only after the settings

urlpatterns = [path("slackchat/", hook)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
