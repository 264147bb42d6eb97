"""nano from nothing: text gathered, eyes and language taught apart, then together, three adapters, and the checkpoint that ships.

    unitower train nano --out runs/nano                       # all stages in their order
    unitower train nano --out runs/nano --resume              # go on where a run was stopped
    unitower train nano --out runs/nano --stage reading       # one stage; with --resume to go on with it
    unitower train nano_smoke --out runs/smoke                # the same at toy size

Needs the extras `train`, `render` and `nano`, and for text what `unitower.data._corpus` names. One core and a half are busy: one trains,
others draw pages (`--set workers=3`).
"""

from __future__ import annotations

from unitower.model.config import LoraConfig, ModelConfig, TextConfig, VisionConfig
from unitower.training.course import (
    AdapterStage,
    CheckpointStage,
    Course,
    GatherStage,
    PagesStage,
    ReadingStage,
    TeacherStage,
    TextStage,
    VocabularyStage,
)  # fmt: skip
from unitower.training.lesson import Schedule
from unitower.training.reading import Shape
from unitower.training.texts import KINDS

TOWER = ModelConfig(
    text=TextConfig(
        hidden_size=256, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, intermediate_size=704,
        vocab_size=16_384,  # 4.2 of 10 million parameters; 1.9 tokens an English word, 2.4 a Polish one
        mrope_section=(8, 12, 12), rope_theta=10_000.0, max_position_embeddings=8192,
    ),
    vision=VisionConfig(
        depth=4, hidden_size=192, num_heads=4, intermediate_size=512, out_hidden_size=256,
        window_size=224,  # 8 x 8 cells: a word of small print with what stands around it
        fullatt_block_indexes=(),  # the decoder sees the whole page; 5,040 patches at once would be 20 times the work of windows
    ),
    image_token_id=2, vision_start_token_id=1, vision_end_token_id=3,  # of `training/vocabulary.py`
    matryoshka_dims=(64, 128, 256), multi_vector_projector_dim=128,
)  # fmt: skip

PAGES = (  # as for reading, but every third step a whole page: words must be told apart on those
    Shape(rows=16, columns=16, pages=8, weight=0.4),
    Shape(rows=12, columns=24, pages=7, weight=0.15),
    Shape(rows=8, columns=32, pages=8, weight=0.1),
    Shape(rows=36, columns=25, pages=2, weight=0.2),
    Shape(rows=42, columns=30, pages=2, weight=0.15),
)


def recipe() -> Course:
    return Course(
        name="nano",
        tower=TOWER,
        lora=LoraConfig(r=64, lora_alpha=64, lora_dropout=0.0),  # few steps on a frozen tower: nothing to regularise
        stages=(
            GatherStage(),
            VocabularyStage(
                characters=70_000_000,  # running text, a quarter of it English; code and words come on top
                max_pixels=1_204_224, magnify=1.25,  # letters of 12 px are read as of 15: docs/nano-log.md
            ),
            TeacherStage(most=40_000),  # of each kind; some 214,000 texts, of which 174,000 took 20 minutes of one core
            ReadingStage(
                # 13 million cells; 2.5 million came to 60 % of the characters by AdamW
                schedule=Schedule(steps=12_000, lr=1.2e-3, last=0.01, muon=True, falling=0.45),
                easy=1_000,  # steps from common fonts at 11 to 17 px to everything: all at once, an earlier tower fell back
            ),
            ReadingStage(
                # what stands in a cell in the words of the language side; the last layer slowly, which sets the cells' length
                name="spelling", after=("reading", "vocabulary"), begun="reading", tokens=True, shapes=PAGES,
                schedule=Schedule(steps=3_000, lr=1.2e-3, last=0.01, muon=True, falling=0.45, slow={"vision.merger.outer.": 0.15}),
            ),
            TextStage(
                # the embeddings slowly: they are spellings, which the eyes are being taught meanwhile
                schedule=Schedule(steps=6_000, lr=1e-3, last=0.01, muon=True, falling=0.5, slow={"decoder.embed_tokens.": 0.3}),
                kinds={**KINDS, "teacher": 100},  # every second batch
                batch=72,  # 71 wrong answers each
            ),
            PagesStage(
                # language learns to read what the eyes see while these stand still: let loose on each other, both forgot within minutes
                name="meeting", parts=("vision.merger", "decoder", "projector"), shapes=PAGES,
                schedule=Schedule(
                    steps=2_500, lr=1e-3, last=1.0, muon=True, falling=1.0,  # the rate stands: it falls in the next stage
                    slow={"vision.merger.outer.": 0.3, "letters.": 4.0},  # a table of which each step moves a few rows
                ),
                batch=48, text_every=1, text_weight=3.0, earlier=4,
            ),
            PagesStage(
                # all go on together, characters too; texts stand in the pool, since pages taught apart from them drown them
                after=("corpus", "vocabulary", "teacher", "spelling", "text", "meeting"),
                begun=("spelling", "text", "meeting"),
                shapes=PAGES,
                schedule=Schedule(
                    steps=6_000, lr=8e-4, last=0.01, muon=True, falling=0.6,
                    slow={"vision.merger.outer.": 0.3, "letters.": 0.2},  # the text side comes no nearer to codes that move
                ),
                batch=48, text_every=1, text_weight=3.0, mixed=24, earlier=4,
            ),
            AdapterStage(
                # in one pool with texts, as the tower was; the shipped weights do without: it is for retrieval that the tower was taught
                name="retrieval", schedule=Schedule(steps=400, lr=1e-3, warmup=20), pages_every=1, mixed=28, shapes=PAGES,
                kinds={"parallel": 20, "summaries": 12, "titles": 20, "keywords": 30, "glosses": 10, "words": 4},
            ),
            AdapterStage(
                # from what the text side was before it met the pages, and after the teacher in three batches of four
                name="text-matching", schedule=Schedule(steps=2_000, lr=2e-3, warmup=20, falling=0.6), symmetric=True, begun="text",
                kinds={"parallel": 60, "glosses": 10, "keywords": 10, "teacher": 240},
            ),
            AdapterStage(
                name="code", schedule=Schedule(steps=400, lr=2e-3, warmup=20, falling=0.6), begun="text",
                kinds={"functions": 88, "teacher": 12},
            ),
            CheckpointStage(fusion={"text": 1.0, "multi": 0.02}),  # docs/nano-log.md: at .1 pages with words lose what code gains
        ),
    )  # fmt: skip
