"""How good a model is on a data set: cards, tasks, runs, figures, and whether a difference means anything.

    task.py        Task: queries, documents (a Corpus, read one at a time), judgements
    cards.py       what is known of a data set, one TOML file each (the files lie in unitower/benchmarks/)
    toml.py        the TOML that people write, checked
    loading.py     a card's tables to a Task
    rules.py       every page counts, or one page a query
    metrics.py     nDCG with both gains, recall, MAP, MRR, success; rules for ties
    trec.py        run files and judgements, in and out
    models.py      what is evaluated: an encoder, or words (BM25) over a text layer or over OCR
    search.py      one pass over a corpus of any size: the best documents by each mode, resumable
    runner.py      cards x models -> results
    results.py     a result with everything that made it, as a JSON line
    compare.py     two runs, query by query: wins, losses, p
    report.py      docs/results.md from result files

No torch here: a model is anything with `types.Encodes`.
"""
