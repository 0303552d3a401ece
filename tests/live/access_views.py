"""Pages that users see as long as they may, and what ends that."""

import time

from django.contrib.auth import login
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone

from serverpush.client import notify
from tests.project.models import Author

PAGE = "<!doctype html><title>{0}</title><body>{0}</body>"


def me(request):
    return HttpResponse(PAGE.format(request.user.username))


def me_update(request):
    return [
        {"name": "me", "model": User, "params": {"pk": request.user.pk}, "data": ["first_name"]}
    ]


@permission_required("project.view_author", raise_exception=True)
def vault(request):
    return HttpResponse(PAGE.format("vault"))


def vault_update(request):
    return [{"name": "vault", "model": Author, "data": ["name"]}]


def join(request, name):
    """Log in as a user who is made for it, and is one of the readers."""
    user, is_new = User.objects.get_or_create(username=name)
    if is_new:
        user.set_password("first")
        user.save()
        user.groups.add(readers())
    login(request, user)
    return HttpResponse("in")


def change(request, name, what):
    """Let something happen to a user; tells when it was committed, in seconds."""
    CHANGES[what](User.objects.get(username=name))
    return HttpResponse(str(time.time()))


def readers():
    group, _ = Group.objects.get_or_create(name="readers")
    permission = Permission.objects.get(content_type__app_label="project", codename="view_author")
    group.permissions.add(permission)
    return group


def rename(user):
    user.first_name = "new"
    user.save()


def set_password(user):
    with transaction.atomic():
        user.set_password("second")
        user.save()


def deactivate(user):
    user.is_active = False
    user.save()


def roll_back(user):
    with transaction.atomic():
        deactivate(user)
        user.delete()
        transaction.set_rollback(True)


def deactivate_silently(user):
    User.objects.filter(pk=user.pk).update(is_active=False)


def sessions_of(user):
    keys = [
        each.session_key
        for each in Session.objects.all()
        if each.get_decoded().get("_auth_user_id") == str(user.pk)
    ]
    return Session.objects.filter(session_key__in=keys)


CHANGES = {
    "renamed": rename,
    "another-password": set_password,
    "not-active": deactivate,
    "deleted": lambda user: user.delete(),
    "rolled-back": roll_back,
    "not-a-reader": lambda user: user.groups.clear(),
    "silently-not-active": deactivate_silently,
    "sessions-expired": lambda user: sessions_of(user).update(expire_date=timezone.now()),
    "sessions-deleted": lambda user: sessions_of(user)._raw_delete("default"),
    "told-a-secret": lambda user: notify({"of": user.username}, users=[user], event="secret"),
    "readers-lose-it": lambda user: readers().permissions.clear(),
}
