import json
import re
from html import unescape
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import TestCase
from django.urls import reverse

from pages.highlight import highlight
from pages.models import Book, Counter, Note, Person, Task

LIVE = ["home", "counter", "hello", "hello_fields", "hello_function", "hello_view", "tasks"]
STATIC = Path(settings.BASE_DIR) / "static" / "demo"

# As django-serverpush's first README had them.
USERNAME_CHANGE = """\
$(document).bind('serverpush_username_change', function(event, data) {
  $('body').html('Hey, ' + data.username + '!');
});
"""
RELOAD = """\
$(document).bind('serverpush_reload', function(event, data) {
  $('body').html(data);
});
"""


def shown_code(response):
    """The text of each code block of a page."""
    blocks = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", response.content.decode(), re.S)
    return [unescape(re.sub(r"<[^>]+>", "", block)) for block in blocks]


class PagesTest(TestCase):
    def test_every_page_is_live(self):
        for name in LIVE:
            with self.subTest(page=name):
                response = self.client.get(reverse(name))
                record = re.search(r'id="serverpush-page"[^>]*>(.*?)<', response.content.decode())
                assert response.status_code == 200
                assert json.loads(record[1])["page"]

    def test_every_page_is_live_logged_in(self):
        self.client.force_login(get_user_model().objects.get(username="ada"))
        for name in LIVE:
            with self.subTest(page=name):
                self.assertContains(self.client.get(reverse(name)), "serverpush-page")

    def test_greetings_are_the_same_for_everybody(self):
        for name in ("hello_fields", "hello_function", "hello_view"):
            assert "Cookie" not in self.client.get(reverse(name)).get("Vary", "")

    def test_shown_code_is_the_real_one(self):
        files = [*(settings.BASE_DIR / "pages" / "views").glob("*.py"), *STATIC.glob("*.js")]
        # Functions are shown with one blank line between them.
        texts = [re.sub(r"\n\n\n", "\n\n", path.read_text()) for path in files]
        shown = 0
        for name in ("home", "counter", "hello", "tasks"):
            for code in shown_code(self.client.get(reverse(name))):
                shown += 1
                for function in re.split(r"\n\n(?=\S)", code):
                    assert any(function in text for text in texts), function
        assert shown == 12

    def test_scripts_are_the_first_readmes(self):
        assert (STATIC / "username_change.js").read_text() == USERNAME_CHANGE
        assert (STATIC / "reload.js").read_text() == RELOAD

    def test_code_is_escaped(self):
        assert "&lt;b&gt;" in highlight('x = "<b>"  # <b>', "python")
        assert "<b>" not in highlight('x = "<b>"  # <b>', "python")


class CounterTest(TestCase):
    def test_increment(self):
        for _ in range(2):
            self.assertRedirects(self.client.post(reverse("increment")), reverse("counter"))
        assert Counter.objects.get().value == 2

    def test_only_by_post(self):
        assert self.client.get(reverse("increment")).status_code == 405


class HelloTest(TestCase):
    def test_rename(self):
        response = self.client.post(reverse("rename"), {"name": "Grace"}, follow=True)
        self.assertContains(response, 'value="Grace"')
        self.assertContains(self.client.get(reverse("hello_view")), "Hey, Grace!")

    def test_name_is_no_markup(self):
        Person.objects.update(name="<b>&")
        for name in ("home", "hello", "hello_fields", "hello_function", "hello_view"):
            self.assertNotContains(self.client.get(reverse(name)), "<b>&")

    def test_name_is_required(self):
        response = self.client.post(reverse("rename"), {"name": " "})
        self.assertContains(response, "Whom shall the pages greet?", status_code=400)
        assert Person.objects.get().name == "Ada"


