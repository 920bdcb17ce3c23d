"""What people type about their API tokens."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.errors import InvalidInput
from accounts.models import ApiToken


class TokenForm(forms.Form):
    name = forms.CharField(
        label=_("What it is for"),
        required=False,
        widget=forms.TextInput(attrs={"maxlength": 100, "autocomplete": "off"}),
    )
    expires_at = forms.CharField(
        label=_("Ends"),
        required=False,
        initial="90d",
        help_text=_("Such as 24h, 90d or 2027-01-31. Empty: it does not end by itself."),
    )
    scopes = forms.MultipleChoiceField(
        label=_("May"),
        required=False,
        choices=ApiToken.Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None ticked: all that you may do yourself."),
    )

    def refuse(self, refusal: InvalidInput) -> None:
        for name, messages in refusal.errors.items():
            for message in messages:
                self.add_error(name if name in self.fields else None, message)
