"""Records, shards and the catalog over them."""
