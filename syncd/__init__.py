"""Keep DataCite true: what happens to one record.

1. A platform (``platforms``) gives pages of rows; a row whose raw digest is known is not even decoded.
2. Its mapping turns the row into a *desired*: state, url and attributes in DataCite's names (``model``),
   and ``digest`` gives that document and each attribute in it a fingerprint.
3. A ``look`` compares it with our own tables (``store``); what differs is a ``finding``, and the scan (``scan``)
   notes it, unless so many would change that a person has to look first (``brake``).
4. A worker (``send``) claims one pending DOI, waits for a slot that rested long enough (``limiter``),
   and only then reads the record again.
5. ``plan`` decides from what DataCite holds and what is wanted: nothing, PUT, hide, publish or DELETE;
   ``datacite.validation`` refuses what DataCite would refuse, before it costs a request.
6. The row is marked unsure, the one request leaves (``datacite.client``), and the answer is judged by its
   body (``datacite.outcome``): accepted, rejected, deferred or halted, with a cause from ``causes``.
7. ``settle`` says what to write down, and the store does: in sync, or due again later, or quarantined until
   something changes. When DataCite itself is in ``trouble``, the account or the host rests.

``cycle`` runs these steps; start there. ``preview`` shows what it would do and does nothing. ``audit`` compares all
DOIs with what DataCite holds (``drift``), which it asks through ``inquiry``, and ``repair`` makes what it found
pending; ``backfill`` sends many once more, ``check`` looks whether everything is there. ``cli`` starts all of it by
hand and shows the results; ``sandbox`` is a DataCite to try it against, and ``demo`` does so.

``daemon`` does it for years: ``work`` is all that goes on meanwhile, ``duties`` what is done again and again for one
account, ``rota`` and ``timetable`` say when, ``pulse`` knows who is stuck, ``tally`` counts requests, ``signals`` and
``systemd`` are how the daemon is told and tells, ``snapshot`` is what people see, in ``web`` pages and as ``metrics``,
``notify`` what goes out to them.

``settings`` are what can be set, ``config`` is the file that does, ``secret`` reads passwords. Log lines come from
``logs`` (named in ``events``), the numbers of a pass from ``counts``, time from ``clock`` (told in ``words``),
DataCite's word lists from ``vocabularies``, and every refusal from ``errors``.
"""

from importlib import metadata

__version__ = metadata.version("syncd")
