"""A script as a tree, its scopes, and trees compared by meaning. Knows nothing of the class `Value`."""
