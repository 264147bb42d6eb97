"""A folder of files, made searchable: what was read of them, its vectors and words, and the answers to queries.

On disk, in one folder (`.unitower`):

    index.json       format, model, and the fingerprint of its vectors for each task; written once, atomically
    retrieval.lance  every item, encoded for retrieval
    code.lance       the items that are code, encoded once more for code
    files.sqlite3    the ledger: which files were read, how far, and why some were not; files.check has its hash
    lock             held by the one process that writes; lock.holder tells which

A file goes by its key: its path relative to the folder that holds the index where it lies beneath that, else absolute.

Why a run may be killed at any moment and started again: a batch is (1) encoded; (2) files in it that are read anew are put in
doubt in the ledger, and their former entries deleted from the stores; (3) the ledger notes the ids about to be stored; (4) each
store adds them in one commit; (5) the ledger notes how far each file is stored. After a kill between 3 and 5 the ledger knows of
entries it does not count: the next run reads on from the last counted item and replaces them by the same ids. After a kill
between 2 and 3 a file is in doubt: it is read from its beginning, once whatever it may have left is deleted. Nothing is in a store
that the ledger does not know of, so nothing can be left behind.

Why power may fail at any moment: each of these steps is on the disk before the next begins. sqlite flushes its journal, then the ledger,
then the end of the journal (`synchronous = FULL`). A store flushes its new files and the folders that name them, then puts a new seal in
place of the former (`stores/_seal.py`), and flushes that name; only then it returns. `index.json` is flushed before it gets its name. What
a store may lack all the same, because a disk lies or somebody's hand was in it, the ledger tells, and the next run reads it anew.

Nothing damaged is used: index.json and the seals have a check of their own, the seals a hash of every file of a store, files.check that of
the ledger; scan codes are checked when they are opened, and made anew. `unitower doctor` reads everything.
"""

from unitower.index.folder import Index
from unitower.index.reports import Progress, Status, Summary

__all__ = ["Index", "Progress", "Status", "Summary"]
