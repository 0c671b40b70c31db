"""Single operators at the sizes that users have: time, throughput and memory, beside the plain torch operators."""
