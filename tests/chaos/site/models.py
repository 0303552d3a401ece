"""What the pages depend on."""

from django.db import models


class Item(models.Model):
    """A row whose ``version`` grows with each save, whoever makes it."""

    version = models.BigIntegerField()
    group = models.CharField(max_length=20, db_index=True)
    level = models.IntegerField()
