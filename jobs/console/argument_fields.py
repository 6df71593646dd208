"""Form fields for the arguments of tasks: from the stored value to text, and back exactly."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from django import forms

from jobs.redaction import MASK

#: The argument is not given: the task's own default counts.
LEFT_OUT: Any = object()
INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
#: What a text field of the browser sends back as it was; other text is shown as JSON, where it can be escaped.
PLAIN = re.compile(r"[^\r\x00\ud800-\udfff]*")
WHERE_BLANK = "Left empty, the task takes {}."


class Unfit(Exception):
    """A stored value that this kind of field can't show."""


class ArgumentField(forms.Field):
    """Text of any kind; what stays as it was shown stays exactly the value it was."""

    help = ""
    widget: Any = forms.Textarea(attrs={"rows": 1})

    def __init__(self, schema: Mapping[str, Any], *, required: bool, stored: Any = LEFT_OUT, **more: Any) -> None:
        self.schema, self.stored = schema, stored
        self.shown = "" if stored is LEFT_OUT else self.text(stored)
        super().__init__(required=required, initial=self.shown, help_text=self._help(required), **more)
        self.widget.attrs.setdefault("autocomplete", "off")
        self.widget.attrs.setdefault("spellcheck", "false")

    def text(self, value: Any) -> str:
        """How the stored value is shown; raises Unfit."""
        if not isinstance(value, str) or not PLAIN.fullmatch(value):
            raise Unfit
        return value

    def read(self, text: str) -> Any:
        """The value that the text means; raises ValidationError."""
        return text

    def clean(self, value: Any) -> Any:
        text = (value or "").replace("\r\n", "\n")
        if text == self.shown and (self.stored is not LEFT_OUT or not self.required):
            return self.stored
        if text == "":
            if self.required:
                raise forms.ValidationError(self.error_messages["required"], code="required")
            return LEFT_OUT
        return self.read(text)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((data or "") != (initial or ""))

    def _help(self, required: bool) -> str:
        said = [str(self.schema.get("description", "")), self.help]
        if not required and "default" in self.schema:
            said.append(WHERE_BLANK.format(json.dumps(self.schema["default"], ensure_ascii=False)))
        return " ".join(filter(None, said))


class NumberField(ArgumentField):
    """Any number of JSON, without losing a digit of a whole one."""

    widget = forms.TextInput(attrs={"inputmode": "decimal"})
    pattern, said = NUMBER, "Enter a number, such as 12.5."

    def text(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unfit
        return json.dumps(value)

    def read(self, text: str) -> Any:
        if not self.pattern.fullmatch(text.strip()):
            raise forms.ValidationError(self.said)
        return self.number(text.strip())

    def number(self, text: str) -> Any:
        number = int(text) if INTEGER.fullmatch(text) else float(text)
        if number in (float("inf"), float("-inf")):
            raise forms.ValidationError("This number is too large.")
        return number


class IntegerField(NumberField):
    """A whole number of any length."""

    widget = forms.TextInput(attrs={"inputmode": "numeric"})
    pattern, said = INTEGER, "Enter a whole number, such as 12."

    def text(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Unfit
        return str(value)


class DecimalField(NumberField):
    """A number or a text: a number where JSON holds all of its digits (12.5), else the text as it is (12.50)."""

    def text(self, value: Any) -> str:
        return ArgumentField.text(self, value) if isinstance(value, str) else super().text(value)

    def read(self, text: str) -> Any:
        number = self.number(text) if self.pattern.fullmatch(text) else text
        return number if json.dumps(number) == text else text


class ChoiceField(ArgumentField):
    """One of the values that the task lists; of another present value nothing is lost."""

    widget: Any = forms.Select

    def __init__(self, schema: Mapping[str, Any], *, required: bool, values: list[Any], **more: Any) -> None:
        self.values = values
        super().__init__(schema, required=required, **more)
        blank = "Choose" if required else f"Default ({_said(schema['default'])})" if "default" in schema else "Left out"
        shown = [] if required and self.shown else [("", blank)]
        self.widget.choices = [*shown, *((json.dumps(value), _said(value)) for value in values)]

    def text(self, value: Any) -> str:
        if json.dumps(value) not in map(json.dumps, self.values):
            raise Unfit
        return json.dumps(value)

    def read(self, text: str) -> Any:
        for value in self.values:
            if json.dumps(value) == text:
                return value
        raise forms.ValidationError("Choose one of the listed values.")


class CheckField(ArgumentField):
    """Yes or no."""

    widget = forms.CheckboxInput()

    def text(self, value: Any) -> str:
        if not isinstance(value, bool):
            raise Unfit
        return "true" if value else ""

    def clean(self, value: Any) -> Any:
        return bool(value)


class DateField(ArgumentField):
    widget = forms.TextInput(attrs={"type": "date"})

    def text(self, value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            raise Unfit
        return value


class MomentField(ArgumentField):
    """ISO text, as it is stored: a browser's own control can't hold the offset."""

    widget = forms.TextInput(attrs={"placeholder": "2027-03-28T09:30:00+02:00"})
    help = "Date, time and offset; Z is UTC."


class LineField(ArgumentField):
    """Text without line breaks that has a form of its own: a UUID, a time, a duration."""

    widget = forms.TextInput()

    def text(self, value: Any) -> str:
        if "\n" in super().text(value):
            raise Unfit
        return str(value)


class JsonField(ArgumentField):
    """Any JSON."""

    widget = forms.Textarea(attrs={"rows": 2, "class": "json"})
    help = "JSON; a text stands in quotes."
    kind: Any = object

    def text(self, value: Any) -> str:
        plain = json.dumps(value, ensure_ascii=False)
        plain = plain if len(plain) <= 80 else json.dumps(value, ensure_ascii=False, indent=2)
        return plain if PLAIN.fullmatch(plain) else json.dumps(value)

    def read(self, text: str) -> Any:
        return read_json(text, self.kind)


class ListField(JsonField):
    kind, help = list, "A JSON list."


class ObjectField(JsonField):
    kind, help = dict, "A JSON object."


class MaskedField(ArgumentField):
    """A secret that this person may not see: it stays as it is, or is typed anew."""

    widget = forms.TextInput()
    help = "Hidden. Leave it as it is to keep it."

    def __init__(self, inner: ArgumentField) -> None:
        self.inner = inner
        super().__init__(inner.schema, required=inner.required, stored=MASK)

    def read(self, text: str) -> Any:
        return self.inner.clean(text)


def read_json(text: str, kind: type = object, loads: Callable[[str], Any] = json.loads) -> Any:
    """JSON of one kind, as a person typed it; raises ValidationError."""
    try:
        value = loads(text)
    except Exception as error:  # kombu's `loads` decodes {"__type__": ...} as it likes, and fails as it likes
        raise forms.ValidationError(f'This is not JSON: {error}. A text stands in quotes: "paris".') from error
    if not isinstance(value, kind):
        wanted = "a list, such as [1, 2]" if kind is list else 'an object, such as {"amount": 10}'
        raise forms.ValidationError(f"This must be {wanted}.")
    return value


def _said(value: Any) -> str:
    named = {True: "Yes", False: "No", None: "None"} if value is None or isinstance(value, bool) else {}
    return str(named.get(value, value))
