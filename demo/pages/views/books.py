"""A list that its page gets from a REST API, and follows along the API's routes."""

import json
import time

from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from pages.forms import BookForm
from pages.models import Book
from serverpush.client import route_token


def books(request):
    return render(request, "pages/books.html", {"api": Book.get_api_list_url()})


@csrf_protect
@require_http_methods(["GET", "POST"])
def book_list(request):
    if request.method == "POST":
        return save(request, Book(), status=201)
    since = time.time()
    return JsonResponse({"books": [told(request, book, since) for book in Book.objects.all()]})


@csrf_protect
@require_http_methods(["GET", "PUT", "DELETE"])
def book_detail(request, pk):
    since = time.time()
    book = get_object_or_404(Book, pk=pk)
    if request.method == "PUT":
        return save(request, book, status=200)
    if request.method == "DELETE":
        book.delete()
        return HttpResponse(status=204)
    return JsonResponse(told(request, book, since))


def told(request, book, since):
    """What the API says of a book, and what it takes to follow it from before it was read."""
    return {
        "url": book.get_api_url(),
        "title": book.title,
        "since": since,
        "token": route_token(request, book),
    }


def save(request, book, status):
    since = time.time()
    try:
        data = json.loads(request.body)
    except ValueError:
        return JsonResponse({"error": "send JSON"}, status=400)
    form = BookForm(data if isinstance(data, dict) else {}, instance=book)
    if not form.is_valid():
        return JsonResponse({"error": form.errors["title"][0]}, status=400)
    return JsonResponse(told(request, form.save(), since), status=status)
