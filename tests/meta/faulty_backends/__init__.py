"""Backends with one planted fault each, as `faulty_backends.<module>:<Class>`; the gate must turn red on every one.

Each is the `unfold` backend with one thing changed, so that nothing but the fault can be what the gate sees.
"""
