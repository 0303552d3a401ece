"""``{% load bell %}``: how many notes wait for the user."""

from django import template

from pages.models import Note

register = template.Library()


@register.simple_tag
def unread(user):
    return Note.unread(user)
