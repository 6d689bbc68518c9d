"""Films as jobs: they outlive the server, whatever ends it.

    store     SQLite: each job, what is wanted, and how it ended
    tasks     what a runner is told of a job, and what it gives back; the JobRunner protocol
    process   the embedded runner: a process a film, that can be ended at any moment
    worker    what runs in that process
    ray_runner   on Ray instead: sends films to workers; ray_worker: what runs there
    keeper    accepts and deletes jobs, and puts together:
    records   the database in its thread, the jobs' folders, who waits for news
    work      does what is queued, so many at once, and tells how it ended
    room      what is deleted by age, and by the limit on the disk
    shown     a job as its client sees it;  wanted: what it is to make
    previews  small pictures of a film while it is made
    webhook   tells somebody else how a job ended
"""
