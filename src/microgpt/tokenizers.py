"""Texts to tokens and back: by character as in the script, by word, or by an object of the user's own."""

from __future__ import annotations

import operator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any


class Vocabulary:
    """Tokens 0 to n - 1, each with a text of its own, and one more, `bos`, that stands at both ends of a document.

    texts        the texts of the tokens, in their order
    bos          the token at both ends, len(texts)
    vocab_size   number of tokens, len(texts) + 1

    Thread-safety: immutable, so any number of threads may share one.
    """

    __slots__ = ("_token_of", "bos", "texts", "vocab_size")
    separator = ""  # between the texts of two tokens

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.bos = len(texts)
        self.vocab_size = self.bos + 1
        self._token_of = {text: token for token, text in enumerate(texts)}

    def __eq__(self, other: object) -> bool:
        return self.texts == other.texts if isinstance(other, Vocabulary) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.texts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.texts!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.texts,)

    def split(self, text: str) -> Sequence[str]:
        """The pieces of a text that are a token each."""
        raise NotImplementedError

    def unknown(self, texts: Iterable[str]) -> list[str]:
        """What these texts have and the vocabulary has not, sorted."""
        return sorted(set().union(*map(self.split, texts)) - self._token_of.keys())

    def refusal(self, unknown: list[str]) -> ValueError:
        """The error that names what is not in the vocabulary."""
        return ValueError(f"not in the vocabulary: {', '.join(map(repr, unknown[:9]))}")

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text alone. ValueError names what is not in the vocabulary."""
        return self.encode(text)[1:-1]

    def encode(self, document: str) -> list[int]:
        """The tokens of a document with `bos` at both ends, what a training step takes. ValueError as in `tokens`."""
        try:
            return [self.bos, *map(self._token_of.__getitem__, self.split(document)), self.bos]
        except KeyError:
            raise self.refusal(self.unknown([document])) from None

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens; `bos` stands for no text. ValueError for a number that is no token."""
        _check_tokens(tokens, self.bos)
        return self.separator.join([self.texts[token] for token in tokens if token != self.bos])


class Tokenizer(Vocabulary):
    """Characters to tokens and back, as in the script.

    Every character that occurs in `texts` is a token, numbered in the order of their code points; one more token, the
    last, stands at both ends of a document ("beginning of sequence"). Documents and their characters alone give the
    same tokenizer: `Tokenizer(tokenizer.characters)` equals `tokenizer`.

    characters   the characters in the order of their tokens, in one string
    bos          the token at both ends, len(characters)
    vocab_size   number of tokens, len(characters) + 1

    Thread-safety: immutable, so any number of threads may share one.
    """

    __slots__ = ()

    def __init__(self, texts: Iterable[str]) -> None:
        super().__init__("".join(sorted(set("".join(texts)))))

    @property
    def characters(self) -> str:
        return "".join(self.texts)

    def split(self, text: str) -> str:
        """The text itself, which is a sequence of characters."""
        return text

    def refusal(self, unknown: list[str]) -> ValueError:
        """The error that names what is not in the vocabulary."""
        return ValueError(f"not in the vocabulary: {''.join(unknown)!r} (it has {self.texts!r})")


class WordTokenizer(Vocabulary):
    """Words to tokens and back: what stands between single spaces is a word, its punctuation included.

    Every word that occurs in `texts` is a token, in the order of their code points; the last token stands at both
    ends, as in `Tokenizer`. `decode` puts a space between words, so each document comes back as it was.

    Thread-safety: immutable, so any number of threads may share one.
    """

    __slots__ = ()
    separator = " "

    def __init__(self, texts: Iterable[str]) -> None:
        super().__init__(tuple(sorted({word for text in texts for word in text.split(" ")})))

    def split(self, text: str) -> list[str]:
        """The words of a text."""
        return text.split(" ") if text else []


class TextTable(Vocabulary):
    """What a checkpoint keeps of an object of the user's own: the text of each token. It decodes, and cannot encode."""

    __slots__ = ()

    def __init__(self, texts: Iterable[str]) -> None:
        super().__init__(tuple(texts))

    def split(self, text: str) -> list[str]:
        """Nothing of nothing; ValueError for any text."""
        if text:
            raise ValueError("the tokenizer of this model is an object of the program that trained it")
        return []


class TokenizerAdapter:
    """An object of the user's own as a tokenizer: it must have `encode(text)` and `decode(tokens)`.

    encode may return integers or an object that has them as `ids`. Its size is its `vocab_size`, `n_vocab` or
    `get_vocab_size()`; `bos`, which stands at both ends of a document, is one more. So tokenizers of `tokenizers`
    and `tiktoken` fit as they are.

    Raises TypeError for an object that lacks one of these.
    """

    def __init__(self, inner: Any) -> None:
        for method in ("encode", "decode"):
            if not callable(getattr(inner, method, None)):
                raise TypeError(f"a tokenizer must have encode and decode, and {type(inner).__name__} has no {method}")
        self.inner = inner
        self.bos = _size(inner)
        self.vocab_size = self.bos + 1

    @property
    def texts(self) -> tuple[str, ...]:
        """The text of each token alone."""
        return tuple(self.inner.decode([token]) for token in range(self.bos))

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text alone. ValueError if one is not below the size."""
        found = self.inner.encode(text)
        tokens = [operator.index(token) for token in getattr(found, "ids", found)]
        _check_tokens(tokens, self.bos - 1)
        return tokens

    def encode(self, document: str) -> list[int]:
        """The tokens of a document with `bos` at both ends."""
        return [self.bos, *self.tokens(document), self.bos]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens; `bos` stands for no text."""
        _check_tokens(tokens, self.bos)
        return str(self.inner.decode([token for token in tokens if token != self.bos]))


TOKENIZERS = {"char": Tokenizer, "word": WordTokenizer}  # by the names of the option --tokenizer


def as_tokenizer(given: Any) -> Vocabulary | TokenizerAdapter:
    """A tokenizer of this module as it is, any other object through a TokenizerAdapter."""
    return given if isinstance(given, (Vocabulary, TokenizerAdapter)) else TokenizerAdapter(given)


def _check_tokens(tokens: Sequence[int], last: int) -> None:
    if len(tokens) and not 0 <= min(tokens) <= max(tokens) <= last:
        raise ValueError(f"tokens are from 0 to {last}, not {min(tokens)} or {max(tokens)}")


def _size(inner: Any) -> int:
    for name in ("vocab_size", "n_vocab", "get_vocab_size"):
        if (found := getattr(inner, name, None)) is not None:
            return operator.index(found() if callable(found) else found)
    raise TypeError(f"a tokenizer must tell its vocab_size, and {type(inner).__name__} does not")
