"""The command that trains: its options and help; `train.py` and `train_upsample.py` check, `training_run.py` trains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import checks


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        "train",
        epilog="Example: pacbench train upsample --method pac_lite --factor 8 --data-root nyu --output my-pac; or "
        "pacbench train fcn --data-root camvid --epochs 40 --output my-fcn; then pacbench train crf "
        "--data-root camvid --init my-fcn/weights.safetensors. Several GPUs: torchrun --nproc-per-node 2 --no-python "
        "pacbench train fcn --device cuda",
    )(_train)


def _train(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="fcn|crf|pacfcn|upsample", help="What is trained.")],
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="upsample: msg_net, djf, djf_wide, pac_lite or pac.")
    ] = None,
    factor: Annotated[int | None, typer.Option(metavar="N", help="upsample: how many times.")] = None,
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help="upsample: data set of the folder, or scenes_flow; the first.")
    ] = None,
    scenes: Annotated[
        int | None, typer.Option(metavar="N", help="upsample: embedded scenes to learn from; 64.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="NAME", help="upsample: filters to begin with, random or interpolation.")
    ] = None,
    loss: Annotated[
        str | None, typer.Option(metavar="NAME", help="upsample: mse, as published; or epe, length of the error.")
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", envvar="PACBENCH_DATA", help="Folder of real data sets; embedded if not given."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to write to; ./pacbench-trained/<kind> if not given.")
    ] = None,
    init: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Weights to begin with; may be repeated.")
    ] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Optimisation steps in all.")] = None,
    epochs: Annotated[float | None, typer.Option(metavar="N", help="Instead: how often each image is seen.")] = None,
    batch: Annotated[int | None, typer.Option(metavar="N", help="Images of a step, over all processes.")] = None,
    lr: Annotated[float | None, typer.Option(metavar="RATE", help="Learning rate at the start.")] = None,
    crop: Annotated[
        str | None, typer.Option(metavar="HxW", help="What is cut out of each image; upsample: N for NxN.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Of everything random; 0.")] = None,
    network: Annotated[str | None, typer.Option(metavar="NAME", help="small or vgg16, without --init.")] = None,
    width: Annotated[int | None, typer.Option(metavar="N", help="Channels of the small network's first stage.")] = None,
    guide_scale: Annotated[
        float | None, typer.Option(metavar="X", help="pacfcn: what the guide is multiplied with.")
    ] = None,
    crf: Annotated[str, typer.Option(metavar="NAME", help="crf: pac, conv_11, conv_7, full or bcl.")] = "pac",
    dilations: Annotated[str, typer.Option(metavar="A[-B]", help="crf: of PAC-CRF's kernels.")] = "16-64",
    joint: Annotated[
        bool, typer.Option("--joint/--no-joint", help="crf: end with a stage that trains the network too.")
    ] = True,
    evaluate_every: Annotated[
        int | None, typer.Option(metavar="N", help="Steps between measurements; at the end of each stage.")
    ] = None,
    checkpoint_every: Annotated[int | None, typer.Option(metavar="N", help="Steps between checkpoints.")] = None,
    validated: Annotated[
        int | None, typer.Option(metavar="N", help="Images of val to measure on; all if not given.")
    ] = None,
    device: Annotated[str, typer.Option(metavar="NAME", help="cpu or cuda.")] = "cpu",
    workers: Annotated[int | None, typer.Option(metavar="N", help="Processes that read images; 0.")] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="NAME", help="float32 or bfloat16; upsample: float32 only.")
    ] = None,
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Keep channels side by side: faster for plain convolutions.")
    ] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Write the weights as float16, and only what was trained.")
    ] = False,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Take this training up again, under its own settings.")
    ] = None,
) -> int:
    """Train on a data set's train split, measure on its val split; deterministic, resumable."""
    from pacbench.training.recipes import Recipe

    from . import train, train_upsample, training_run

    upsample = kind == train_upsample.KIND
    if resume is not None:
        checks.refuse_others(context, "resume", "kind")
        return training_run.resume(train_upsample.recipe_type() if upsample else Recipe, kind, resume)
    _refuse_of_others(context, kind, train_upsample.ONLY_OTHERS if upsample else train_upsample.OWN)
    root = checks.existing_folder(data_root, "data root")
    folder = (output or Path("pacbench-trained", kind)).absolute()
    if upsample:
        upsampling = train_upsample.new_recipe(
            method=method, factor=factor, data_root=str(root) if root else None, data=data, steps=steps, batch=batch,
            rate=lr, crop=train_upsample.side_of(crop), scenes=scenes, seed=seed, evaluate_every=evaluate_every,
            checkpoint_every=checkpoint_every, device=device, workers=workers, start=start, loss=loss,
        )  # fmt: skip
        return training_run.start(upsampling, kind, folder)
    recipe = train.new_recipe(
        kind, data_root=str(root) if root else None, init=tuple(str(path.resolve()) for path in init or ()),
        steps=steps, epochs=epochs, batch=batch, rate=lr, crop=train.size_of(crop), seed=seed, network=network,
        width=width, guide_scale=guide_scale, other_crf=train.other_than_pac(crf),
        crf=train.dilations_of(dilations), joint=joint,
        evaluate_every=evaluate_every, checkpoint_every=checkpoint_every, validated=validated, device=device,
        workers=workers, precision=precision, channels_last=channels_last, compact=compact,
    )  # fmt: skip
    return training_run.start(recipe, kind, folder)


def _refuse_of_others(context: typer.Context, kind: str, foreign: frozenset[str]) -> None:
    given = [name for name in sorted(foreign) if context.get_parameter_source(name).name == "COMMANDLINE"]  # type: ignore[union-attr]
    if given:
        raise checks.WrongUse(f"train {kind}: got {', '.join(given)}, expected options of its own: leave that out")
