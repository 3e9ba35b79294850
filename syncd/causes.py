"""Every cause of a failure in stable words, with its sentence and the operator's next step.

A cause is what a failed record is grouped by: in tables, in ``failures``, in metrics. Words are only added.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why a DOI is not true yet.

    Attributes:
        word: The stable name.
        sentence: What happened, in plain words.
        action: What the operator does next.
        ours: Decided by syncd, not by DataCite: judged again whenever the record is looked at anew.
    """

    word: str
    sentence: str
    action: str
    ours: bool = False


_ALL = (
    # The record or its mapping: nothing was sent.
    Cause(
        "metadata_invalid",
        "DataCite would refuse the metadata, so it was not sent.",
        "Correct the record in the platform, or its mapping; it is tried again when either changes.",
        ours=True,
    ),
    Cause(
        "status_unknown",
        "The record's status is not in the configuration, so nothing was sent; DataCite keeps what it has.",
        "Add the status to [accounts.source.states]; then `syncd sync`, or `systemctl reload syncd`.",
    ),
    Cause(
        "mapping_failed",
        "The mapping could not turn the row into DataCite attributes.",
        "Correct the row or the mapping; `syncd show DOI` has the details.",
    ),
    Cause(
        "doi_invalid",
        "The DOI has a form that DataCite does not accept for new DOIs.",
        "Correct the DOI in the platform.",
    ),
    Cause(
        "doi_duplicate",
        "Two records claim this DOI, so neither was sent.",
        "Give one of the two records another DOI; the next full scan sees it.",
    ),
    Cause(
        "url_not_allowed",
        "The landing page lies outside the domains that are allowed for this account.",
        "Correct the landing page, or extend `domains` here and at DataCite (Fabrica, account settings).",
        ours=True,
    ),
    Cause(
        "too_large",
        "The metadata is larger than the 10 MB that DataCite accepts.",
        "Shorten the record: most often thousands of related identifiers.",
        ours=True,
    ),
    # DataCite refused this record: sent once, not repeated until something changes.
    Cause(
        "refused",
        "DataCite refused the metadata.",
        "Read DataCite's words below; correct the record or its mapping.",
    ),
    Cause(
        "forbidden",
        "DataCite does not let this account write this DOI.",
        "Check in Fabrica to which account the DOI belongs, and `prefixes` in the configuration.",
    ),
    Cause(
        "server_exception",
        "DataCite's server failed on this record in a way that repeating does not help.",
        "Compare the record with its neighbours; report it to DataCite support with the message.",
    ),
    Cause(
        "stored_differently",
        "DataCite accepted the record but stored something else than was sent.",
        "`syncd show DOI` names the attributes; correct their form in the mapping.",
    ),
    Cause(
        "state_not_reached",
        "DataCite answered with success but left the DOI in another state.",
        "`syncd show DOI` shows both states; see DataCite's status page, then change the record or retry.",
    ),
    # Nobody's fault: sent again later, by itself.
    Cause(
        "not_resolving",
        "DataCite stored the record, but the handle system does not resolve the DOI yet.",
        "Nothing: it is sent again.",
    ),
    Cause(
        "recreated",
        "The DOI had vanished at DataCite; the complete record is sent at once.",
        "Nothing; if it happens again, ask who deletes drafts.",
    ),
    Cause(
        "not_a_draft",
        "DataCite does not delete the DOI because it is not a draft any more; it is hidden instead.",
        "Nothing: it is hidden at once.",
    ),
    Cause("conflict", "DataCite created the DOI twice at the same moment.", "Nothing: it is sent again."),
    Cause(
        "throttled",
        "DataCite's firewall asks for fewer requests.",
        "Nothing; if it lasts, lower datacite.requests_per_window: other software shares this address.",
    ),
    Cause(
        "unreachable",
        "DataCite could not be reached.",
        "Nothing while DataCite is down; otherwise check network, proxy and certificates.",
    ),
    Cause(
        "no_answer",
        "The request left, but no answer came: what DataCite holds is unknown.",
        "Nothing: after a grace time the complete record is sent.",
    ),
    Cause("server_error", "DataCite answered with a server error.", "Nothing: it is sent again."),
    Cause(
        "bad_answer",
        "The answer was not DataCite's: not JSON, cut off, or for another DOI.",
        "Nothing at first; if it lasts, look for a proxy between here and DataCite.",
    ),
    Cause(
        "unreadable",
        "The platform's database could not give this record.",
        "See the message; the other records go on, and this one is tried again.",
    ),
    # The account: nothing more is sent for it.
    Cause(
        "credentials",
        "DataCite does not accept the account's credentials; a wrong password can read like a 404.",
        "Correct the password; then `syncd sync`, or `systemctl reload syncd` and `syncd resume --account ID`.",
    ),
    Cause(
        "account_refused",
        "DataCite refused one DOI of the account after the other with 403: it is deactivated, or its prefixes moved.",
        "See in Fabrica whether the account is active and which prefixes it has; then `syncd retry --cause forbidden`.",
    ),
    Cause(
        "brake",
        "A scan would change unusually many DOIs, so nothing is sent until somebody looked.",
        "`syncd plan` shows what would be sent; the message names the command that lets it pass.",
    ),
    Cause("by_hand", "Paused by an operator.", "`syncd resume` ends it."),
    Cause(
        "crashed",
        "syncd itself failed on this record.",
        "Please report it with the log lines of this DOI; it is tried again later.",
        ours=True,
    ),
)

CAUSES = {cause.word: cause for cause in _ALL}


def action_of(word: str) -> str:
    """What an operator does about it; for a word of a newer version, where to look."""
    return CAUSES[word].action if word in CAUSES else "see `syncd show DOI`"


def sentence_of(word: str) -> str:
    """What happened, in plain words; nothing for a word of a newer version."""
    return CAUSES[word].sentence if word in CAUSES else ""
