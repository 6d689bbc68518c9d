"""What stands in a model file besides its weights: names and shapes, and streamseg's metadata. One module a
format; none of them needs the library that runs the file, and none reads the weights."""