class TasksTest(TestCase):
    def setUp(self):
        self.ada = get_user_model().objects.get(username="ada")
        self.task = Task.objects.filter(column="todo")[0]

    def edit(self, name, *, task=None, **data):
        return self.client.post(reverse(name, args=[task.pk] if task else []), data)

    def test_log_in_with_the_password_that_the_page_tells(self):
        for name in ("ada", "grace"):
            response = self.client.post(reverse("login"), {"username": name, "password": "demo"})
            self.assertRedirects(response, reverse("tasks"))

    def test_read_only_when_logged_out(self):
        response = self.client.get(reverse("tasks"))
        self.assertContains(response, "Log in to edit")
        self.assertContains(response, self.task.title)
        self.assertNotContains(response, "<form")

    def test_nothing_is_edited_when_logged_out(self):
        before = list(Task.objects.values())
        login = f"{reverse('login')}?next={reverse('tasks')}"
        self.assertRedirects(self.edit("add_task", title="New"), login)
        self.assertRedirects(self.edit("rename_task", task=self.task, title="New"), login)
        self.assertRedirects(self.edit("move_task", task=self.task, column="done"), login)
        self.assertRedirects(self.edit("delete_task", task=self.task), login)
        assert list(Task.objects.values()) == before

    def test_add(self):
        self.client.force_login(self.ada)
        self.assertRedirects(self.edit("add_task", title="New <b>"), reverse("tasks"))
        task = Task.objects.get(title="New <b>")
        assert (task.column, task.changed_by) == ("todo", self.ada)
        self.assertContains(self.client.get(reverse("tasks")), "New &lt;b&gt;")

    def test_rename_move_delete(self):
        self.client.force_login(self.ada)
        self.edit("rename_task", task=self.task, title="Renamed")
        self.edit("move_task", task=self.task, column="done")
        self.task.refresh_from_db()
        assert (self.task.title, self.task.column) == ("Renamed", "done")
        self.assertRedirects(self.edit("delete_task", task=self.task), reverse("tasks"))
        assert not Task.objects.filter(pk=self.task.pk).exists()

    def test_what_is_not_valid_is_told(self):
        self.client.force_login(self.ada)
        for name, task, data in [
            ("add_task", None, {"title": " "}),
            ("add_task", None, {"title": "x" * 81}),
            ("rename_task", self.task, {"title": ""}),
            ("move_task", self.task, {"column": "elsewhere"}),
        ]:
            with self.subTest(name=name, data=data):
                response = self.edit(name, task=task, **data)
                self.assertContains(response, 'class="error"', status_code=400)

    def test_a_task_that_is_gone(self):
        self.client.force_login(self.ada)
        self.task.delete()
        self.task.pk = 10**6
        assert self.edit("rename_task", task=self.task, title="x").status_code == 404
        self.assertRedirects(self.edit("delete_task", task=self.task), reverse("tasks"))


class BellTest(TestCase):
    def setUp(self):
        users = get_user_model().objects
        self.ada, self.grace = users.get(username="ada"), users.get(username="grace")
        self.client.force_login(self.ada)

    def ring(self, **data):
        return self.client.post(reverse("ring"), {"recipient": self.grace.pk, "text": "Hi", **data})

    def test_it_is_for_those_who_are_logged_in(self):
        self.client.logout()
        for response in (self.client.get(reverse("bell")), self.ring()):
            assert response.status_code == 302
            assert response["Location"].startswith(reverse("login"))
        assert not Note.objects.exists()

    def test_a_note_is_its_recipients(self):
        self.assertRedirects(self.ring(text="<b>Hi"), reverse("bell"))
        self.assertNotContains(self.client.get(reverse("bell")), "&lt;b&gt;Hi")
        self.client.force_login(self.grace)
        response = self.client.get(reverse("bell"))
        self.assertContains(response, "&lt;b&gt;Hi")
        self.assertContains(response, 'data-unread="1"')
        self.client.post(reverse("seen"))
        self.assertContains(self.client.get(reverse("home")), 'data-unread="0"')

    def test_what_is_not_valid_is_told(self):
        for data in ({"text": " "}, {"text": "x" * 201}, {"recipient": 10**6}, {"recipient": "x"}):
            with self.subTest(data=data):
                self.assertContains(self.ring(**data), 'class="error"', status_code=400)


class BooksTest(TestCase):
    def ask(self, method, url, data=None):
        ask = getattr(self.client, method)
        return ask(url, json.dumps(data), content_type="application/json")

    def test_the_list_and_each_book(self):
        told = self.client.get(reverse("book_list")).json()["books"]
        assert [each["title"] for each in told] == [str(book) for book in Book.objects.all()]
        assert self.client.get(told[0]["url"]).json()["title"] == told[0]["title"]

    def test_add_rename_delete(self):
        response = self.ask("post", reverse("book_list"), {"title": "Solaris"})
        assert (response.status_code, response.json()["title"]) == (201, "Solaris")
        url = response.json()["url"]
        assert self.ask("put", url, {"title": "Solaris!"}).json()["title"] == "Solaris!"
        assert self.client.delete(url).status_code == 204
        assert self.client.get(url).status_code == 404

    def test_what_is_not_valid_is_told(self):
        for data in ({"title": ""}, {"title": "x" * 81}, {}, [], None):
            with self.subTest(data=data):
                response = self.ask("post", reverse("book_list"), data)
                assert response.status_code == 400
                assert response.json()["error"]
        assert self.client.patch(reverse("book_list")).status_code == 405
