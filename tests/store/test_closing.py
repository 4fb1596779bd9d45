"""A database is closed between two uses of it, never within one: SQLite would take the whole process down."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_PROGRAM = """
    import sys, threading
    from pathlib import Path
    from core.ports import JournalError
    from store.credentials import Credentials, Role
    from store.customers import Customers
    from store.history import History, Query

    def opened(place: Path, number: int):
        key = bytes(range(48))
        if sys.argv[2] == "history":
            history = History(place / f"{number}.db", key)
            return history, lambda: history.find(Query())
        if sys.argv[2] == "credentials":
            credentials = Credentials(place / f"{number}.db", key, bytes(32))
            return credentials, lambda: credentials.is_set(Role.OWNER)
        customers = Customers(place / f"{number}.db", key, bytes(32))
        return customers, lambda: customers.identify("04a1b2c3d4e5f6")

    def use(question, begun):
        try:
            while True:
                question()
                begun.set()
        except JournalError:
            pass

    for number in range(40):
        database, question = opened(Path(sys.argv[1]), number)
        begun = threading.Event()
        threads = [threading.Thread(target=use, args=(question, begun)) for _ in range(2)]
        for thread in threads:
            thread.start()
        begun.wait()
        database.close()
        for thread in threads:
            thread.join()
"""


@pytest.mark.parametrize("what", ["history", "customers", "credentials"])
def test_closing_waits_for_a_thread_that_is_asking(tmp_path: Path, what: str) -> None:
    """In a process of its own: what goes wrong here is no exception."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(_PROGRAM), str(tmp_path), what], timeout=50)
    assert done.returncode == 0
