"""Pages that show versions: by key, by equality, by Q, any; with each kind of serializer.

Each page says what it shows: for each of its updates, the instances with their versions.
"""

import json
import time

from django.db.models import Q
from django.http import HttpResponse

from tests.chaos.site.models import Item

ALL = ("added", "changed", "removed")
VERSION = {"version": "object.version"}
HTML = (
    "<!doctype html><title>chaos</title><body>"
    '<script id="shown" type="application/json">{}</script></body>'
)


def shown(**watched):
    values = {name: dict(rows.values_list("pk", "version")) for name, rows in watched.items()}
    return HttpResponse(HTML.format(json.dumps(values)))


def update(name, params, **options):
    return {"name": name, "model": Item, "params": params, "on": ALL, **options}


def versioned(request, item, data):
    return {"version": getattr(item, "version", None)}


def item(request, pk):
    return shown(item=Item.objects.filter(pk=pk))


def item_update(request, pk):
    return [update("item", {"pk": pk}, data=VERSION)]


def group(request, group):
    return shown(group=Item.objects.filter(group=group))


def group_update(request, group):
    return [update("group", {"group": group}, serializer=versioned, vary=())]


def high(request, level):
    return shown(high=Item.objects.filter(is_high(level)))


def high_update(request, level):
    return [update("high", is_high(level), data=VERSION)]


def is_high(level):
    return Q(level__gte=level) | Q(group="g0")


def everything(request):
    return shown(everything=Item.objects.all())


def everything_update(request):
    return [update("everything", {}, data=VERSION)]


def listed(request, group):
    return shown(listed=Item.objects.filter(group=group))


def listed_update(request, group):
    return [update("listed", {"group": group}, serializer="listed")]


def pair(request, pk, group):
    return shown(one=Item.objects.filter(pk=pk), several=Item.objects.filter(group=group))


def pair_update(request, pk, group):
    return [
        update("one", {"pk": pk}, serializer=versioned),
        update("several", {"group": group}, data=VERSION),
    ]


def own(request, pk):
    request.session.get("name")
    return shown(own=Item.objects.filter(pk=pk))


def own_update(request, pk):
    return [update("own", {"pk": pk}, data=VERSION)]


def slow(request, pk):
    return shown(slow=Item.objects.filter(pk=pk))


def slow_update(request, pk):
    return [update("slow", {"pk": pk}, serializer=slowly, vary=())]


def slowly(request, item, data):
    # It has read its row, and takes so long that the row is out of date by then: the
    # slowness is what is tested, and no test waits for it to be over.
    time.sleep(0.05)
    return versioned(request, item, data)


def save(request, pk, version):
    instance = Item.objects.get(pk=pk)
    instance.version = version
    instance.save()
    return HttpResponse("saved")
