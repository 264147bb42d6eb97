"""Speed, recall and memory of searching, beside what else there is. All figures are CPU time of one thread.

    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 taskset -c 1 python bench/search.py kernels
    ... python bench/search.py search --pages 20000 --kind easy     recall@10 of exact MaxSim, time of the store's part, memory
    ... python bench/search.py engines --pages 2000                 the same beside Lance's own multi-vectors, qdrant-edge, torch, numpy
    ... python bench/search.py curve --pages 100000                 time against the number of pages, from 1,000 on
    ... python bench/search.py pooling --pages 2000                 what merging token vectors costs and saves
    ... python bench/search.py plot                                 docs/search.png from bench/results/

`bench/pages.py` tells what the pages are. Results are written to bench/results/search-*.json. qdrant-edge is used where
`pip install qdrant-edge-py` was done. --folder keeps a store for another run.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from pages import DENSE, WIDTH, Pages  # noqa: E402

RESULTS = Path(__file__).parent / "results"
LETTERS = [f"p{i:06d}" for i in range(1_000_000)]


def main() -> None:
    one = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    one.add_argument("what", choices=("kernels", "search", "engines", "curve", "pooling", "plot", "measure"))
    one.add_argument("--pages", type=int, default=20_000)
    one.add_argument("--kind", choices=("easy", "hard"), default="easy")
    one.add_argument("--tokens", type=int, default=256, help="of a page, for the curve")
    one.add_argument("--queries", type=int, default=40)
    one.add_argument("--folder", type=Path)
    arguments = one.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        arguments.folder = arguments.folder or Path(temporary) / "pages.lance"
        globals()[arguments.what](arguments)


def cpu_ms(call: Callable[[], Any], *, rounds: int = 9) -> dict[str, float]:
    """Median and best CPU milliseconds of a call, after one that is not counted."""
    call()
    times = []
    for _ in range(rounds):
        began = time.process_time()
        call()
        times.append(1e3 * (time.process_time() - began))
    return {"median": statistics.median(times), "best": min(times)}


def told(name: str, values: dict[str, Any]) -> None:
    print(f"{name:44}", "  ".join(f"{key} {value:,.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items()))


def kept(name: str, values: Any) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"search-{name}.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


# Kernels


def kernels(arguments: argparse.Namespace) -> None:
    """The bars: 5,000 pages of 256 tokens scanned, 200 of them ranked, for 24 query tokens."""
    import torch

    from unitower import codes
    from unitower.kernels import compiled, plain

    torch.set_num_threads(1)
    made = Pages()
    tokens = np.concatenate([block for block, _ in made.blocks(5_000)])
    query = np.ascontiguousarray(tokens[7, :24])
    asked = codes.query(query)
    packed = [codes.pack(page) for page in tokens]
    data, size = np.frombuffer(b"".join(packed), np.uint8), len(packed[0])
    planes = codes.planes(codes.quantised(tokens.reshape(-1, WIDTH))[0])
    lengths, starts = np.full(5_000, 256), np.arange(5_000) * 256
    draw = np.random.default_rng(0)
    results: dict[str, Any] = {}

    def measured(name: str, call: Callable[[], Any], *, work: float = 0.0, peak: float = 0.0, rounds: int = 9) -> None:
        results[name] = cpu_ms(call, rounds=rounds)
        if peak:
            results[name]["share of peak"] = work / (results[name]["best"] / 1e3) / peak
        told(name, results[name])

    products, distances = peaks()
    results["peak"] = {"16-bit products/s": products, "distances/s": distances}
    told("the core's peak, measured", {"16-bit products, G/s": products / 1e9, "distances of 128 bits, G/s": distances / 1e9})
    chosen = lambda: np.sort(draw.choice(5_000, 200, replace=False))  # noqa: E731
    implementations = [*([compiled.open(level=level) for level in (2, 1)] if compiled.open() else []), plain.open()]
    for kernel in {one.name: one for one in implementations if one is not None}.values():
        top = kernel.name.endswith("AVX-512")
        rounds = 3 if kernel.name == "numpy" else 15
        scan, rank = 5_000 * 256 * 24, 200 * 256 * 24 * WIDTH
        measured(
            f"Hamming scan of 5,000 pages, {kernel.name}",
            lambda kernel=kernel: kernel.hamming(asked.signs, planes.signs, starts, lengths),
            work=scan, peak=distances * top, rounds=rounds,
        )  # fmt: skip
        measured(
            f"int8 ranking of 200 pages, {kernel.name}",
            lambda kernel=kernel: kernel.best(asked, data, chosen() * size, lengths[:200]), work=rank, peak=products * top, rounds=rounds,
        )  # fmt: skip
        measured(
            f"two bits, 1,000 pages, {kernel.name}",
            lambda kernel=kernel: kernel.coarse(asked, planes, starts[:1000], lengths[:1000]),
            rounds=rounds,
        )
    halves = torch.from_numpy(tokens).bfloat16()
    in_torch = torch.from_numpy(query).bfloat16()
    measured(
        "torch bfloat16, 200 pages gathered",
        lambda: (in_torch @ halves[torch.from_numpy(chosen())].reshape(-1, WIDTH).T).reshape(24, 200, 256).amax(2).float().sum(0),
        rounds=15,
    )  # fmt: skip
    measured(
        "torch bfloat16, 200 pages, einsum",
        lambda: torch.einsum("tm,nsm->nts", in_torch, halves[torch.from_numpy(chosen())]).amax(2).float().sum(1),
        rounds=15,
    )
    floats = torch.from_numpy(tokens)
    measured(
        "torch float32, 200 pages gathered",
        lambda: (torch.from_numpy(query) @ floats[torch.from_numpy(chosen())].reshape(-1, WIDTH).T).reshape(24, 200, 256).amax(2).sum(0),
    )
    measured(
        "numpy float32, 200 pages gathered", lambda: (tokens[chosen()].reshape(-1, WIDTH) @ query.T).reshape(200, 256, 24).max(1).sum(1)
    )
    measured("numpy float32, 5,000 pages", lambda: (tokens.reshape(-1, WIDTH) @ query.T).reshape(5_000, 256, 24).max(1).sum(1), rounds=2)
    best = min(results[name]["best"] for name in results if name.startswith("torch bfloat16"))
    ours = next((results[name]["best"] for name in results if name.startswith("int8 ranking")), None)
    results["torch bfloat16 / ours"] = best / ours if ours else None
    print(f"int8 ranking is {best / ours:.2f} times as fast as torch bfloat16 (best against best)")
    kept("kernels", results)


def peaks() -> tuple[float, float]:
    """Products of 16 bits and Hamming distances of 128 bits that one core can do in a second; 0 where it has no AVX-512."""
    from hatch_build import compiled as compile_to

    from unitower.kernels import compiled

    kernel = compiled.open()
    if kernel is None or kernel.level < 2:
        return 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "peak.so"
        if not compile_to(library, source=Path(__file__).with_name("peak.c")):
            return 0.0, 0.0
        functions, out, found = ctypes.CDLL(str(library)), (ctypes.c_int32 * 12)(), []
        for name, rounds in (("peak_products", 4_000_000), ("peak_distances", 1_000_000)):
            function = getattr(functions, name)
            function.restype = ctypes.c_int64
            rates = []
            for _ in range(5):
                began = time.process_time()
                rates.append(function(ctypes.c_int64(rounds), out) / (time.process_time() - began))
            found.append(max(rates))
        return found[0], found[1]


# The store


def embeddings(tokens: np.ndarray[Any, Any], dense: np.ndarray[Any, Any]) -> Any:
    from unitower.types import Embeddings, Fingerprint, Ragged

    made_by = Fingerprint(
        model="m", revision="r", adapter="a", prompts={}, max_pixels=1, max_length=1, dense_width=DENSE, multi_width=WIDTH
    )
    ends = np.arange(0, len(tokens) * tokens.shape[1] + 1, tokens.shape[1])
    return Embeddings(dense=dense, multi=Ragged(tokens.reshape(-1, tokens.shape[2]), ends), fingerprint=made_by)


def fill(folder: Path, pages: Pages, number: int, *, queries: int) -> list[dict[str, Any]]:
    """A store of so many pages, and queries with the exact ten best of each."""
    from unitower.stores import Entry, open_store
    from unitower.types import Source

    store = open_store(f"lance:{folder}")
    asked: list[dict[str, Any]] = []
    known: dict[int, Any] = {}
    for seed in range(queries):  # their pages lie in two blocks, so that these need not all be made beforehand
        index = seed % 2 * (number // 1000)
        if seed < 2:
            tokens, dense = pages.block(index, 500)
            known[index] = (tokens, dense)
        place = (seed * 37) % 500
        rows, one = pages.query(known[index][0][place], known[index][1][place], seed=seed)
        asked.append({"tokens": rows, "dense": one, "target": LETTERS[index * 500 + place]})
    scores = np.empty((len(asked), number), np.float32)
    for first in range(0, number, 500):
        tokens, dense = pages.block(first // 500, min(500, number - first))
        entries = [
            Entry(id=LETTERS[first + i], source=Source(path=LETTERS[first + i], page=1), modality="image") for i in range(len(tokens))
        ]
        store.add(entries, embeddings(tokens, dense))
        for i, one in enumerate(asked):
            scores[i, first : first + len(tokens)] = (
                (tokens.reshape(-1, WIDTH) @ one["tokens"].T).reshape(*tokens.shape[:2], -1).max(1).sum(1)
            )
    for i, one in enumerate(asked):
        one["best"] = [LETTERS[p] for p in np.argsort(-scores[i], kind="stable")[:10]]
    began = time.process_time()
    store.optimize()
    print(f"optimized and scan codes made in {time.process_time() - began:.1f} s of CPU")
    return asked


def search(arguments: argparse.Namespace) -> None:
    """Recall, time and memory of a store, measured in a process that has nothing else."""
    pages = Pages(arguments.kind)
    asked = fill(arguments.folder, pages, arguments.pages, queries=arguments.queries)
    np.savez(
        arguments.folder.with_suffix(".npz"),
        asked=np.array(json.dumps([{**one, "tokens": one["tokens"].tolist(), "dense": one["dense"].tolist()} for one in asked])),
    )
    command = [sys.executable, __file__, "measure", "--folder", str(arguments.folder), "--pages", str(arguments.pages)]
    result = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])
    size = sum(file.stat().st_size for file in arguments.folder.rglob("*") if file.is_file())
    result |= {"bytes a page on disk": size / arguments.pages, "float16 tokens, bytes a page": 256 * WIDTH * 2}
    for name, values in result.items():
        told(name, values if isinstance(values, dict) else {"": values})
    kept(f"{arguments.pages}-{arguments.kind}", result)


def measure(arguments: argparse.Namespace) -> None:
    """Ask a store that is there, and print a line of JSON."""
    asked = json.loads(str(np.load(arguments.folder.with_suffix(".npz"))["asked"]))
    print(json.dumps(measured_store(arguments.folder, asked, pages=arguments.pages)))


def measured_store(
    folder: Path, asked: Sequence[dict[str, Any]], *, pages: int, modes: Sequence[str] = ("multi", "dense", "exact", "filtered")
) -> dict[str, Any]:
    from unitower.stores import Query, open_store
    from unitower.stores.lance import LanceStore

    LanceStore(folder / "none")  # libraries are loaded before memory is counted
    before = resident()
    began = time.process_time()
    store = open_store(f"lance:{folder}")
    queries = [Query(tokens=np.array(one["tokens"], np.float32), dense=np.array(one["dense"], np.float32)) for one in asked]
    store.search(queries[0], k=10)
    result: dict[str, Any] = {"open and first search, CPU s": time.process_time() - began}
    every_tenth = {id for id in LETTERS[:pages] if id.endswith("7")}
    for mode in modes:
        options: dict[str, Any] = {
            "multi": {}, "dense": {"weights": {"multi": 0}}, "exact": {"exact": True}, "filtered": {"where": "path like '%7'"}
        }[mode]  # fmt: skip
        some = queries if mode != "exact" else queries[:3]
        times, recall, first = [], [], []
        for query, one in zip(some, asked, strict=False):
            if mode in ("multi", "filtered"):
                store.search(query, k=10, **options)  # reads what it needs from disk, as it would be in a process that serves
            began = time.process_time()
            found = [hit.id for hit in store.search(query, k=10, **options)]
            times.append(1e3 * (time.process_time() - began))
            expected = one["best"]
            if mode == "filtered":
                exact = store.search(query, k=10, exact=True, **options) if len(recall) < 5 else None
                expected = [hit.id for hit in exact] if exact else []
                assert set(found) <= every_tenth
            if expected:
                recall.append(len(set(found) & set(expected)) / len(expected))
            first.append(found[0] == one["target"])
        result[mode] = {"CPU ms": statistics.median(times), "recall@10": statistics.mean(recall), "queries": len(some)}
        if mode != "filtered":
            result[mode]["page found first"] = statistics.mean(first)
        if mode == "multi":
            used = resident() - before
            result["memory"] = {"MB": used / 1e6, "share of float16 tokens": used / (pages * 256 * WIDTH * 2)}
    return result


def resident() -> float:
    """Bytes of this process in memory, mapped files included."""
    return float(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def curve(arguments: argparse.Namespace) -> None:
    """Time against size, of a store that grows. The same 500 pages come again and again, which changes no step's work."""
    from unitower.stores import Entry, open_store
    from unitower.types import Source

    made, results, there = Pages(arguments.kind, tokens=arguments.tokens), [], 0
    tokens, dense = made.block(0, 500)
    asked = [dict(zip(("tokens", "dense"), made.query(tokens[37 * seed], dense[37 * seed], seed=seed), strict=True)) for seed in range(12)]
    store = open_store(f"lance:{arguments.folder}")
    for number in (1_000, 5_000, 20_000, 50_000, 100_000):
        if number > arguments.pages:
            break
        for first in range(there, number, 500):
            entries = [Entry(id=LETTERS[first + i], source=Source(path=LETTERS[first + i], page=1), modality="image") for i in range(500)]
            store.add(entries, embeddings(tokens, dense))
        store.optimize()
        there = number
        results.append(timed(arguments.folder, asked) | {"pages": number, "tokens a page": arguments.tokens})
        told(f"{number:,} pages", results[-1])
        kept("curve", results)


