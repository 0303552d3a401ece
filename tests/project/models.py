"""One model for each thing that a dependency can be about."""

import uuid
from typing import Any

from django.db import models
from django.utils.functional import lazystr


class Author(models.Model):
    name = models.CharField(max_length=100)
    email = models.EmailField(blank=True)


class Tag(models.Model):
    name = models.CharField(max_length=100, unique=True)


class Book(models.Model):
    title = models.CharField(max_length=200)
    author = models.ForeignKey(Author, null=True, blank=True, on_delete=models.CASCADE)
    price = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    published = models.DateField(null=True, blank=True)
    in_print = models.BooleanField(default=True)
    stock = models.IntegerField(default=0)
    minimum = models.IntegerField(default=0)
    details = models.JSONField(default=dict, blank=True)
    tags = models.ManyToManyField(Tag, blank=True, related_name="books")


class Novel(Book):
    """A child by multi-table inheritance."""

    genre = models.CharField(max_length=50, blank=True)


class BookProxy(Book):
    class Meta:
        proxy = True


class Device(models.Model):
    """A model whose key is no number."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=100)


class VisibleManager(models.Manager["Note"]):
    def get_queryset(self) -> models.QuerySet["Note"]:
        return super().get_queryset().filter(hidden=False)


class Note(models.Model):
    """A model whose default manager hides some of its rows."""

    text = models.CharField(max_length=200)
    hidden = models.BooleanField(default=False)

    objects = VisibleManager()
    everything = models.Manager()  # noqa: DJ012 - the first is the default one


class Edition(models.Model):
    """A parent whose key has a name of its own, so that a child can have two parents."""

    edition_id = models.BigAutoField(primary_key=True)
    year = models.IntegerField(default=2000)


class Reprint(Book, Edition):
    """A child with two parents, and so with two keys."""


class Person(models.Model):
    name = models.CharField(max_length=100)
    friends = models.ManyToManyField("self")
    follows = models.ManyToManyField("self", symmetrical=False, related_name="followers")


class Club(models.Model):
    """Its relation refers to the other side by a field that is not the key."""

    name = models.CharField(max_length=100)
    tags = models.ManyToManyField(Tag, through="Membership", related_name="clubs")


class Seat(models.Model):
    """A model whose key is two fields together."""

    pk = models.CompositePrimaryKey("row", "number")
    row = models.IntegerField()
    number = models.IntegerField()


class Membership(models.Model):
    club = models.ForeignKey(Club, on_delete=models.CASCADE)
    tag = models.ForeignKey(Tag, to_field="name", on_delete=models.CASCADE)


class Article(models.Model):
    """A model with a REST URL."""

    title = models.CharField(max_length=100)

    def get_api_url(self) -> str:
        if self.title == "lost":
            raise LookupError("there is no such URL")
        return f"/api/articles/{self.pk}/"

    @classmethod
    def get_api_list_url(cls) -> str:
        return "/api/articles/"


class Report(Article):
    """Its child by multi-table inheritance."""


class Review(Article):
    """A child that has a route of its own, of both kinds made when they are needed."""

    def get_api_url(self) -> Any:
        return lazystr(f"/api/reviews/{self.pk}/")

    @classmethod
    def get_api_list_url(cls) -> str:
        return "/api/reviews/"


class Comment(models.Model):
    """One that has no list."""

    text = models.CharField(max_length=100)

    def get_api_url(self) -> str:
        return f"/api/comments/{self.pk}/" if self.text != "nowhere" else ""
