"""What providers of batch queues share: they differ in their commands and their words alone."""
