"""The ledger after it was lost: what it would say, read from the buckets."""
