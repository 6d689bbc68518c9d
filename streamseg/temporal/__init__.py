"""What happens from one frame to the next: cuts, optical flow, mattes carried along with it."""

# Modules that other packages import, beside the names here
PUBLIC = ("cuts", "flow", "propagate")
