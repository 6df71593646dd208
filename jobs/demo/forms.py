"""What the demonstration asks for."""

from typing import Any

from django import forms
from django.core.files.storage import default_storage

LARGEST = 10 * 1024 * 1024


class EmailForm(forms.Form):
    to = forms.EmailField(initial="someone@example.com")
    subject = forms.CharField(max_length=200, initial="Hello")
    body = forms.CharField(widget=forms.Textarea(attrs={"rows": 4}), initial="Sent by a worker.")


class PictureForm(forms.Form):
    CHOICES = [(name, name.capitalize()) for name in ("resize", "thumbnail", "grayscale", "rotate", "compress")]

    picture = forms.ImageField(help_text="A JPEG or PNG of up to 10 MB.")
    operations = forms.MultipleChoiceField(choices=CHOICES, initial=["thumbnail"], widget=forms.CheckboxSelectMultiple)

    def clean_picture(self) -> Any:
        picture = self.cleaned_data["picture"]
        if picture.size > LARGEST:
            raise forms.ValidationError("This picture is larger than 10 MB.")
        return picture

    def store(self) -> str:
        """Keeps the picture; its storage key."""
        picture = self.cleaned_data["picture"]
        return default_storage.save(f"uploads/{picture.name}", picture)
