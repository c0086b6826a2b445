"""An environment of one platform made into one of another: what has no wheel there, and what stands in for it."""
