"""Live: a camera in; a virtual camera, a window, a stream or a file out. ``run.run`` is the entry. A frame's way:

    capture          frames as they arrive, or a placeholder where there is none
    segment_stage    the model, or its last matte propagated, or none
    composite_stage  the output picture, and the privacy rule
    session          the threads and queues between them; the outputs; statistics and quality each second

``endpoints`` opens what the command line names; ``controls`` and ``keymap`` handle keys and settings. Messages are
logged by ``streamseg.live...``. Importing this package loads nothing.
"""

import logging

logging.getLogger(__name__).addHandler(logging.NullHandler())  # a program that wants messages adds a handler

# Modules that other packages import, beside the names here
PUBLIC = ("config", "controls", "devices", "embedded", "endpoints", "microphone", "options", "run", "shared_model",
          "stats")
