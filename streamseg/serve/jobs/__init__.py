"""Films as jobs: they outlive the server, whatever ends it.

    store     SQLite: each job, what is wanted, and how it ended
    tasks     what a runner is told of a job, and what it gives back; the JobRunner protocol
    process   the embedded runner: a process a film, that can be ended at any moment
    worker    what runs in that process
    keeper    accepts, orders, runs and deletes jobs
    webhook   tells somebody else how a job ended
"""
