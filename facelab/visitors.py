"""All visitors: each has a session, until its time is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from facelab.errors import Busy
from facelab.sessions import Session

GRACE = 120.0  # seconds after the page is closed: a phone that loses its network for a moment keeps its faces
IDLE = 3600.0  # seconds without a sign of life, for a page whose closing was never noticed: phones put pages to sleep
MAX_ALL_PHOTO_BYTES = 2**32  # of the photos behind all visitors' faces; those of who is away longest are let go
MAX_ALL_FILM_BYTES = 2**31  # of all visitors' films and opened clips, likewise
MAX_SESSIONS = 64
MAX_TABS = 1024  # of browsers, whose pages are remembered


class Sessions:
    """All visitors' sessions, by the page's session hash. Safe to use from many threads.

    Each is freed when its time is over, whoever else visits: a timer waits for the next one as long as there are any.
    """

    def __init__(
        self,
        *,
        grace: float = GRACE,
        idle: float = IDLE,
        limit: int = MAX_SESSIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._grace, self._idle, self._limit, self._clock = grace, idle, limit, clock
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[Session, float]] = {}
        self._left: set[str] = set()
        self._tabs: dict[str, str] = {}
        self._timer: threading.Timer | None = None
        self._due = 0.0  # by the clock, when the timer sweeps

    def __len__(self) -> int:
        return len(self._sessions)

    def of(self, visitor: str) -> Session:
        """The session of a visitor, begun at the first call. Raises Busy when there are too many visitors."""
        self.sweep()
        with self._lock:
            self._left.discard(visitor)
            session = self._sessions[visitor][0] if visitor in self._sessions else self._begin()
            self._sessions[visitor] = (session, self._clock() + self._idle)
            self._make_room(visitor)
            self._watch()
            return session

    def stay(self, visitor: str) -> bool:
        """The visitor's page is still open, whatever became of its connection. Begins no session; returns whether there
        is one.
        """
        with self._lock:
            if visitor in self._sessions:
                self._left.discard(visitor)
                self._sessions[visitor] = (self._sessions[visitor][0], self._clock() + self._idle)
            return visitor in self._sessions

    def resume(self, tab: str, visitor: str, *, patience: float = 3.0) -> Session | None:
        """The page of a tab of a browser was loaded, perhaps anew: give it what the page before it has left.

        tab: a secret of that tab's. visitor: the page's. patience: seconds to wait until the page before has left; one
        that has not, such as that of a copy of the tab, keeps what it has. Returns the session, or None.
        """
        with self._lock:
            before = self._tabs.pop(tab, visitor)
            self._tabs[tab] = visitor
            while len(self._tabs) > MAX_TABS:
                del self._tabs[next(iter(self._tabs))]
        end = time.monotonic() + patience
        while before != visitor and before in self._sessions and before not in self._left and time.monotonic() < end:
            time.sleep(0.1)
        with self._lock:
            if before not in self._left or visitor in self._sessions:
                return None
            self._left.discard(before)
            session, _ = self._sessions.pop(before)
            self._sessions[visitor] = (session, self._clock() + self._idle)
            return session

    def leave(self, visitor: str) -> None:
        """The visitor's page is gone: free everything after the grace period, unless they come back within it."""
        with self._lock:
            if visitor in self._sessions:
                self._left.add(visitor)
                self._sessions[visitor] = (self._sessions[visitor][0], self._clock() + self._grace)
                self._watch()

    def sweep(self) -> None:
        """Free the sessions whose time is over, and stop what they have under way."""
        with self._lock:
            now = self._clock()
            over = [visitor for visitor, (_, until) in self._sessions.items() if until <= now]
            gone = [self._sessions.pop(visitor)[0] for visitor in over]
            self._left.difference_update(over)
        for session in gone:
            session.stop_everything()

    def _make_room(self, visitor: str) -> None:
        """Where all photos or all films are too many, those of the visitors who have been away longest go; not this
        one's, and none of a session that is just being changed. The lock is held.
        """
        everybody = [session for session, _ in self._sessions.values()]
        too_many_photos = sum(session.photo_bytes for session in everybody) - MAX_ALL_PHOTO_BYTES
        too_many_films = sum(session.film_bytes for session in everybody) - MAX_ALL_FILM_BYTES
        others = [(until, session) for name, (session, until) in self._sessions.items() if name != visitor]
        for _, session in sorted(others, key=lambda each: each[0]):
            if max(too_many_photos, too_many_films) <= 0:
                return
            if session.lock.acquire(blocking=False):
                photos, films = session.photo_bytes, session.film_bytes
                if too_many_photos > 0:
                    session.let_photos_go(but_the_newest=True)
                if too_many_films > 0:
                    session.let_films_go()
                too_many_photos -= photos - session.photo_bytes
                too_many_films -= films - session.film_bytes
                session.lock.release()

    def _watch(self) -> None:
        """Have the timer sweep when the first session's time is over, if it does not sooner. The lock is held."""
        due = min((until for _, until in self._sessions.values()), default=None)
        if due is None or (self._timer is not None and self._due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due, self._timer = due, threading.Timer(max(due - self._clock(), 0) + 0.1, self._wake)
        self._timer.daemon = True
        self._timer.start()

    def _wake(self) -> None:
        self.sweep()
        with self._lock:
            self._timer = None
            self._watch()

    def _begin(self) -> Session:
        if len(self._sessions) >= self._limit:
            raise Busy(
                f"{self._limit} visitors are here just now, which is all that this machine can keep in memory. "
                "Try again later."
            )
        return Session()
