"""Locks of the operating system on an open file: of Unix, or of Windows.

The package filelock does not fit: it has no shared locks of this kind; where a file system has no
locks it falls back to a marker file, which outlives a killed process; and it cannot lock a file
that is open already, as a ledger is.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes
else:
    import fcntl

# Locks of Windows keep others from reading what is locked. This byte is behind the end of all
# files, so that everybody can still read the file.
_FAR_AWAY = 2**62
_FAIL_AT_ONCE, _ALONE = 1, 2  # LOCKFILE_FAIL_IMMEDIATELY, LOCKFILE_EXCLUSIVE_LOCK of <minwinbase.h>
_LOCKED_BY_ANOTHER = 33  # ERROR_LOCK_VIOLATION of <winerror.h>


def try_lock(file: int, *, shared: bool) -> bool:
    """Lock an open file without waiting, until it is closed or this process ends.

    Parameters
    ----------
    file : int
        Its number, which the system gave; open for writing, or for reading if the lock is shared.
    shared : bool
        Whether several processes may have such a lock at the same time, instead of one alone.

    Returns
    -------
    bool
        False if another process has a lock against this one.

    Raises
    ------
    OSError
        If the file cannot be locked, for example because its file system has no locks.
    """
    if sys.platform == "win32":
        return _try_windows(file, shared)
    else:  # Without this word, mypy looks for the function on Windows, too.
        return _try_unix(file, shared)


if sys.platform == "win32":

    class _Overlapped(ctypes.Structure):
        """OVERLAPPED of <minwinbase.h>: here, where in the file the lock is."""

        _fields_ = (
            ("internal", ctypes.c_void_p),
            ("internal_high", ctypes.c_void_p),
            ("offset", ctypes.c_uint32),
            ("offset_high", ctypes.c_uint32),
            ("event", wintypes.HANDLE),
        )

    def _try_windows(file: int, shared: bool) -> bool:
        library = ctypes.WinDLL("kernel32", use_last_error=True)
        lock = library.LockFileEx
        lock.restype = wintypes.BOOL
        lock.argtypes = (wintypes.HANDLE, *[ctypes.c_uint32] * 4, ctypes.POINTER(_Overlapped))
        where = _Overlapped(offset=_FAR_AWAY & 0xFFFFFFFF, offset_high=_FAR_AWAY >> 32)
        flags = _FAIL_AT_ONCE | (0 if shared else _ALONE)
        handle = msvcrt.get_osfhandle(file)
        if lock(handle, flags, 0, 1, 0, ctypes.byref(where)):
            return True
        code = ctypes.get_last_error()
        if code == _LOCKED_BY_ANOTHER:
            return False
        raise ctypes.WinError(code)

else:

    def _try_unix(file: int, shared: bool) -> bool:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
