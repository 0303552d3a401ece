from django import forms

from pages.models import Person, Task


class PersonForm(forms.ModelForm):
    class Meta:
        model = Person
        fields = ["name"]


class TitleForm(forms.ModelForm):
    class Meta:
        model = Task
        fields = ["title"]


class ColumnForm(forms.ModelForm):
    class Meta:
        model = Task
        fields = ["column"]
