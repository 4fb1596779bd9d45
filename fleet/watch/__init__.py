"""The fleet's live view: what terminals tell (`fleet`), how it comes (`feed`), the screen (`app`, the one that takes Textual)."""
