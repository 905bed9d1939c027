"""Where the ids of one model call part from those of the call before it."""

from dataclasses import dataclass

import msgspec

_IDS = msgspec.json.Decoder(list[int])
_WINDOW = 8


@dataclass(frozen=True)
class PrefixMismatch:
    """The first position at which a prompt differs from what it must begin with.

    Attributes:
        earlier_call: Number of the call whose prompt and answer it must begin with, from 1.
        call: Number of the call with the differing prompt, from 1.
        earlier_prompt_ids: How many prompt ids the earlier call has.
        earlier_generated_ids: How many ids it generated.
        prompt_ids: How many ids the differing prompt has.
        position: Of the first difference, from 0; `prompt_ids` where the prompt only ends too early.
        shared: The ids before it, which both have: the last 8 at most.
        earlier: The earlier call's ids from there on: 8 at most.
        later: The prompt's; empty where it ends.
    """

    earlier_call: int
    call: int
    earlier_prompt_ids: int
    earlier_generated_ids: int
    prompt_ids: int
    position: int
    shared: tuple[int, ...]
    earlier: tuple[int, ...]
    later: tuple[int, ...]

    @property
    def headline(self) -> str:
        """What is wrong and where, without the ids."""
        ids = f"{self.earlier_prompt_ids} prompt and {self.earlier_generated_ids} generated ids"
        begins = f"prompt_token_ids don't begin with the {ids} of call {self.earlier_call}"
        here = f"id {self.position - self.earlier_prompt_ids} that call {self.earlier_call} generated"
        place = here if self.position >= self.earlier_prompt_ids else f"in the prompt of call {self.earlier_call}"
        verb = "differs" if self.later else f"is missing, the prompt has only {self.prompt_ids}"
        return f"model call {self.call}: {begins}: position {self.position} ({place}; counted from 0) {verb}"

    @property
    def window_start(self) -> int:
        """Position of the first id shown, from 0."""
        return self.position - len(self.shared)

    def window(self, ids: tuple[int, ...]) -> str:
        """Return one side's ids around the position, the first difference between `>` and `<`."""
        first, rest = (str(ids[0]), ids[1:]) if ids else ("end", ())
        return ", ".join([*map(str, self.shared), f">{first}<", *map(str, rest)])

    def words(self) -> str:
        """Return all of it in one line."""
        earlier, later = self.window(self.earlier), self.window(self.later)
        place = f"From position {self.window_start} on call {self.earlier_call} has {earlier}"
        return f"{self.headline}. {place}; call {self.call} has {later}"


def first_mismatch(
    earlier: tuple[bytes, bytes], prompt: bytes, *, earlier_call: int, call: int
) -> PrefixMismatch | None:
    """Return where `prompt` differs from what it must begin with; None when it begins with it.

    Args:
        earlier: Prompt ids and generated ids of the earlier call, each as the text of a JSON list of integers.
        prompt: Prompt ids of the later call, likewise.
        earlier_call: Its number, from 1.
        call: The number of the later one, from 1.
    """
    given, generated, found = (_IDS.decode(text) for text in (*earlier, prompt))
    expected = given + generated
    differing = (at for at, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b)
    position = next(differing, min(len(expected), len(found)))
    if position == len(expected):
        return None
    return PrefixMismatch(
        earlier_call=earlier_call,
        call=call,
        earlier_prompt_ids=len(given),
        earlier_generated_ids=len(generated),
        prompt_ids=len(found),
        position=position,
        shared=tuple(expected[max(0, position - _WINDOW) : position]),
        earlier=tuple(expected[position : position + _WINDOW]),
        later=tuple(found[position : position + _WINDOW]),
    )
