"""A rule is switched off by changing a few words of the function that has it."""

from __future__ import annotations

import contextlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

Patch = Callable[[], AbstractContextManager[Any]]


def rewritten(owner: Any, name: str, *pairs: tuple[str, str]) -> Patch:
    """The function, or the method of a class, with these words in place of those."""
    original = inspect.getattr_static(owner, name)
    is_property = isinstance(original, property)
    function = inspect.unwrap(original.fget if is_property else original)
    source = _replaced(textwrap.dedent(inspect.getsource(function)), pairs)
    module = owner if inspect.ismodule(owner) else sys.modules[owner.__module__]
    names: dict[str, Any] = {}
    code = compile("from __future__ import annotations\n" + source, f"<{name}, changed>", "exec")
    exec(code, module.__dict__, names)
    return lambda: mock.patch.object(owner, name, names[name])


def sql(module: Any, name: str, *pairs: tuple[str, str]) -> Patch:
    """The statement with these words in place of those."""
    text = _replaced(getattr(module, name), pairs)
    return lambda: mock.patch.object(module, name, text)


def replaced(owner: Any, name: str, new: Any) -> Patch:
    assert hasattr(owner, name)
    return lambda: mock.patch.object(owner, name, new)


def together(*patches: Patch) -> Patch:
    @contextlib.contextmanager
    def all_of() -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for patch in patches:
                stack.enter_context(patch())
            yield

    return all_of


def _replaced(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for old, new in pairs:
        assert text.count(old) == 1, f"{text.count(old)} times: {old}"
        text = text.replace(old, new)
    return text
