"""How free a project is to leave: what ties it to one place, one company or one person, line by line."""
