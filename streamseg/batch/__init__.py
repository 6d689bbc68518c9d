"""Batch: many inputs, each once, and a ledger that knows what is done.

    batch        Batch: all of it, for a program: plan, run, and events to follow it by
    inputs       files, folders, patterns, lists and addresses become Items, one at a time
    addresses    addresses and paths, and who reads which
    job          one call of run, as planned
    names        which output a kind of input gets: NAME.EXT in a folder
    plan         Items become rows of the ledger; what can be refused is refused before the first frame
    ledger       SQLite: each item, its options, its outputs and how it ended; films: parts that are made
    rehearsal    what all items are done with is tried out on two tiny pictures
    methods      networks that are loaded once for all items
    item         one item
    runner       the embedded default: films one after the other in this process
    beside       pictures of which several are under way at a time
    events       how far a batch is, for the command line's table and for a server
    remote       inputs and outputs in object stores, through fsspec
    ray_runner   on Ray: a driver; ray_tasks: what it gives out; ray_worker: what runs there; ray_cluster: where
    spans        where a long film is split; split: how parts are computed and joined
    shards       machines that share a list without talking to each other

Importing this loads nothing.
"""

PUBLIC = ("addresses", "batch", "beside", "events", "inputs", "item", "job", "ledger", "ledger_lock", "lists",
          "methods", "names", "options", "plan", "ray_cluster", "ray_runner", "records", "rehearsal", "remote",
          "report", "runner", "shards")
