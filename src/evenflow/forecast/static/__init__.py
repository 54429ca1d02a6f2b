"""Static forecast: a network too large to build, foreseen from its initialisation alone.

`operators` and `theory` are mean-field theory in closed form, operator by operator. `unseen` draws
what random weights do to a few samples without ever storing the weights.
"""
