"""A local DataCite: to try things with, and to prove things against.

It answers as the real server does, surprises included: many of its successes are silent refusals. Nothing in
here is taken from the client (``syncd.datacite``), so that a shared mistake cannot hide; the word lists are the
one thing in common.

``world`` holds accounts and DOIs; ``api`` takes a request and gives a response: ``identity`` says who asks,
``writes`` what happens to a DOI, with ``attributes`` for what is stored of a request, ``rendering`` for the XML that
is made of it, ``kernel`` for what the XML schema refuses and ``rules`` for everything else that is refused;
``document`` for what is read back, ``lists`` for the search and ``accounts`` for what it says of them;
``firewall`` counts arrivals, ``faults`` breaks things on order, ``control`` and ``page`` let a test or a person set it
up and look at it, and ``server`` serves it over HTTP.
"""
