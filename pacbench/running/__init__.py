"""How a run is made: jobs (one subprocess each), the coordinator that starts them, the plug-in inside."""
