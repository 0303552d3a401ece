import os

import turbo
from django.template import engines
from followed.models import Author

TEMPLATE = engines["django"].from_string(os.environ["TEMPLATE"])


# Not by its bare name: whatever stream a module has under one is taken for the project's.
class AuthorStream(turbo.ModelStream):  # type: ignore[misc]
    class Meta:
        model = Author

    def on_save(self, instance: Author, created: bool, **kwargs: object) -> None:
        text = TEMPLATE.render({"author": instance, "numbers": range(5)})
        self.update(text=text, id="author")
