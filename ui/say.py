"""The language that this process's screen speaks: that of the till, as its views name it."""

from core.language import Tag, words


class Speaker:
    """Says texts as `core.language.Words` does, in the language that was chosen last."""

    def __init__(self) -> None:
        self._words = words("en")
        self._held = False

    @property
    def tag(self) -> Tag:
        """The language that is spoken."""
        return self._words.tag

    def speak(self, tag: Tag) -> None:
        """From now on in this language, where the terminal can show it."""
        if not self._held:
            self._words = words(tag)

    def hold(self, tag: Tag) -> None:
        """In this language, whatever the till says: the terminal has no other characters."""
        self._words, self._held = words(tag), True

    def __call__(self, text: str, /, **filled: object) -> str:
        """An English text, said."""
        return self._words(text, **filled)

    def plural(self, one: str, many: str, count: int, /, **filled: object) -> str:
        """One of two English texts, said."""
        return self._words.plural(one, many, count, **filled)


say = Speaker()
"""One screen has one language, and each of its widgets says its words through this."""
