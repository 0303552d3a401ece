from django import forms

from pages.models import Book, Line, Note, Person, Task


class PersonForm(forms.ModelForm):
    class Meta:
        model = Person
        fields = ["name"]
        error_messages = {"name": {"required": "Whom shall the pages greet?"}}


class TitleForm(forms.ModelForm):
    class Meta:
        model = Task
        fields = ["title"]
        error_messages = {"title": {"required": "A task needs a title."}}


class ColumnForm(forms.ModelForm):
    class Meta:
        model = Task
        fields = ["column"]


class LineForm(forms.ModelForm):
    class Meta:
        model = Line
        fields = ["text"]
        error_messages = {"text": {"required": "Say something."}}


class NoteForm(forms.ModelForm):
    class Meta:
        model = Note
        fields = ["recipient", "text"]
        error_messages = {
            "recipient": {"required": "Who is it for?"},
            "text": {"required": "Write something."},
        }


class BookForm(forms.ModelForm):
    class Meta:
        model = Book
        fields = ["title"]
        error_messages = {"title": {"required": "A book needs a title."}}
