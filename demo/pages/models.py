from django.conf import settings
from django.db import models
from django.urls import reverse


class Counter(models.Model):
    """There is one, with the key 1."""

    value = models.PositiveIntegerField(default=0)


class Person(models.Model):
    """Who is greeted; there is one, with the key 1."""

    name = models.CharField(max_length=40)


class Task(models.Model):
    class Column(models.TextChoices):
        TODO = "todo", "To do"
        DOING = "doing", "Doing"
        DONE = "done", "Done"

    title = models.CharField(max_length=80)
    column = models.CharField(max_length=5, choices=Column, default=Column.TODO)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False
    )

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return self.title

    @classmethod
    def board(cls):
        """Each column's label with its tasks, and the columns a task can move to from there."""
        tasks = list(cls.objects.select_related("changed_by"))
        columns = list(cls.Column)
        return [
            {
                "name": column.value,
                "label": column.label,
                "tasks": [task for task in tasks if task.column == column],
                "left": columns[place - 1] if place else None,
                "right": columns[place + 1] if place + 1 < len(columns) else None,
            }
            for place, column in enumerate(columns)
        ]


class Line(models.Model):
    """What somebody said in the chat; kept for those who come later."""

    name = models.CharField(max_length=150, editable=False)
    text = models.CharField(max_length=200)

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return f"{self.name}: {self.text}"

    @classmethod
    def latest(cls, count=30):
        return list(cls.objects.order_by("-pk")[:count])[::-1]


class Note(models.Model):
    """What one user wrote to another."""

    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", editable=False
    )
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notes"
    )
    text = models.CharField(max_length=200)
    is_seen = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ["-pk"]

    def __str__(self):
        return f"{self.sender} to {self.recipient}: {self.text}"

    @classmethod
    def latest(cls, user, count=30):
        return cls.objects.filter(recipient=user).select_related("sender")[:count]

    @classmethod
    def unread(cls, user):
        return cls.objects.filter(recipient=user, is_seen=False).count()


class Book(models.Model):
    """One of the reading list, which is a REST API."""

    title = models.CharField(max_length=80)

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return self.title

    def get_api_url(self):
        return reverse("book_detail", args=[self.pk])

    @classmethod
    def get_api_list_url(cls):
        return reverse("book_list")
