"""Makes, measures and exports the person model that streamseg ships."""
