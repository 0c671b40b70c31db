"""Images with truth: the embedded scenes, and readers of published data sets by their own layouts."""
