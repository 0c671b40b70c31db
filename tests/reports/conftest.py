"""Run folders made by hand from records, read the way the report command reads them."""

import base64
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pacbench.frame import Run, read_run
from pacbench.records import NO_CASE, CaseRecord, Collected, Environment, JobRecord, Line, RunSettings, append
from pacbench.running.job import Job

METHODS = {
    "unary": (0.6512, 0.0002),
    "full_crf": (0.6790, 0.309),
    "conv_crf_11": (0.6653, 0.917),
    "conv_crf_7": (0.6641, 0.371),
    "pac_crf_32": (0.6734, 2.583),
    "pac_crf_16_64": (0.6781, 5.531),
}


def picture(width: int = 8, height: int = 4) -> bytes:
    """A PNG file of a grey gradient."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = bytes(255 * x // width for x in range(width))
    rows = b"".join(b"\0" + row for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class RunFolder:
    """A run folder to be filled record by record."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)

    def settings(self, suites: Iterable[str], backends: Iterable[str] = ("unfold",), **fields: object) -> None:
        said = RunSettings.model_validate(
            {"suites": list(suites), "backends": list(backends), "profile": "quick", "rounds": 1,
             "command": "pacbench run", "started": "2026-01-02T03:04:05+00:00", **fields}
        )  # fmt: skip
        (self.folder / "run.json").write_text(said.model_dump_json())

    def environment(self, **fields: object) -> None:
        said = Environment.model_validate(
            {"pacbench": "0.1.0", "package_hash": "0f3a", "python": "3.11.9", "platform": "Linux",
             "processor": "a processor", "cores": 2, "memory_bytes": 8 * 2**30, "threads": 2, "torch": "2.13.0",
             "cpu_capability": "AVX512", "allocator": "glibc", "fma_peak_gflops": 228.0,
             "copy_bandwidth_gbs": 40.1, "packages": {"numpy": "2.3.0"}, **fields}
        )  # fmt: skip
        (self.folder / "environment.json").write_text(said.model_dump_json())

    def case(self, suite: str, case: str, backend: str = "unfold", round_: int = 0, **fields: object) -> None:
        job = Job(suite, backend, round_).name
        record = CaseRecord.model_validate(
            {"job": job, "suite": suite, "case": case, "backend": backend, "round": round_, "outcome": "passed",
             "gate": suite == "gradients", "device": "cpu", **fields}
        )  # fmt: skip
        self.line(f"{job}.jsonl", record)

    def line(self, name: str, line: Line) -> None:
        append(self.folder / "records" / name, line)

    def collected(self, suite: str, cases: list[str], backend: str = "unfold", round_: int = 0) -> None:
        job = Job(suite, backend, round_).name
        self.line(f"{job}.jsonl", Collected(job=job, suite=suite, backend=backend, round=round_, cases=cases))

    def job(self, suite: str, outcome: str, backend: str = "unfold", round_: int = 0, reason: str = "") -> None:
        job = Job(suite, backend, round_).name
        append(
            self.folder / "jobs.jsonl",
            JobRecord.model_validate(
                {
                    "job": job,
                    "key": "k",
                    "suite": suite,
                    "backend": backend,
                    "round": round_,
                    "outcome": outcome,
                    "reason": reason or None,
                }
            ),
        )

    def green(self, backend: str = "unfold") -> None:
        for number in range(3):
            self.case("gradients", f"test_forward[sample{number}]", backend)

    def red(self, backend: str, reason: str = "output differs") -> None:
        self.case("gradients", "test_forward[sample0]", backend)
        self.case("gradients", "test_gradient[sample0]", backend, outcome="failed", reason=reason)

    def crf(self, backend: str = "unfold", scale: float = 1.0, rounds: int = 1, dataset: str = "scenes") -> None:
        for method, (miou, seconds) in METHODS.items():
            self.case(
                "crf", f"test_crf.py::test_quality[{method}]", backend, method=method, direction="quality",
                dataset=dataset, metrics={"miou": miou, "pixel_accuracy": 0.9, "trimap_miou_4": miou - 0.2}
                | ({} if method == "unary" else {"miou_gain_low": miou - 0.68, "miou_gain_high": miou - 0.66}),
                parameters={} if method == "unary" else {"weight": 2.5},
                notes=[] if method == "unary" else ["scalars tuned on the training split"],
            )  # fmt: skip
            parts = {"total": 1.0} if "pac" not in method else {"total": 1.0, "kernel": 0.31, "steps": 0.69}
            for round_ in range(rounds):
                for direction, share in parts.items():
                    middle = seconds * share * scale * (1 + 0.01 * round_)
                    self.case(
                        "crf", f"test_crf.py::test_time[{method}-{direction}]", backend, round_, method=method,
                        direction=direction, dataset=dataset, samples_s=[middle, 0.98 * middle, 1.03 * middle],
                        peak_memory_bytes=930_000_000,
                    )  # fmt: skip

    def upsampling(self, backend: str = "unfold", scale: float = 1.0) -> None:
        errors = {"nearest": 3.1, "bilinear": 2.6, "bicubic": 2.5, "guided_filter": 2.2, "joint_bilateral": 1.9}
        for factor in (4, 8, 16):
            for place, (method, error) in enumerate(errors.items()):
                about = {"method": method, "dataset": "motorcycle"}
                self.case(
                    "joint_upsampling", f"test_quality[{method}-x{factor}]", backend, direction="quality",
                    metrics={"rmse": error * factor**0.5, "factor": factor}, **about,
                )  # fmt: skip
                self.case(
                    "joint_upsampling", f"test_time[{method}-x{factor}]", backend, direction="total",
                    samples_s=[0.004 * scale * (1 + place) ** 2, 0.0041 * scale * (1 + place) ** 2],
                    peak_memory_bytes=12_000_000, metrics={"factor": factor}, **about,
                )  # fmt: skip

    def operators(self, backend: str = "unfold", scale: float = 1.0) -> None:
        for name, operator, seconds, flops in (
            ("W1", "pacconv2d", 0.536, 3.36e9), ("W2", "pacconv2d", 0.081, 1.21e9), ("W4", "pacpool2d", 0.418, 0.2e9),
        ):  # fmt: skip
            for direction, times in (("forward", 1), ("forward+backward", 3)):
                self.case(
                    "operators", f"test_time[{name}-{direction}]", backend, method=name, operator=operator,
                    direction=direction, samples_s=[seconds * times * scale], flops=flops * times, bytes=2e8 * times,
                    peak_memory_bytes=424_000_000,
                )  # fmt: skip
                self.case(
                    "operators", f"test_time[{name}-reference:conv2d-{direction}]", backend,
                    method="reference:conv2d", operator=operator, direction=direction,
                    samples_s=[seconds * times / 20], flops=flops * times, bytes=2e8 * times,
                    peak_memory_bytes=9_000_000,
                )  # fmt: skip

    def panel(self, name: str, data: bytes | None = None) -> str:
        path = self.folder / "panels" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture() if data is None else data)
        return f"panels/{name}"

    def ran(self, *suites: str, backend: str = "unfold", rounds: int = 1) -> None:
        """The jobs of these suites have ended by themselves."""
        for suite in suites:
            for round_ in range(rounds):
                recorded = (self.folder / "records" / f"{Job(suite, backend, round_).name}.jsonl").exists()
                self.job(suite, "completed", backend, round_, reason="" if recorded else NO_CASE)

    def everything(self) -> None:
        """Two backends, the three suites, three rounds, a skip, a loss, a panel: everything that a report has."""
        backends = ("unfold", "inductor")
        self.settings(
            ["operators", "crf", "joint_upsampling"], backends, rounds=3,
            command="pacbench run --backend unfold,inductor --profile quick",
        )  # fmt: skip
        self.environment()
        for backend, scale in (("unfold", 1.0), ("inductor", 0.34)):
            self.green(backend)
            self.operators(backend, scale)
            self.crf(backend, scale, rounds=3)
            self.upsampling(backend, scale)
            self.ran("operators", "crf", "joint_upsampling", backend=backend, rounds=3)
        self.case(
            "crf", "test_crf.py::test_quality[bcl_crf]", method="bcl_crf", outcome="skipped",
            reason="the permutohedral lattice is not installed", dataset="scenes", direction="quality",
        )  # fmt: skip
        self.case(
            "crf", "test_crf.py::test_panel[pac_crf_32]", method="pac_crf_32", dataset="scenes", direction="panel",
            panel=self.panel("scene_000.png"),
        )  # fmt: skip
        self.collected("joint_upsampling", ["test_quality[fast_bilateral-x4]"], "inductor")
        self.job("joint_upsampling", "crashed", "inductor", reason="killed by SIGSEGV")

    def read(self) -> Run:
        return read_run(self.folder)


@pytest.fixture
def run_folder(tmp_path: Path) -> RunFolder:
    """An empty run folder."""
    return RunFolder(tmp_path / "run")


@pytest.fixture
def new_run_folder(tmp_path: Path) -> Callable[[str], RunFolder]:
    """Makes run folders by name, for tests that need more than one."""
    return lambda name: RunFolder(tmp_path / name)


@pytest.fixture(scope="session")
def session_run_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], RunFolder]:
    """Makes run folders that last as long as the session."""
    return lambda: RunFolder(tmp_path_factory.mktemp("run") / "run")


@pytest.fixture
def png() -> bytes:
    """A small PNG file."""
    return picture()


@pytest.fixture
def several(run_folder: RunFolder) -> Run:
    """A run that has everything that a report has."""
    run_folder.everything()
    return run_folder.read()


@pytest.fixture
def data_uri(png: bytes) -> str:
    """The PNG file as the page embeds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
