import json
import os

from django.template import engines
from followed.models import Author
from turbo import ModelStream

TEMPLATE = engines["django"].from_string(json.loads(os.environ["SOURCE"]))


class AuthorStream(ModelStream):  # type: ignore[misc]
    class Meta:
        model = Author

    def on_save(self, instance: Author, created: bool, **kwargs: object) -> None:
        text = TEMPLATE.render({"author": instance, "numbers": range(5)})
        self.update(text=text, id="author")
