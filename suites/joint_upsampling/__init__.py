"""The joint upsampling workload: depth and disparity brought to the resolution of an image; RMSE and time."""
