"""The command line: `pacbench backends | verify | bench | run | train | report | compare | resources | ...`.

Exit codes: 0 all is well; 1 a gate is red, a row failed, a case is slower, or something cannot be read or written; 2
wrong use; 3 ambiguous, with --strict; 130 after Ctrl-C.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from . import __version__
from .commands import checks, comparing_commands, training_command
from .errors import UnavailableError, UnknownNameError
from .records import RecordError
from .resources import BudgetError
from .running.allocator import DEFAULT, KEPT
from .running.executors import LOCAL
from .running.exit_code import INTERRUPTED
from .running.probes import RunError
from .running.suite_names import OPERATOR_SUITE, list_suites, workloads

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Backends = Annotated[
    list[str] | None,
    typer.Option(
        "--backend",
        "-b",
        metavar="A[,B]",
        help="Registered names or module:Class; the best for this machine if not given.",
    ),
]
Methods = Annotated[
    list[str] | None, typer.Option("--methods", metavar="A[,B]", help="Only these methods; all if not given.")
]
Profile = Annotated[str, typer.Option(metavar="NAME", help="How much to measure: quick, standard or full.")]
Output = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder to write to; ./pacbench-runs/<time> if not given.")
]
Rounds = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Rounds, each a process; if not given, the profile's number.")
]
Timeout = Annotated[float, typer.Option(min=1, metavar="S", help="Seconds that one job may take.")]
MemoryLimit = Annotated[
    float | None,
    typer.Option(min=0.1, metavar="GB", help="Memory that one job may have; 90 % of the machine's if not given."),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(metavar="DIR", envvar="PACBENCH_DATA", help="Folder of real data sets; embedded if not given."),
]

ALLOCATOR_HELP = (
    "kept: a process keeps the memory that it frees, so that page faults of fresh memory are not timed (glibc); "
    "default: as the system has it."
)


@app.callback(invoke_without_command=True)
def _pacbench(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """Ask every implementation of pixel-adaptive convolution: are you right, and how fast are you?"""
    if version:
        typer.echo(f"pacbench {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise checks.WrongUse(f"got no command, expected one of {', '.join(_commands(context.command))}")


@app.command("backends", epilog="Example: pacbench backends")
def _backends(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="What each declares, as a Markdown table; the same on every machine.")
    ] = False,
) -> int:
    """List the backends: what each can do, whether it can run here, and if not, what would mend it."""
    from .commands.backends import list_all, print_matrix

    return print_matrix() if markdown else list_all()


@app.command("verify", epilog="Example: pacbench verify --backend unfold --junit gate.xml")
def _verify(
    backend: Backends = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Only the named subset that every run begins with.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a JUnit file, one per backend.")] = None,
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep the records and logs here.")] = None,
    timeout: Timeout = 3600,
) -> int:
    """Run the correctness gate of each backend; exit 1 if one is red."""
    from .commands.verify import verify

    backends = checks.known_backends(backend)
    folder = checks.new_run_folder(output) if output is not None else None
    return verify(backends, full=not smoke, junit=junit, output=folder, timeout_s=timeout)


@app.command(
    "bench",
    epilog="Example: pacbench bench --backend unfold,inductor --reference conv2d --profile quick; for the targets: "
    "pacbench bench --interleaved --backend native --cases W1,W2 --parts time",
)
def _bench(
    backend: Backends = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(metavar="A[,B]", help="Plain torch operators to compare with; all if not given."),
    ] = None,
    methods: Methods = None,
    cases: Annotated[
        list[str] | None, typer.Option(metavar="A[,B]", help="Only cases whose name holds one of these.")
    ] = None,
    profile: Profile = "standard",
    output: Output = None,
    rounds: Rounds = None,
    timeout: Timeout = 3600,
    memory_limit: MemoryLimit = None,
    allocator: Annotated[str, typer.Option(metavar="NAME", help=f"{ALLOCATOR_HELP} Every row gets the same.")] = KEPT,
    interleaved: Annotated[
        bool,
        typer.Option(
            "--interleaved",
            help="One backend, sampled in turns with plain torch and the FMA peak in one process, beside the project's "
            "targets. --rounds is then the number of turns.",
        ),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --interleaved: another backend to compare with, sampled less often."),
    ] = None,
    parts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A[,B]",
            help="With --interleaved: only time, accuracy, memory, threads, sizes, isa, lattice or upsampling.",
        ),
    ] = None,
) -> int:
    """Time single operators and whole CRFs: ratios, GFLOP/s, % of the measured FMA peak, peak memory."""
    checks.known_suites([OPERATOR_SUITE], [], list_suites())
    checks.known_profile(profile)
    checks.known_allocator(allocator)
    if interleaved:
        from .commands.interleaved import interleaved_plan, run_interleaved

        plan = interleaved_plan(
            backend, against, reference=reference, methods=methods, cases=cases, parts=parts, profile=profile,
            turns=rounds, allocator=allocator,
        )  # fmt: skip
        return run_interleaved(plan, checks.new_run_folder(output), timeout_s=timeout)
    if against is not None or parts:
        raise checks.WrongUse("got --against or --parts, expected --interleaved beside them")
    from .commands import run

    backends = checks.known_backends(backend)
    expression = checks.case_expression(cases)
    folder = checks.new_run_folder(output)
    wanted = run.operator_methods(checks.names(methods), checks.names(reference))
    settings = run.new_settings(
        [OPERATOR_SUITE], backends, methods=wanted, profile=profile, rounds=rounds, data_root=None,
        timeout_s=timeout, cases=expression, allocator=allocator, memory_limit_gb=memory_limit,
    )  # fmt: skip
    return run.start(folder, settings)


@app.command("run", epilog="Example: pacbench run crf --backend unfold --profile quick --output my-run")
def _run(
    context: typer.Context,
    suites: Annotated[list[str] | None, typer.Argument(metavar="SUITE", help="Workloads; all if not given.")] = None,
    backend: Backends = None,
    methods: Methods = None,
    profile: Profile = "standard",
    data_root: DataRoot = None,
    output: Output = None,
    factor: Annotated[
        list[str] | None,
        typer.Option(metavar="N[,N]", help="Factors of joint_upsampling, which must be the only suite."),
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Weights that `pacbench train` wrote, for real data; may be repeated."),
    ] = None,
    rounds: Rounds = None,
    timeout: Timeout = 3600,
    memory_limit: MemoryLimit = None,
    allocator: Annotated[str, typer.Option(metavar="NAME", help=ALLOCATOR_HELP)] = DEFAULT,
    save_predictions: Annotated[
        bool, typer.Option("--save-predictions", help="Write predicted label images, in VOC's palette, into DIR.")
    ] = False,
    executor: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Who runs the jobs: local, here and one after another; dask, the workers of --scheduler; or "
            "module:factory, which is called for a concurrent.futures.Executor.",
        ),
    ] = LOCAL,
    scheduler: Annotated[
        str | None, typer.Option(metavar="tcp://HOST:PORT", help="Dask's scheduler, for --executor dask.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Take this run up again, under its own settings.")
    ] = None,
) -> int:
    """Run workloads against backends, each gate first, then print the tables and write the report."""
    from .commands import run

    checks.known_executor(executor, scheduler)
    if resume is not None:
        checks.refuse_others(context, "resume", "executor", "scheduler")
        return run.resume(resume, executor=executor, scheduler=scheduler)
    chosen = checks.known_suites(suites, workloads(), [name for name in list_suites() if name != "gradients"])
    factors = checks.known_factors(factor, chosen)
    settings = run.new_settings(
        chosen, checks.known_backends(backend), methods=checks.names(methods), profile=checks.known_profile(profile),
        rounds=rounds, data_root=checks.existing_folder(data_root, "data root"), timeout_s=timeout,
        factors=factors, weights=checks.existing_files(weights, "weights"), save_predictions=save_predictions,
        allocator=checks.known_allocator(allocator), memory_limit_gb=memory_limit,
    )  # fmt: skip
    return run.start(checks.new_run_folder(output), settings, executor=executor, scheduler=scheduler)


training_command.register(app)


@app.command("report", epilog="Example: pacbench report my-run --output my-report")
def _report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder to write to; RUN/report.")] = None,
    panels: Annotated[
        bool, typer.Option("--panels/--no-panels", help="Show example pictures, or no pixel of the data.")
    ] = True,
) -> int:
    """Print a run's tables and write its report: Markdown, CSV, LaTeX, JSON and a self-contained HTML page."""
    from .commands.report import report

    return report(folder, output, panels=panels)


