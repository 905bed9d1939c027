"""A prompt with placeholders: checked when it is read, filled without looking into the values."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter

from nemo_gym.config.errors import ConfigError, Mistake, did_you_mean
from nemo_gym.config.paths import candidate_paths, find_file, shown

_BRACES = "write {{ and }} for braces that stand for themselves"


class Prompt:
    """A text with `{name}` for each value; `{{` and `}}` stand for braces.

    Args:
        text: The prompt.
        names: The placeholders: each must be in the text, at least once, and no other may be.
        where: Place of the text, for errors.
        role: Who reads it, likewise.

    Raises:
        ConfigError: A placeholder is missing, unknown or malformed; every mistake is named.
    """

    def __init__(self, text: str, names: Sequence[str], where: str, role: str = "judge") -> None:
        self._role = role
        self._names = tuple(names)
        self._where = where
        self._parts = list(self._parsed(text))
        used = [name for _, name in self._parts if name is not None]
        mistakes = [self._unknown(name) for name in dict.fromkeys(used) if name not in names]
        mistakes += [self._missing(name) for name in names if name not in used]
        if mistakes:
            raise ConfigError(*mistakes)

    @classmethod
    def read(cls, path: str, names: Sequence[str], folder: Path | None = None, role: str = "judge") -> "Prompt":
        """Read a prompt from a UTF-8 file; a relative path is looked for in `folder` first.

        Raises:
            ConfigError: There is no such file, it isn't text, or as above.
        """
        file = find_file(path, beside=folder)
        if file is None:
            known = [shown(place) for place in candidate_paths(path, beside=folder)]
            raise ConfigError(Mistake(f"the {role}'s prompt file '{path}' doesn't exist", "prompt_fpath", known))
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(Mistake(f"the {role}'s prompt file can't be read: {error}", str(file))) from error
        return cls(text, names, str(file), role)

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the prompt with the values in place of their placeholders; braces in a value stay as they are.

        Raises:
            TypeError: A value is missing, or has no placeholder.
        """
        if values.keys() != set(self._names):
            given, wanted = ", ".join(sorted(values)) or "nothing", ", ".join(self._names)
            raise TypeError(f"the {self._role} is asked with {given}; its placeholders are {wanted}")
        return "".join(text + (values[name] if name is not None else "") for text, name in self._parts)

    def _parsed(self, text: str) -> Iterator[tuple[str, str | None]]:
        try:
            for literal, name, form, conversion in Formatter().parse(text):
                if form or conversion:
                    raise ValueError(f"placeholder '{{{name}' has a format or a conversion")
                yield literal, name
        except ValueError as error:
            raise ConfigError(
                Mistake(f"the {self._role}'s prompt is malformed: {error}", self._where, fix=_BRACES)
            ) from error

    def _unknown(self, name: str) -> Mistake:
        what = f"the {self._role}'s prompt has an unknown placeholder {{{name}}}"
        return Mistake(what, self._where, self._names, did_you_mean(name, self._names) or _BRACES)

    def _missing(self, name: str) -> Mistake:
        what = f"the {self._role}'s prompt lacks the placeholder {{{name}}}"
        return Mistake(what, self._where, self._names, f"write {{{name}}} where the {self._role} is to read it")
