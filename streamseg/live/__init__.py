"""Live: camera in, virtual camera, window, stream or file out. ``run.run`` is the way in; a frame's way is

    capture      frames as they come, or a stand-in when there may be none
    matting      the model, or its last matte carried on, or none
    finishing    the picture that goes out, and the rule of privacy
    engine       threads and slots between them; outputs; ``figures`` and ``adaptive`` each second

``places`` opens what the command line names; ``desk`` and ``looks`` are keys and settings. Messages
for the user are logged by ``streamseg.live...``. Importing this loads nothing.
"""

import logging

logging.getLogger(__name__).addHandler(logging.NullHandler())  # who wants the messages adds a handler

# Modules that other packages import, beside the names here
PUBLIC = ("config", "controls", "devices", "embedded", "endpoints", "options", "run", "stats")
