"""What the vectors of a model look like inside: the gap between pictures and texts, the cone they lie in, what making them smaller costs.

    material.py   data to matched pairs: a query, the picture that answers it, and that page's text
    measures.py   numbers of vectors and scores, each with its source
    cost.py       what truncation, fewer bits and pooled tokens cost in nDCG@10
    study.py      models on pairs: all measures, as plain data that JSON can write
    figures.py    pictures of a study, for print
    page.py       a study as one HTML page, and in a few lines

No torch here: a model is anything with `types.Encodes`.
"""
