"""Batch: many inputs, each once, and a ledger that knows what is done.

    inputs       files, folders, patterns, lists and addresses become Items, one at a time
    names        which output a kind of input gets: NAME.EXT in a folder
    plan         Items become rows of the ledger; what can be refused is refused before the first frame
    ledger       SQLite: each item, its options, its outputs and how it ended
    rehearsal    what all items are done with is tried out on two tiny pictures
    methods      networks that are loaded once for all items
    runner       the embedded default: one item after the other in this process
    remote       inputs and outputs in object stores, through fsspec
    ray_runner   on Ray: workers, tasks, what becomes of those that die
    split        long films in parts
    shards       machines that share a list without talking to each other

Importing this loads nothing.
"""

PUBLIC = ("inputs", "ledger", "lists", "methods", "names", "options", "plan", "rehearsal",
          "remote", "ray_runner", "report", "runner", "shards")
