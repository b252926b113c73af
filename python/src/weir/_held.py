"""What all context managers here have in common."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import threading
import warnings
from types import TracebackType
from typing import Any, Callable, Generator, Optional, Type, TypeVar, cast

from ._errors import Closed, NotFound, Unreachable

log = logging.getLogger("weir")

_WHY_NOT = {"held": "was created already", "closed": "was closed", "pattern": "decorates a function"}

Self = TypeVar("Self", bound="Held")
Function = TypeVar("Function", bound=Callable[..., Any])


class Held:
    """Something on a server that is there from create() to close(), which `with` calls.

    A subclass says how to _acquire, _release and _undo (a half-done _acquire), and how to make _another that
    asks for the same. What was created before a fork is the parent's: in the child close() does nothing.
    """

    _goes_when_lost = False  # it ends when nobody refers to it any more

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._state = "new"
        self._process = 0

    # --- for users ---

    def create(self: Self) -> Self:
        """Puts it there; returns self. Raises Closed if it was there before: make another."""
        with self._lock:
            if self._state != "new":
                raise Closed(f"{self} {_WHY_NOT[self._state]}; make another")
            self._process = os.getpid()
            try:
                self._acquire()
                self._state = "held"
            except BaseException:
                self._state = "closed"
                self._undo_quietly()
                raise
        return self

    def close(self) -> None:
        """Takes it back. More than once, or after the server has gone, it does nothing."""
        if self._process != os.getpid():  # before the lock, which a thread of the parent may have held
            return
        with self._lock:
            if self._state != "held":
                return
            try:
                self._release_or_gone()
            except KeyboardInterrupt:  # of who does not want to wait; what was begun is finished
                self._release_or_gone()
                self._state = "closed"
                raise
            self._state = "closed"

    @property
    def held(self) -> bool:
        """Is it between create() and close()?"""
        return self._state == "held"

    def __enter__(self: Self) -> Self:
        return self if self._state == "held" else self.create()

    def __exit__(self, kind: Optional[Type[BaseException]], problem: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        try:
            self.close()
        except Exception as failed:
            if problem is None:
                raise
            note(problem, f"weir: {self} could not be closed: {failed}")

    def __call__(self, function: Function) -> Function:
        """As a decorator: another of it is held during each call."""
        another = self._as_pattern()
        if inspect.iscoroutinefunction(function):
            @functools.wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                with another():
                    return await function(*args, **kwargs)
            return cast(Function, call_async)
        if inspect.isgeneratorfunction(function):
            @functools.wraps(function)
            def call_generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
                with another():
                    return (yield from function(*args, **kwargs))
            return cast(Function, call_generator)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with another():
                return function(*args, **kwargs)
        return cast(Function, call)

    def __del__(self) -> None:
        state = getattr(self, "_state", "")  # none: its __init__ raised
        if state == "new":
            # As with a coroutine that nobody awaits: the caller believes that it is in force.
            warnings.warn(f"{self} was never created: use `with`, or call create()", RuntimeWarning,
                          stacklevel=2, source=self)
        elif state == "held" and self._goes_when_lost and self._process == os.getpid():
            warnings.warn(f"{self} was never closed, and goes now with all that it holds: use `with`, or call close()",
                          ResourceWarning, stacklevel=2, source=self)

    def _as_pattern(self) -> Callable[[], Held]:
        """Makes others of it, as often as one likes; it is not created itself any more."""
        if self._state == "new":
            self._state = "pattern"
        return self._another

    # --- for subclasses ---

    def _acquire(self) -> None:
        raise NotImplementedError

    def _release(self) -> None:
        raise NotImplementedError

    def _undo(self) -> None:
        self._release()

    def _another(self) -> Held:
        raise NotImplementedError

    def _release_or_gone(self) -> None:
        try:
            self._release()
        except (NotFound, Unreachable) as gone:
            log.debug("%s was gone already: %s", self, gone)

    def _undo_quietly(self) -> None:
        try:
            self._undo()
        except Exception as failed:
            log.debug("%s: nothing to undo: %s", self, failed)


def note(problem: BaseException, text: str) -> None:
    """Adds to an exception on its way what must not take its place."""
    if hasattr(problem, "add_note"):  # Python 3.11
        problem.add_note(text)
    log.warning("%s", text)
