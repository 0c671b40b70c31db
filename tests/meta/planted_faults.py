"""The table of planted faults: which case of the gate must turn red on each."""

from __future__ import annotations

FORWARD = "test_forward.py::test_forward"
GRADIENTS = "test_gradient.py::test_gradients"
GRADIENT = "test_gradient.py::test_gradient"
BACKWARD = "test_gradient.py::test_backward"
SECOND = "test_gradient.py::test_second_derivative"
FORWARD_MODE = "test_gradient.py::test_forward_mode"
UNTOUCHED = "test_robustness.py::test_inputs_are_untouched"
FRESH = "test_robustness.py::test_results_are_fresh"
DETERMINISM = "test_robustness.py::test_determinism"
LAYOUT = "test_layouts.py::test_layout"
OPCHECK = "test_registered_ops.py::test_opcheck"

BASIC_FAULTS: dict[str, str] = {
    "outputs:ZeroOutput": f"{FORWARD}[pacconv2d-5x5-stride2-float64]",
    "outputs:TwoPercentBias": f"{FORWARD}[guided_pacconv2d-3x3-dilation2-float64]",
    "outputs:MissingBorder": f"{FORWARD}[pacpool2d-3x3-float64]",
    "outputs:MissingPaddingTaps": f"{FORWARD}[packernel2d-3x3-float64]",
    "outputs:FlippedFilter": f"{FORWARD}[pacconv_transpose2d-5x5-stride2-float64]",
    "kernels:InvertedMask": f"{FORWARD}[packernel2d-mask-float64]",
    "kernels:IgnoredMask": f"{FORWARD}[packernel2d-mask-float64]",
    "kernels:InvertedOutputMask": f"{FORWARD}[packernel2d-mask-float64]",
    "gradients:SwappedGradients": f"{GRADIENTS}[guided_pacconv2d-3x3]",
    "gradients:TransposedWeightGradient": f"{GRADIENTS}[pacconv_transpose2d-3x3-stride2]",
    "memory:MutatedInput": f"{UNTOUCHED}[pacpool2d-3x3]",
    "memory:UnwrittenOutput": f"{FORWARD}[guided_pacpool2d-normalized-float64]",
    "memory:CachedResult": f"{FRESH}[pacconv2d-3x3]",
    "memory:NoisyOutput": f"{DETERMINISM}[guided_pacconv2d-3x3]",
    "processes:Raises": f"{FORWARD}[packernel2d-3x3-float64]",
}
"""What everybody gets wrong first: the whole smoke subset runs on them, besides the case that must be red."""

SMOKE_FAULTS: dict[str, str] = {
    "outputs:BiasOnlyWhenRecording": f"{BACKWARD}[guided_pacconv2d-3x3-float32]",
    "outputs:BiasOnlyWithoutRecording": f"{FORWARD}[pacpool2d-3x3-float64]",
    "outputs:DroppedTap": f"{FORWARD}[pacconv2d-5x5-stride2-float64]",
    "outputs:WrongBiasChannel": f"{FORWARD}[guided_pacconv2d-3x3-dilation2-float64]",
    "outputs:ShiftedByStride": f"{FORWARD}[pacconv2d-5x5-stride2-float64]",
    "outputs:IgnoredDilation": f"{FORWARD}[guided_pacconv2d-3x3-dilation2-float64]",
    "outputs:HalfPrecision": f"{BACKWARD}[guided_pacconv2d-3x3-float32]",
    "outputs:SecondBatchItem": f"{FORWARD}[packernel2d-3x3-float64]",
    "outputs:WrongDtype": f"{BACKWARD}[guided_pacconv2d-3x3-float32]",
    "outputs:Contiguous": f"{LAYOUT}[pacconv2d-3x3-channels_last]",
    "outputs:ZeroInHalf": f"{GRADIENTS}[pacpool2d-3x3]",
    "kernels:OutputMaskOfNumbers": f"{FORWARD}[packernel2d-mask-float64]",
    "kernels:IgnoredNormalisation": f"{FORWARD}[guided_pacpool2d-normalized-float64]",
    "gradients:TwoPercentBiasOfGradient": f"{GRADIENTS}[pacpool2d-3x3]",
    "gradients:ZeroGuideGradient": f"{GRADIENTS}[packernel2d-3x3]",
    "gradients:UnwrittenGradient": f"{GRADIENTS}[guided_pacpool2d-3x3]",
    "gradients:NoisyGradient": f"{DETERMINISM}[guided_pacconv2d-3x3]",
    "gradients:NoGraph": f"{GRADIENTS}[guided_pacconv_transpose2d-3x3-stride2]",
    "gradients:ModifiedIncomingGradient": f"{UNTOUCHED}[guided_pacconv2d-3x3]",
    "memory:MutatedAndRestoredInput": f"{UNTOUCHED}[guided_pacconv2d-3x3]",
    "memory:OutputInTheInput": f"{UNTOUCHED}[pacpool2d-3x3]",
    "memory:LateOutput": f"{FORWARD}[pacpool2d-3x3-float64]",
    "memory:CachedResultByVersion": f"{FRESH}[pacconv2d-3x3]",
    "memory:CachedFilter": f"{FRESH}[guided_pacconv_transpose2d-3x3-stride2]",
    "memory:ReusedOutput": f"{FRESH}[pacconv2d-3x3]",
    "processes:RefusesWhatItDeclares": f"{FORWARD}[pacconv_transpose2d-5x5-stride2-float64]",
    "mean_field:SoftmaxOverPixels": f"{FORWARD}[mean_field_update-3x3-float64]",
    "mean_field:AddedMessage": f"{FORWARD}[mean_field_update-3x3-float64]",
    "mean_field:NoSoftmaxGradient": f"{GRADIENTS}[mean_field_update-3x3]",
    "registered_ops:NoAutograd": f"{GRADIENTS}[pacconv2d-3x3]",
    "registered_ops:UndeclaredMutation": f"{UNTOUCHED}[guided_pacconv2d-3x3]",
}
"""Further faults that a case of the smoke subset must see."""

