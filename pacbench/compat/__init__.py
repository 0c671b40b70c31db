"""The reference implementation's module-level names, so that a program written for it changes its imports only.

`from pacbench.compat import pac, paccrf` in place of `import pac, paccrf`.
"""
