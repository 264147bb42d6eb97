"""People judge the queries of a set, and write further ones.

server.py      a page in the browser, for this machine alone
page.html      that page: no build, nothing from elsewhere
journal.py     what they did, a line each, on the disk before it is confirmed
agreement.py   whether two of them agree: Cohen's kappa
export.py      a set of what they accepted
"""
