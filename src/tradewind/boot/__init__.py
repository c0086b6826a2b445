"""What travels to where a process starts: its orders, its keys, its software."""
