"""What calls the user's model once more: unseen by the session, and its errors are ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tape import Recorder, heard
from ..whose import CalledError, theirs


class Apart:
    """Runs calls apart from the training; `busy` while one runs."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.busy = False

    def unseen(self, call: Callable[..., Any], *args: Any) -> Any:
        """Run something that calls the model; its result or its error."""
        was, self._recorder.recording = self._recorder.recording, False
        busy, self.busy = self.busy, True
        try:
            with heard():
                return call(*args)
        finally:
            self._recorder.recording, self.busy = was, busy

    def alone(self, call: Callable[..., Any], *args: Any) -> Any:
        """Run something of ours that calls the model.

        Raises:
            CalledError: the model failed; it was we who called it, so that is an error of ours.
        """
        try:
            return self.unseen(call, *args)
        except BaseException as e:
            if theirs(e, called=True):
                raise
            raise CalledError(f"{type(e).__name__}: {e}") from e
