"""A server, asked from here: the line to it, who signs in on it, and the verbs that it answers."""