comparing_commands.register(app)


@app.command("resources", epilog="Example: pacbench resources --backend triton --target sm_90")
def _resources(
    backend: Annotated[str, typer.Option("--backend", "-b", metavar="NAME", help="A backend with GPU kernels.")],
    target: Annotated[
        list[str] | None, typer.Option("--target", metavar="ARCH", help="Only this architecture; all of the budget's.")
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Write what was compiled as the new budget.")] = False,
    predicted: Annotated[
        bool, typer.Option("--predicted", help="Print the least times by FLOPs and bytes instead; nothing is compiled.")
    ] = False,
) -> int:
    """Compile GPU kernels, without a GPU, and compare registers, spills and instructions with the budget."""
    from .commands.resources import predictions, resources

    if predicted:
        return predictions(backend)
    return resources(backend, checks.names(target) or [], update=update)


@app.command("gpu-check", epilog="Example: pacbench gpu-check --backend triton --output my-gpu")
def _gpu_check(
    backend: Backends = None,
    output: Output = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only the smoke gate and a profile of small calls, on whatever device.")
    ] = False,
) -> int:
    """Run the whole run book of a machine with a GPU: gate, profile, operators, workloads, resources."""
    from .commands.gpu_check import gpu_check

    return gpu_check(checks.known_backends(backend), checks.new_run_folder(output), quick=quick)


