"""Retrieval sets made of one's own pages: what was done to make Jina-VDR, as one command.

    config.py      what a build is told: a TOML file
    build.py       one build, from sources to the written set
    sources/       where pages come from, one file per kind
    queries/       who makes queries, one file per way
    templates/     templates and frequent words, one TOML file per language
    languages.py   the languages of templates, and which one a text is in
    known.py       what a text says that can be asked for without understanding it
    endpoint.py    a chat endpoint that speaks OpenAI's protocol
    prompts/       what it is asked
    filters.py     near duplicates, realistic or not, one page or several
    judge.py       the same asked of an endpoint
    consensus.py   the same asked of rankings
    from_index.py  a set from one's own index
    writing.py     the set on disk: parquet in the shapes of the hub sets, data card, card for `unitower eval`
    reading.py     a written set, to be judged
    annotation/    people judge: a page in the browser, a journal, agreement

A set is drafted, sifted and written; everything that is dropped on the way is counted and named.
"""
