"""What people and probes see in a browser: reading only, on loopback unless configured otherwise.

``application`` answers, ``page`` and ``doi_page`` write HTML with ``markup``, in which text is text whatever it holds,
``picture`` draws, ``server`` listens, ``probe`` asks. Everything comes from one ``snapshot``, so a page costs the same
for five DOIs and for five million.
"""
