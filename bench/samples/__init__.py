"""How the sample documents of the demo are drawn: a small kit (fonts, paper, scan) and one module per place they come from.

Every place module has `DOCUMENTS`: the file's path beneath src/unitower/samples/files, and the function that gives its bytes.
"""
