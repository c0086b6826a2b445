"""One step of one cluster: look, plan, write down, act."""
