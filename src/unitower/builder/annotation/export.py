"""A set of what annotators accepted and wrote; the set they judged stays as it is."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from unitower.builder import writing
from unitower.builder.annotation.agreement import agreements
from unitower.builder.annotation.journal import Journal
from unitower.builder.build import Built
from unitower.builder.reading import WrittenSet
from unitower.builder.types import Draft, Dropped
from unitower.builder.words import counted
from unitower.errors import UnitowerError
from unitower.evaluation import toml


def export(place: Path, to: Path, *, unjudged: bool = False) -> Built:
    """Write a new set: queries that somebody accepted and nobody rejected, and those that were written.

    to        its folder; another set that is there is replaced, as a build replaces it, and keeps its `annotations.jsonl`
    unjudged  also queries that nobody has judged

    UnitowerError if nothing is left. ValueError where writing it would change the judged set, or something that is no set.
    """
    judged = WrittenSet(place)
    _check_apart(place, to)
    writing.checked(to)
    standing = Journal(place / writing.JOURNAL).standing()
    kept: list[Draft] = []
    dropped: list[Dropped] = []
    for draft in judged.drafts:
        given = {who: verdict for who, verdict in standing.verdicts.get(draft.id, {}).items() if verdict}
        if set(given.values()) == {"accept"} or (unjudged and not given):
            kept.append(draft)
        else:
            reason = "not judged" if not given else "rejected" if "accept" not in given.values() else "judged differently"
            why = [f"{who}: {verdict} {standing.reasons[draft.id].get(who, '')}".strip() for who, verdict in given.items()]
            dropped.append(Dropped(what="query", name=draft.text, reason=reason, detail="; ".join(why)))
    kept += [one.draft() for one in standing.written.values()]
    if not kept:
        raise UnitowerError(f"{place}: no query was accepted so far. Judge some with `unitower bench annotate {place}`.")
    named = place.resolve()  # "." has no name
    card = named.with_name(f"{named.name}.toml")
    about = toml.read(card) if card.exists() else {}
    with tempfile.TemporaryDirectory(prefix="unitower-bench-") as scratch:
        pages = judged.pages(Path(scratch))
        writing.write(
            to,
            pages=pages,
            drafts=kept,
            dropped=dropped,
            about={
                "name": to.name,
                "about": about.get("about", named.name),
                "licence": about.get("licence", "not specified"),
                "citation": about.get("citation", ""),
                "domain": about.get("domain", ""),
                "how": _how(named.name, standing.annotators, standing.verdicts),
            },
            shapes=[shape for shape, folder in (("beir", "corpus"), ("qa", "qa")) if (place / folder).is_dir()],
            subsets="languages" if any(place.glob("*/queries")) else "one",
        )
    return Built(
        place=to,
        card=to.with_name(f"{to.name}.toml"),
        pages=len(pages),
        queries=len(kept),
        languages=list(counted([draft.language for draft in kept])),
        dropped=dropped,
    )


def _check_apart(place: Path, to: Path) -> None:
    """ValueError where a set would be written over the judged one, into it, or over the folder that holds it."""
    ours, theirs = place.resolve(), to.resolve()
    within = any(one.exists() and one.samefile(ours) for one in (theirs, *theirs.parents))  # also where letters differ in case alone
    if within or ours.is_relative_to(theirs):
        raise ValueError(f"{to} is not apart from the judged set {place}, which stays as it is: export to a new folder beside it.")


def _how(name: str, people: Sequence[str], verdicts: dict[str, dict[str, str]]) -> str:
    told = [f"The queries of {name}, judged by {len(people)} {'person' if len(people) == 1 else 'people'}."]
    for one in agreements(verdicts):
        beyond = "" if one.kappa is None else f", Cohen's kappa {one.kappa:.2f}"
        told.append(f"Two of them judged {one.both} queries in common and agree on {one.share:.0%}{beyond}.")
    return " ".join(told)
