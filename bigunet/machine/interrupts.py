"""Ends the work of another thread as Ctrl-C ends that of the main thread."""

from __future__ import annotations

import ctypes
import threading


def interrupt(thread: threading.Thread) -> None:
    """Raise KeyboardInterrupt in a thread, where its next line of Python begins.

    A thread that waits for the system, or computes in a library, gets it when that returns.
    Nothing happens if the thread has ended.
    """
    # Python hands a signal to the main thread in this way, too, and has no other call for threads.
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(KeyboardInterrupt)
    )