def timed(folder: Path, asked: Sequence[dict[str, Any]]) -> dict[str, Any]:
    from unitower.stores import Query, open_store

    store = open_store(f"lance:{folder}")
    queries = [Query(tokens=one["tokens"], dense=one["dense"]) for one in asked]
    values = {}
    for name, options in (("multi", {}), ("dense", {"weights": {"multi": 0.0}}), ("a filter on 1 in 10", {"where": "path like '%7'"})):
        for query in queries:
            store.search(query, k=10, **options)
        times = []
        for query in queries:
            began = time.process_time()
            store.search(query, k=10, **options)
            times.append(1e3 * (time.process_time() - began))
        values[name] = statistics.median(times)
    return values


# Others


def engines(arguments: argparse.Namespace) -> None:
    """The same pages and queries in other engines."""
    import torch

    torch.set_num_threads(1)
    pages = Pages(arguments.kind)
    number, queries = arguments.pages, min(arguments.queries, 10)
    asked = fill(arguments.folder, pages, number, queries=queries)
    tokens = np.concatenate([block for block, _ in pages.blocks(number)])
    results: dict[str, Any] = {"pages": number, "queries": queries}
    results["unitower"] = measured_store(arguments.folder, asked, pages=number, modes=("multi", "exact"))["multi"]
    halves = torch.from_numpy(tokens.reshape(-1, WIDTH)).bfloat16()

    def in_torch(one: dict[str, Any]) -> list[str]:
        scores = (halves @ torch.from_numpy(one["tokens"]).bfloat16().T).reshape(number, 256, -1).amax(1).float().sum(1)
        return [LETTERS[p] for p in scores.topk(10).indices.tolist()]

    def in_numpy(one: dict[str, Any]) -> list[str]:
        scores = (tokens.reshape(-1, WIDTH) @ one["tokens"].T).reshape(number, 256, -1).max(1).sum(1)
        return [LETTERS[p] for p in np.argsort(-scores)[:10]]

    results["torch bfloat16, everything"] = asked_of(in_torch, asked)
    told("torch bfloat16, everything", results["torch bfloat16, everything"])
    results["numpy float32, everything"] = asked_of(in_numpy, asked)
    results |= in_lance(arguments.folder.parent / "multivector.lance", tokens, asked)
    results |= in_qdrant(arguments.folder.parent / "qdrant", tokens, asked)
    for name, values in results.items():
        told(name, values if isinstance(values, dict) else {"": values})
    kept("engines", results)