RARE_FAULTS: dict[str, str] = {
    "mean_field:ShiftedMessage": "test_crf_layers.py::test_steps_on_a_coarser_grid[float64]",
    "mean_field:UnevenCells": "test_crf_layers.py::test_steps_on_a_coarser_grid[float32]",
    "outputs:ManyChannels": f"{FORWARD}[pacconv2d-3x3-17_channels-float64]",
    "outputs:WideImage": "test_sizes.py::test_larger_image[pacpool2d-3x3-17x129]",
    "outputs:LargeWindow": "test_sizes.py::test_larger_window[guided_pacconv2d-3x3-11]",
    "outputs:EmptyBatch": f"{FORWARD}[pacconv2d-3x3-batch0-float64]",
    "outputs:SwallowedNaN": "test_robustness.py::test_non_finite_values_reach_what_they_reach_in_unfold"
    "[nan-pacconv2d-3x3]",
    "outputs:NoStorageOffset": f"{LAYOUT}[pacconv2d-3x3-offset]",
    "kernels:RoundedMask": f"{FORWARD}[packernel2d-mask-weights-float64]",
    "kernels:IgnoredAsymmetry": f"{FORWARD}[guided_pacconv2d-gaussian_asym-float64]",
    "kernels:IgnoredSmoothing": f"{FORWARD}[guided_pacpool2d-smooth_gaussian-float64]",
    "kernels:InverseKernelAsGaussian": f"{FORWARD}[packernel2d-inv-float64]",
    "gradients:MissingNormaliserGradient": f"{GRADIENT}[guided_pacpool2d-normalized-guide-float64]",
    "gradients:ZeroExponentGradient": f"{GRADIENT}[guided_pacconv2d-inv-inv_lambda-float64]",
    "gradients:ConstantFirstDerivative": f"{SECOND}[guided_pacconv2d-3x3-float64]",
    "gradients:UndeclaredConstantFirstDerivative": f"{SECOND}[guided_pacconv2d-3x3-float64]",
    "gradients:DroppedTangent": f"{FORWARD_MODE}[guided_pacpool2d-3x3-float64]",
    "gradients:KeptOnContext": "test_robustness.py::test_second_backward_through_a_freed_graph_is_an_error",
    "mean_field:NoMaximum": f"{FORWARD}[mean_field_update-beliefs_far_above_0-float64]",
    "mean_field:WeightOfOne": f"{FORWARD}[mean_field_update-added-float64]",
    "mean_field:UpdatedInPlace": f"{UNTOUCHED}[mean_field_update-3x3]",
    "mean_field:NoGradientToBothAtOnce": "test_robustness.py::test_base_may_be_the_beliefs",
    "memory:SharedOutput": "test_robustness.py::test_results_are_new_memory[guided_pacpool2d-1x1]",
    "registered_ops:FakeOfWrongShape": f"{OPCHECK}[pacconv2d-3x3]",
    "registered_ops:FakeOfWrongDtype": f"{OPCHECK}[pacconv2d-3x3]",
    "registered_ops:UndeclaredMutation": f"{OPCHECK}[pacconv2d-3x3]",
}
"""Faults of options, sizes and registrations that only the whole gate asks for."""

KILLERS: dict[str, str] = {
    "processes:Segfaults": "killed by SIGSEGV",
    "processes:Hangs": "no end within",
    "processes:Exits": "left with exit code 0",
}
"""Faults that take the process of the gate with them, and what the reason must say; `test_run_goes_on` runs them."""
