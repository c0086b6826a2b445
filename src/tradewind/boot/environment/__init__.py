"""The caller's software: what it is, where each package comes from, and what of it must travel.

``capture`` is asked at each start of a cluster and imports next to nothing; ``carry`` builds and packs, and is imported
by those who need it.
"""
