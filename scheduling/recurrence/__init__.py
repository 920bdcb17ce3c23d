"""When things run: `(rule, zone, after) → next occurrences`, and the rule in words.

Pure: it reads no clock and no database. Everything else asks it (planning, preview, calendar,
catching up, the mirror for stock schedulers).
"""

from scheduling.recurrence.errors import RuleError
from scheduling.recurrence.parsing import parse
from scheduling.recurrence.rule import Occurrence, Rule

__all__ = ["Occurrence", "Rule", "RuleError", "parse"]
