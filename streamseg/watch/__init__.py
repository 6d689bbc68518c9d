"""A folder that is watched: what comes into it is done once. See README.md beside this module.

    options    how long a file must stand still, and the like
    settling   which files have stood still for long enough; pure, with a clock from outside
    ledger     SQLite: each file, how it stands with it, across restarts
    events     the system's news of changed files, or none where there are none
    paths      the folders, and how outputs come into them
    watcher    the loop
"""

PUBLIC = ("events", "ledger", "options", "watcher")
