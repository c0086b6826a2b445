"""Other systems' words for what Tradewind does, so that moving is one import."""
