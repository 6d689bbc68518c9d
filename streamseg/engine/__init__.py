"""The threads between the stages, and the queues between the threads."""

# Modules that other packages import, beside the names here
PUBLIC = ("channels",)
