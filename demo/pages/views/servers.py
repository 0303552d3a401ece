"""Of the demo with several push servers: the button that kills one of them."""

import os
import signal
from pathlib import Path

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_POST


def there():
    """Does the demo run with several push servers?"""
    return "DEMO_SERVERS" in os.environ


@require_POST
def kill(request):
    """End the push server with this port at once, as a crash would."""
    port = request.POST.get("port", "")
    path = Path(os.environ.get("DEMO_SERVERS", ""), f"{port}.pid")
    if not there() or not port.isdigit() or not path.exists():
        raise Http404(f"there is no push server {port!r}")
    os.kill(int(path.read_text()), signal.SIGKILL)
    return HttpResponse(status=204)
