"""The catalogues of `locale/`: what people read, in their language. No gettext program is needed."""

from deployx.translation.compiling import compile_stale
from deployx.translation.extraction import Message, extract
from deployx.translation.merging import merge

__all__ = ["Message", "compile_stale", "extract", "merge"]
