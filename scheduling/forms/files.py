"""What people type about files; the verbs judge it."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from devices.forms import AskingForm


class FileForm(AskingForm):
    name = forms.CharField(
        label=_("Name"),
        required=False,
        widget=forms.TextInput(attrs={"maxlength": 255, "autocomplete": "off"}),
    )
    description = forms.CharField(
        label=_("Description"), required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


class UploadForm(FileForm):
    file = forms.FileField(label=_("File"), required=False, allow_empty_file=True)

    field_order = ("file", "name", "description")

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["name"].help_text = _("Left empty, it is the file's own.")
