def insights(*a):
    return ()
