"""Texts of token ids, by a tokenizer file in the form of Hugging Face's `tokenizers`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nemo_gym.config.errors import ConfigError, Mistake

_CONTEXT = 16
_FILE = "tokenizer.json"


class Tokenizer:
    """Decodes ids one by one.

    Args:
        path: The file, or a folder with a `tokenizer.json`.

    Raises:
        ConfigError: It isn't there, isn't a tokenizer, or the package `tokenizers` isn't installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            import tokenizers
            from tokenizers.decoders import DecodeStream
        except ImportError as error:
            what = "token texts need the package tokenizers, which isn't installed"
            raise ConfigError(Mistake(what, where="tokenizer", fix="pip install 'nemo-gym[tokens]'")) from error
        file = path / _FILE if path.is_dir() else path
        if not file.is_file():
            raise ConfigError(Mistake(f"{file} isn't there", where="tokenizer", fix=f"name a {_FILE} or its folder"))
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(file))
        except Exception as error:  # the package raises nothing narrower
            what = f"{file} isn't a tokenizer: {str(error)[:200]}"
            raise ConfigError(Mistake(what, where="tokenizer", fix=f"name a {_FILE} or its folder")) from error
        self._stream = DecodeStream

    def texts(self, ids: Sequence[int], start: int = 0, stop: int | None = None) -> list[str]:
        """Return the text of each of `ids[start:stop]`.

        A character that several tokens make up together is the text of the last of them; the others have "".
        """
        context = min(start, _CONTEXT)  # whether a word begins with a space depends on what was before
        stream, texts = self._stream(), []
        for token in ids[start - context : stop]:
            text, stream = self._step(stream, token)
            texts.append(text)
        return texts[context:]

    def _step(self, stream: Any, token: int) -> tuple[str, Any]:
        try:
            return stream.step(self._tokenizer, token) or "", stream
        except Exception:  # an id that no token has, or bytes that aren't a character
            return "", self._stream()
