"""What is asked: one folder a suite, plain pytest modules that run against any backend."""
