"""Users of a project's own, who have no flags, groups or permissions."""

import uuid

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models


class Member(AbstractBaseUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=100, unique=True)

    objects = BaseUserManager()

    USERNAME_FIELD = "name"
