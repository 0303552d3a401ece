"""``{% load servers %}``: does the demo run with several push servers?"""

from django import template

from pages.views.servers import there

register = template.Library()


@register.simple_tag
def several_servers():
    return there()
