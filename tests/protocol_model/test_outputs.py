"""P6: output is in order and without holes, or marked with the exact number of bytes dropped."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple

import pytest

from devices.agent.delivery import Courier
from scheduling.ledger import evidence
from tests.protocol_model.output_device import OutputDevice
from tests.protocol_model.output_server import OutputServer
from tests.protocol_model.outputs import Outputs, explore
from tests.protocol_model.rewriting import Patch, replaced, rewritten, together
from tests.protocol_model.test_exploring import IS_THOROUGH

MOST_STATES = 100_000 if IS_THOROUGH else 1_000


@pytest.fixture
def outputs(tmp_path_factory: pytest.TempPathFactory, db: None) -> Iterator[Outputs]:
    device = OutputDevice(tmp_path_factory.mktemp("output"))
    yield Outputs(device, OutputServer())
    device.close()


# The package has a function of this name.
output = import_module("scheduling.ledger.output")


class Mutant(NamedTuple):
    rule: str
    patch: Patch
    why_redundant: str = ""

    def __str__(self) -> str:
        return self.rule.replace(" ", "-")


_NO_SECOND_LOOK = replaced(Courier, "_may_go_back", lambda self: False)
_NO_PATIENCE = rewritten(Courier, "_await_progress", ("self._go_to(self._acked)", "pass"))

RULES = [
    Mutant("what comes next is appended",
           rewritten(output, "take", ("if start > run.output_next:", "if start >= run.output_next:"))),
    Mutant("what repeats is cut",
           rewritten(output, "take", ("frame.data[run.output_next - start :]", "frame.data"))),
    Mutant("what starts later is refused",
           rewritten(output, "take", ("        return\n", "        run.output_next = start\n"))),
    Mutant("what was skipped is marked",
           rewritten(output, "take", ("        tail.gaps.append(", "        (lambda gap: None)("))),
    Mutant("what was skipped is passed over",
           rewritten(output, "take", ("if frame.skipped and", "if False and"))),
    Mutant("a gap begins where the output ends",
           rewritten(output, "take", ("start - run.output_next))", "frame.skipped))"))),
    Mutant("no more is passed over than was skipped",
           rewritten(output, "take", ("start - frame.skipped <= run.output_next < start",
                                      "run.output_next < start"))),
    Mutant("the answer is what the server has",
           rewritten(output, "output", ("tails[key].run.output_next",
                                        "max(one.offset + len(one.data) for one in chunks)"))),
    Mutant("the result waits for the output",
           replaced(Courier, "is_delivered", property(lambda self: self._ended.is_set()))),
    Mutant("what is not acknowledged is sent again", together(_NO_PATIENCE, _NO_SECOND_LOOK)),
    Mutant("what never was acknowledged is sent again by itself", _NO_PATIENCE),
    Mutant("only what is acknowledged leaves the spool",
           rewritten(Courier, "acknowledged", ("release(upto)", "release(self._sent)"))),
    Mutant("the courier says what was skipped",
           rewritten(Courier, "_send", ("chunk.data, chunk.skipped", "chunk.data, 0"))),
    Mutant("what was dropped at the very end is said",
           rewritten(Courier, "_finish", ("if self._sent < end:", "if False:"))),
]  # fmt: skip

REDUNDANT = [
    Mutant("the same answer twice leads back", _NO_SECOND_LOOK,
           "what is refused is sent again after ten seconds without progress, only later"),
    Mutant("a smaller answer leads back",
           rewritten(Courier, "acknowledged", ("upto < self._acked or ", "")),
           "the server never forgets output it has, but in a restore: there it is the only way"),
    Mutant("a larger answer than was sent leads on",
           rewritten(Courier, "acknowledged", ("if upto > self._sent:", "if False:")),
           "what the server has already is sent once more, and cut"),
    Mutant("who comes back asks first",
           rewritten(Courier, "deliver", ("if is_resumed and", "if False and")),
           "what the server has already is sent once more, and cut"),
    Mutant("what has ended takes no output",
           rewritten(output, "output", ("tail.run.status in OPEN", "True")),
           "the result comes after all of the output, and then every frame is a repeat"),
    Mutant("a result that comes too soon leaves a mark",
           replaced(evidence, "_mark_missing_output", lambda *given: None),
           "the reference agent's result comes after all of its output; other agents' may not"),
]  # fmt: skip


def test_however_it_comes_the_output_is_what_was_written(outputs: Outputs) -> None:
    states, flaw = explore(outputs)
    assert flaw is None, str(flaw)
    assert states > 1_000


@pytest.mark.parametrize("mutant", RULES, ids=str)
def test_without_one_rule_it_is_not(outputs: Outputs, mutant: Mutant) -> None:
    with mutant.patch():
        states, flaw = explore(outputs)
    assert flaw is not None, f"{states} states, and nothing is broken"


@pytest.mark.parametrize("mutant", REDUNDANT, ids=str)
def test_a_rule_that_another_makes_up_for_breaks_nothing_alone(
    outputs: Outputs, mutant: Mutant
) -> None:
    with mutant.patch():
        _states, flaw = explore(outputs, most_states=MOST_STATES)
    assert flaw is None, f"not redundant ({mutant.why_redundant}): {flaw}"
