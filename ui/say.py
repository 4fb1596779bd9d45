"""The language that this process's screen speaks: that of the till, as its views name it."""

from core.language import Tag, words


class Speaker:
    """Says texts as `core.language.Words` does, in the language that was chosen last."""

    def __init__(self) -> None:
        self._words = words("en")

    @property
    def tag(self) -> Tag:
        """The language that is spoken."""
        return self._words.tag

    def speak(self, tag: Tag) -> None:
        """From now on in this language."""
        self._words = words(tag)

    def __call__(self, text: str, /, **filled: object) -> str:
        """An English text, said."""
        return self._words(text, **filled)

    def plural(self, one: str, many: str, count: int, /, **filled: object) -> str:
        """One of two English texts, said."""
        return self._words.plural(one, many, count, **filled)


say = Speaker()
"""One screen has one language, and each of its widgets says its words through this."""
