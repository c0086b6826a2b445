"""Which infrastructure fits a group, this one or another: a directory of facts, questions and rules, all data."""
