"""What differs from one operating system to the next, behind one set of names.

Linux is complete. The macOS and Windows modules are written, and tested where that is possible
elsewhere, but have not been run on such machines.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows import (
        account_environment,
        account_name,
        become_reaper,
        boot_clock,
        boot_id,
        child_options,
        default_state_dir,
        descendants,
        detached_options,
        end_process,
        fold_exit_code,
        kill_process,
        lock_file,
        nudge,
        reap,
        release_signals,
        signals_held,
        start_mark,
        swallow,
        unread,
        wait_for_data,
        widen_pipe,
    )
else:
    from .posix import (
        account_environment,
        account_name,
        child_options,
        default_state_dir,
        detached_options,
        end_process,
        fold_exit_code,
        kill_process,
        lock_file,
        nudge,
        reap,
        release_signals,
        signals_held,
        swallow,
        unread,
        wait_for_data,
    )

    if sys.platform == "darwin":
        from .macos import (
            become_reaper,
            boot_clock,
            boot_id,
            descendants,
            start_mark,
            widen_pipe,
        )
    else:
        from .linux import (
            become_reaper,
            boot_clock,
            boot_id,
            descendants,
            start_mark,
            widen_pipe,
        )

SYSTEM = {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")

__all__ = [
    "SYSTEM",
    "account_environment",
    "account_name",
    "become_reaper",
    "boot_clock",
    "boot_id",
    "child_options",
    "default_state_dir",
    "descendants",
    "detached_options",
    "end_process",
    "fold_exit_code",
    "kill_process",
    "lock_file",
    "nudge",
    "reap",
    "release_signals",
    "signals_held",
    "start_mark",
    "swallow",
    "unread",
    "wait_for_data",
    "widen_pipe",
]