@app.command("doctor", epilog="Example: pacbench doctor --data-root my-data")
def _doctor(data_root: DataRoot = None) -> int:
    """Describe this machine: versions, measured peak, what is missing and how to get it, data found."""
    from .commands.doctor import doctor

    return doctor(checks.existing_folder(data_root, "data root"))


def _commands(command: Any) -> list[str]:
    return list(getattr(command, "commands", {}))


def main() -> None:
    """Entry point: runs the command line and exits; errors are one line, without a traceback."""
    try:
        code = _exit_code()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader went away (`pacbench backends | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _exit_code() -> int:
    try:
        return int(app(standalone_mode=False) or 0)
    except (checks.WrongUse, UnknownNameError) as error:
        return _complain(error, 2)
    except (BudgetError, RunError, RecordError, UnavailableError) as error:
        return _complain(error, 1)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _complain(f"{error.filename or 'a file'}: cannot be read or written ({error.strerror or error})", 1)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except typer.Exit as error:
        return error.exit_code
    except Exception as error:  # what typer raises has moved between its releases, but keeps this method
        if not hasattr(error, "format_message"):
            raise
        return _complain(_usage_message(error), 2)


def _complain(error: object, code: int) -> int:
    text = " ".join(str(error).split())
    sys.stderr.write(f"pacbench: {text}\n")
    return code


def _usage_message(error: Any) -> str:
    """One line: what is wrong, the valid names, the nearest match."""
    message: str = error.format_message()
    context = getattr(error, "ctx", None)
    unknown = re.match(r"No such (command|option):? '?([^\s'.]+)", message)
    if unknown is None or context is None:
        return message
    kind, name = unknown.groups()
    if kind == "command":
        valid = _commands(context.command)
    else:
        valid = sorted(option for parameter in context.command.params for option in parameter.opts if "-" in option)
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{kind}: got {name!r}, expected one of {', '.join(valid)}{hint}"
