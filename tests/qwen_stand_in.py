"""Small stand-ins for what the recipes fetch: a Qwen2.5-VL as it lies on the Hub, and data sets with the columns of the real ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_samples import picture, png
from safetensors.torch import load_file, save_file

from unitower.model.config import LoraConfig
from unitower.training.recipe import Mix, Phase, Recipe

FIXTURE = Path(__file__).parent / "fixtures" / "jina-v4-tiny"
ROWS = 14


def backbone(folder: Path) -> Path:
    """The fixture's tower as Qwen2.5-VL is published: the decoder's values at the top level, no projector, no adapters, shards."""
    folder.mkdir(parents=True)
    raw = json.loads((FIXTURE / "config.json").read_text(encoding="utf-8"))
    own = ("auto_map", "task_names", "matryoshka_dims", "multi_vector_projector_dim", "single_vector_pool_strategy", "truncate_dim")
    flat = {key: value for key, value in raw.items() if key not in (*own, "text_config")}
    flat |= {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "rope_scaling": {"type": "mrope", "mrope_section": raw["rope_scaling"]["mrope_section"]},
        "use_sliding_window": False,
        "vocab_size": raw["text_config"]["vocab_size"],
    }
    flat["vision_config"] = {k: v for k, v in flat["vision_config"].items() if k not in ("in_channels", "model_type")}
    (folder / "config.json").write_text(json.dumps(flat), encoding="utf-8")
    rules = json.loads((FIXTURE / "preprocessor_config.json").read_text(encoding="utf-8"))
    rules |= {"max_pixels": 12_845_056, "processor_class": "Qwen2_5_VLProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps({k: v for k, v in rules.items() if k not in ("size", "auto_map")}))
    for path in FIXTURE.iterdir():
        if path.name.startswith(("tokenizer", "vocab", "merges", "added", "special")):
            shutil.copy(path, folder)
    where = {}
    for path in sorted(FIXTURE.glob("model-*.safetensors")):
        tensors = {name: tensor for name, tensor in load_file(path).items() if not name.startswith("multi_vector_projector.")}
        save_file(tensors, folder / path.name, metadata={"format": "pt"})
        where |= dict.fromkeys(tensors, path.name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}), encoding="utf-8")
    return folder


def numbered(text: str) -> list[str]:
    return [text.format(i) for i in range(ROWS)]


def data_sets(folder: Path) -> Path:
    """Every data set of recipes/jina_v4.py in a folder of its name, with the columns, configurations and splits of the real one."""
    pages = [{"bytes": png(picture(i, size=(84, 56))), "path": None} for i in range(ROWS)]
    # questions and answers share no words, or the filter of the first phase would drop them
    questions, passages, wrong = (numbered(t) for t in ("what does q{}x mean", "here p{}y gets explained fully", "nothing on z{}w at all"))
    seen: dict[str, Any] = {"image": pages, "query": questions, "source": ["pdf"] * ROWS}
    triplets = {"query": questions, "positive": passages, "negative": wrong}
    write(folder / "vidore/colpali_train_set", {"default": {**seen, "image_filename": [""] * ROWS, "answer": passages}}, images="image")
    for half in ("In-domain", "Synthetic"):
        write(folder / f"openbmb/VisRAG-Ret-Train-{half}-data", {"default": seen}, images="image")
    ids = [f"page-{i}" for i in range(ROWS)]
    others = [[ids[(i + 5) % ROWS], ids[(i + 9) % ROWS], ids[(i + 11) % ROWS]] for i in range(ROWS)]
    asked = [None if i % 7 == 0 else query for i, query in enumerate(questions)]
    languages = {
        code: {"id": ids, "query": [q and f"{q} ({code})" for q in asked], "image": pages, "negatives": others}
        for code in ("de", "en", "es", "fr", "it")
    }
    write(folder / "llamaindex/vdr-multilingual-train", languages, images="image")
    nq = {"query_id": ids, "query_text": questions, "positive_document_ids": [[id] for id in ids], "negative_document_ids": others}
    write(folder / "Tevatron/wiki-ss-nq-new", {"default": nq})
    write(folder / "Tevatron/wiki-ss-corpus-new", {"default": {"docid": ids, "image": pages}}, images="image")
    write(folder / "sentence-transformers/natural-questions", {"pair": {"query": questions, "answer": passages}})
    write(folder / "sentence-transformers/gooaq", {"pair": {"question": questions, "answer": passages}})
    write(
        folder / "sentence-transformers/msmarco-co-condenser-margin-mse-sym-mnrl-mean-v1", {"triplet": triplets, "triplet-hard": triplets}
    )
    nli = {"anchor": questions, "positive": passages, "negative": wrong}
    write(folder / "sentence-transformers/all-nli", {"pair": {"anchor": questions, "positive": passages}, "triplet": nli})
    write(folder / "sentence-transformers/codesearchnet", {"pair": {"comment": questions, "code": passages}})
    grades = [float(i % 6) for i in range(ROWS)]
    write(folder / "mteb/sts12-sts", {"default": {"sentence1": questions, "sentence2": passages, "score": grades}})
    code = {"query": questions, "document": passages, "negatives": [[a, b] for a, b in zip(wrong, wrong[1:] + wrong[:1], strict=True)]}
    write(folder / "nomic-ai/cornstack-python-v1", {"default": {**code, "document_rank": ["0"] * ROWS}})
    return folder


def write(folder: Path, configurations: Mapping[str, Mapping[str, list[Any]]], *, images: str | None = None) -> None:
    """A data set as the Hub lays it out: a card that names its configurations, and a file of each."""
    import datasets

    folder.mkdir(parents=True)
    card = ["---", "configs:"]
    for name, columns in configurations.items():
        table = datasets.Dataset.from_dict(dict(columns))
        if images:
            table = table.cast_column(images, datasets.Image())
        table.to_parquet(str(folder / name / "train.parquet"))
        card += [f"- config_name: {name}", "  data_files:", "  - split: train", f"    path: {name}/train.parquet"]
    (folder / "README.md").write_text("\n".join([*card, "---", ""]), encoding="utf-8")


def toy(recipe: Recipe, *, start: Path, data: Path, steps: int = 2, **changes: Any) -> Recipe:
    """The same recipe on the stand-ins, a few pairs and steps at a time; everything else is as it is."""

    def here(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        inner = {key: here(each) for key, each in value.items()}
        if "path" in inner and (data / inner["path"]).is_dir():
            inner["path"] = str(data / inner["path"])
        return (
            inner
            | ({"test_share": 0} if "card" in inner else {})
            | ({"size": 9, "kinds": ["letter"], "px": (168, 168)} if "size" in inner else {})
        )

    def small(mix: Mix | None) -> Mix | None:
        return mix and Mix(sources=tuple(replace(source, options=here(source.options)) for source in mix.sources), batch=4)

    def short(phase: Phase) -> Phase:
        objective = replace(phase.objective, dense_widths=(16, 64))
        return replace(
            phase, steps=steps, text=small(phase.text), pages=small(phase.pages), objective=objective, chunk_tokens=150, warmup=1,
            max_pixels=84 * 56, lr=1e-2,
        )  # fmt: skip

    lora = LoraConfig(r=4, lora_alpha=4, lora_dropout=recipe.lora.lora_dropout)
    return replace(
        recipe,
        start=str(start),
        revisions={},
        phases=tuple(map(short, recipe.phases)),
        lora=lora,
        **{"save_every": 3, "log_every": 1, **changes},
    )
