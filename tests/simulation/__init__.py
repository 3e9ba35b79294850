"""The real program under virtual time: a seed is a run, and a run can be repeated.

``time`` steps greenlets in an order that the seed decides and lets time pass only when everybody waits.
``network`` stands between the real client and the sandbox's application object, and loses, delays and garbles;
``process`` is one ``syncd`` with its own clock, store and client, that may be frozen or killed wherever it waits;
``story`` is what happens: a repository that is edited, and everything that goes wrong meanwhile. ``promises`` judges
afterwards, from what arrived and what is stored, and never from what the program says of itself. ``mutants`` are
programs with a mistake in them, each of which must be found.

    python -m tests.simulation --seeds 500
"""
