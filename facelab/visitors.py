"""All visitors: each has a session, until its time is over."""

from __future__ import annotations

import re
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
SETTLED = 5.0  # seconds after a page was left in which its last events may still arrive
MAX_TABS = 1024  # of browsers, whose pages are remembered, and of each so many
MAX_PAGES = 8
TAB = re.compile("[0-9a-f]{32}")  # the secret of one, as page.js draws it


class Sessions:
    """All visitors' sessions, by the page's session hash. Safe to use from many threads.

    Each is freed when its time is over, whoever else visits: a timer waits for the next one as long as there are any.
    on_end: is told of each page whose time is over, also of one without a session.
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
        self._left: dict[str, float] = {}  # when, by the clock; pages that had no session yet among them
        self._tabs: dict[str, list[str]] = {}  # the pages of each, the newest last
        self._timer: threading.Timer | None = None
        self._due = 0.0  # by the clock, when the timer sweeps
        self.on_end: Callable[[str], None] = lambda page: None

    def __len__(self) -> int:
        return len(self._sessions)

    def of(self, visitor: str) -> Session:
        """The session of a visitor, begun at the first call. Raises Busy when there are too many visitors."""
        self.sweep()
        with self._lock:
            now = self._clock()
            if now - self._left.get(visitor, now) > SETTLED:
                del self._left[visitor]
            session = self._sessions[visitor][0] if visitor in self._sessions else self._begin()
            self._sessions[visitor] = (session, now + (self._grace if visitor in self._left else self._idle))
            self._make_room(visitor)
            self._watch()
            return session

    def known(self, visitor: str) -> Session | None:
        """The session of a visitor, if it has begun."""
        with self._lock:
            return self._sessions[visitor][0] if visitor in self._sessions else None

    def stay(self, visitor: str) -> bool:
        """The visitor's page is still open, whatever became of its connection. Begins no session; returns whether there
        is one.
        """
        with self._lock:
            self._left.pop(visitor, None)
            if visitor in self._sessions:
                self._sessions[visitor] = (self._sessions[visitor][0], self._clock() + self._idle)
            return visitor in self._sessions

    def awaits(self, tab: str, visitor: str) -> bool:
        """Whether another page of this tab has a session and has not left, as far as is known: one that is being loaded
        anew is about to leave, and that of a copy of the tab stays.
        """
        with self._lock:
            others = [page for page in self._tabs.get(tab, ()) if page != visitor]
            return any(page in self._sessions and page not in self._left for page in others)

    def resume(self, tab: str, visitor: str) -> Session | None:
        """The page of a tab of a browser was loaded, perhaps anew: give it what the page before it has left.

        tab: a secret of that tab's, TAB; copies of a tab share it. visitor: the page's. Returns the session of that of
        the tab's pages which left last, or None: where there is none, or this page has begun one or left itself.
        """
        if not TAB.fullmatch(tab):
            return None
        with self._lock:
            pages = [page for page in self._tabs.pop(tab, []) if page != visitor]
            self._tabs[tab] = [*pages, visitor][-MAX_PAGES:]
            while len(self._tabs) > MAX_TABS:
                del self._tabs[self._forgotten()]
            left = [page for page in pages if page in self._sessions and page in self._left]
            if not left or visitor in self._sessions or visitor in self._left:
                return None
            before = max(left, key=self._left.__getitem__)
            session, _ = self._sessions.pop(before)
            self._sessions[visitor] = (session, self._clock() + self._idle)
            return session

    def _forgotten(self) -> str:
        """The tab that can be forgotten best: the oldest whose pages have no session. The lock is held."""
        empty = (tab for tab, pages in self._tabs.items() if not any(page in self._sessions for page in pages))
        return next(empty, next(iter(self._tabs)))

    def leave(self, visitor: str) -> None:
        """The visitor's page is gone: free everything after the grace period, unless they come back within it."""
        with self._lock:
            self._left[visitor] = self._clock()
            if visitor in self._sessions:
                self._sessions[visitor] = (self._sessions[visitor][0], self._clock() + self._grace)
            self._watch()

    def sweep(self) -> None:
        """Free the sessions whose time is over, and stop what they have under way."""
        with self._lock:
            now = self._clock()
            over = [visitor for visitor, (_, until) in self._sessions.items() if until <= now]
            gone = [self._sessions.pop(visitor)[0] for visitor in over]
            absent = [page for page, end in self._ends_of_absent() if end <= now]
            for page in absent:
                del self._left[page]
        for session in gone:
            session.stop_everything()
        for page in {*over, *absent}:
            self.on_end(page)

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
        times = [until for _, until in self._sessions.values()]
        due = min([*times, *(end for _, end in self._ends_of_absent())], default=None)
        if due is None or (self._timer is not None and self._due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due, self._timer = due, threading.Timer(max(due - self._clock(), 0) + 0.1, self._wake)
        self._timer.daemon = True
        self._timer.start()

    def _ends_of_absent(self) -> list[tuple[str, float]]:
        """Pages that were left and have no session, or none any more, and when their time is over. The lock is held."""
        absent = [page for page in self._left if page not in self._sessions]
        return [(page, self._left[page] + self._grace) for page in absent]

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
