"""What a deploy asks."""

import time

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from wagtail.models import Page

from .release import RELEASE


@never_cache
def health(request: HttpRequest) -> JsonResponse:
    """Whether this release can do its work: it answers only when its tables do."""
    return JsonResponse({"release": RELEASE, "pages": Page.objects.count()})


@never_cache
def slow(request: HttpRequest) -> JsonResponse:
    """Answer after ``?s=`` seconds, to watch a request in flight survive a deploy; not for a real site."""
    seconds = min(float(request.GET.get("s", 30)), 600)
    time.sleep(seconds)
    return JsonResponse({"release": RELEASE, "slept_s": seconds})
