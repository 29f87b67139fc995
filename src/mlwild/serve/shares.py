"""So much of something for all who call, and no more than half of it for one of them."""

from __future__ import annotations

from mlwild.serve.requests import RefusedError

#: Seconds after which a client that was turned away may come again.
RETRY = 1


class Share:
    """
    What is taken of something.

    Parameters
    ----------
    most : int
        What there is.
    what : str
        How it is told that there are too many: "rows are waiting".
    """

    def __init__(self, most: int, what: str) -> None:
        self.most, self.what = most, what
        self._all = 0
        self._by: dict[str, int] = {}

    @property
    def half(self) -> int:
        """What one client may have."""
        return max(self.most // 2, 1)

    def check(self, client: str, n: int) -> None:
        """
        Do nothing where so much is left.

        Parameters
        ----------
        client : str
            The name of a key; empty where there are none: nobody is told from others then.
        n : int

        Raises
        ------
        RefusedError
            If it is not: 503, or 429 where this client has too much.
        """
        again = {"Retry-After": str(RETRY)}
        if self._all + n > self.most:
            raise RefusedError(503, f"Too many {self.what}. Come again.", again)
        if client and self._by.get(client, 0) + n > self.half:
            raise RefusedError(429, f"Too many of your {self.what}. Come again.", again)

    def take(self, client: str, n: int) -> None:
        """
        Take so much; `leave` must follow.

        Raises
        ------
        RefusedError
            As `check` does.
        """
        self.check(client, n)
        self._count(client, n)

    def leave(self, client: str, n: int) -> None:
        """Give back what was taken."""
        self._count(client, -n)

    def _count(self, client: str, n: int) -> None:
        self._all += n
        left = self._by.get(client, 0) + n
        if left:
            self._by[client] = left
        else:
            self._by.pop(client, None)