def asked_of(answer: Callable[[dict[str, Any]], list[str]], asked: Sequence[dict[str, Any]]) -> dict[str, float]:
    answer(asked[0])
    times, recall = [], []
    for one in asked:
        began = time.process_time()
        found = answer(one)
        times.append(1e3 * (time.process_time() - began))
        recall.append(len(set(found) & set(one["best"])) / 10)
    return {"CPU ms": statistics.median(times), "recall@10": statistics.mean(recall)}


def in_lance(folder: Path, tokens: np.ndarray[Any, Any], asked: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Lance's own multi-vector column: without an index, and with IVF_PQ of 16 bytes a token."""
    import lance
    import pyarrow as pa

    rows = pa.FixedSizeListArray.from_arrays(pa.array(tokens.reshape(-1).astype(np.float16), pa.float16()), WIDTH)
    ends = pa.array(np.arange(0, len(tokens) * 256 + 1, 256), pa.int32())
    dataset = lance.write_dataset(pa.table({"id": LETTERS[: len(tokens)], "mv": pa.ListArray.from_arrays(ends, rows)}), str(folder))

    def answer(**options: Any) -> Callable[[dict[str, Any]], list[str]]:
        def ask(one: dict[str, Any]) -> list[str]:
            nearest = {"column": "mv", "q": one["tokens"].astype(np.float16), "k": 10, "metric": "cosine", **options}
            return list(dataset.to_table(columns=["id"], nearest=nearest)["id"].to_pylist())

        return ask

    results: dict[str, Any] = {"Lance multi-vector, no index": asked_of(answer(use_index=False), asked[:3])}
    began = time.process_time()
    dataset = dataset.create_index("mv", "IVF_PQ", metric="cosine", num_partitions=64, num_sub_vectors=16, sample_rate=32, max_iters=10)
    built = time.process_time() - began
    for probes, refine in ((4, 5), (16, 20)):
        ask = answer(minimum_nprobes=probes, maximum_nprobes=probes, refine_factor=refine)
        results[f"Lance multi-vector, IVF_PQ, {probes} probes, refine {refine}"] = asked_of(ask, asked) | {"build, CPU s": built}
    return results


def in_qdrant(folder: Path, tokens: np.ndarray[Any, Any], asked: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """qdrant-edge with float16 multi-vectors, everything compared."""
    try:
        import qdrant_edge as q
    except ImportError:
        return {"qdrant-edge": {"skipped": "not installed"}}
    folder.mkdir()
    kind = q.EdgeVectorParams(
        size=WIDTH, distance=q.Distance.Dot, multivector_config=q.MultiVectorConfig(q.MultiVectorComparator.MaxSim),
        datatype=q.VectorStorageDatatype.Float16, hnsw_config=q.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000),
    )  # fmt: skip
    shard = q.EdgeShard.create(str(folder), q.EdgeConfig(vectors={"mv": kind}))
    for first in range(0, len(tokens), 100):
        points = [q.Point(first + i, {"mv": page.tolist()}) for i, page in enumerate(tokens[first : first + 100])]
        shard.update(q.UpdateOperation.upsert_points(points))

    def ask(one: dict[str, Any]) -> list[str]:
        request = q.QueryRequest(limit=10, query=q.Query.Nearest(one["tokens"].tolist(), using="mv"))
        return [LETTERS[int(point.id)] for point in shard.query(request)]

    return {"qdrant-edge float16, everything": asked_of(ask, asked)}


# Pooling


def pooling(arguments: argparse.Namespace) -> None:
    """Exact MaxSim over pooled tokens, against that over all of them: recall, bytes and the time of pooling."""
    from unitower.encode.compress import pooled
    from unitower.scoring import maxsim
    from unitower.types import Ragged

    number, results = min(arguments.pages, 2_000), {}
    for kind in ("easy", "hard"):
        pages = Pages(kind)
        blocks = list(pages.blocks(number))
        tokens = np.concatenate([block for block, _ in blocks])
        multi = Ragged(tokens.reshape(-1, WIDTH), np.arange(0, number * 256 + 1, 256))
        targets = np.linspace(0, number - 1, arguments.queries).astype(int)
        asked = [pages.query(tokens[p], blocks[p // 500][1][p % 500], seed=seed)[0] for seed, p in enumerate(targets)]
        exact = [np.argsort(-maxsim(query, multi))[:10] for query in asked]
        for factor in (2, 3, 4):
            began = time.process_time()
            fewer = pooled(multi, factor=factor)
            took = time.process_time() - began
            found = [np.argsort(-maxsim(query, fewer))[:10] for query in asked]
            results[f"{kind}, factor {factor}"] = {
                "recall@10": statistics.mean(len(set(a.tolist()) & set(b.tolist())) / 10 for a, b in zip(found, exact, strict=True)),
                "page found first": statistics.mean(float(a[0] == p) for a, p in zip(found, targets, strict=True)),
                "bytes a page": len(fewer.data) / number * (WIDTH + 4 + 32),
                "pooling, CPU ms a page": 1e3 * took / number,
            }
            told(f"{kind}, factor {factor}", results[f"{kind}, factor {factor}"])
    kept("pooling", results)


def plot(arguments: argparse.Namespace) -> None:
    """docs/search.png: time of a search against the number of pages."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    points = json.loads((RESULTS / "search-curve.json").read_text(encoding="utf-8"))
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for name, label, style in (
        ("multi", "scan, second look, ranking", "o-"),
        ("a filter on 1 in 10", "the same, among 1 page in 10", "s--"),
        ("dense", "dense vectors alone", "^:"),
    ):  # fmt: skip
        axes.plot([point["pages"] for point in points], [point[name] for point in points], style, label=label)
    axes.set(xscale="log", yscale="log", xlabel=f"pages of {points[0]['tokens a page']} tokens", ylabel="CPU milliseconds of one thread")
    axes.set_xticks([point["pages"] for point in points], [f"{point['pages']:,}" for point in points])
    ticks = [0.5, 1, 2, 5, 10, 20, 50, 100, 200]
    axes.set_yticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    axes.set_title("Time of the store's part of a search")
    figure.savefig(Path(__file__).parents[1] / "docs" / "search.png", dpi=110)


if __name__ == "__main__":
    main()
