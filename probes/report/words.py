"""What a report says in sentences: the question, how it was asked, what was laid down, and what it cannot tell."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from probes.identity import sha256_text
from probes.models.base import canonical_json
from probes.pages.parts import WordTable
from probes.report.data import Material, SideBySide
from probes.report.figures import FEW
from probes.scoring import SCORER
from probes.stats import fewest_blocks

OFTEN = 0.05  # outcomes that are counted apart are told of from this share of the trials on
STANDARD_BLOCKS = 50  # what a difference of ten points takes; fewer are said to be a smoke test
MOST_FINDINGS = 12
# How notes begin that say what the figures are, and not what they tell.
_READINGS = ("n:", "In points", "In nats", "The p-values are corrected", "Lengths ")
_UNCLEAR = ("no clear ", "not told apart", "No clear ")
_SCORERS = {"needle": SCORER, "placement": "facts with their names, found by exact rules"}
_THINGS = {
    "single": "one statement",
    "multi-key": "one of several statements",
    "multi-value": "all values of one name",
    "kv": "the value of a key among many pairs of keys and values",
    "chain": "variables that take their value from one another",
    "count": "how often something was said",
    "paraphrase": "a statement that shares no word with the question",
}
_PLACES = {
    "before": "before it",
    "after": "after it",
    "bookend": "at both ends",
    "system": "in the system message",
    "reminder": "before it with a reminder after it",
    "twice": "after the text given twice",
}


def question(material: Material) -> str:
    """What the run asks, as one question."""
    spec, models = material.spec, _listed(material.models)
    length, does = _lengths(spec), "does" if len(material.models) == 1 else "do"
    if material.probe == "needle":
        thing = _THINGS.get(str(spec.get("task", "multi-key")), "what was hidden")
        asks = [f"How often {does} {models} find {thing} hidden in a text{length}"]
        asks += ["does it matter how long the text is"] if len(spec.get("lengths", ())) > 1 else []
        asks += ["where the statement stands"] if len(spec.get("depths", ())) > 1 else []
        asks += ["where the question stands"] if len(spec.get("place", ())) > 1 else []
        return f"{_joined(asks)}?"
    if material.probe == "judge":
        return f"What {does} {models}, as a judge, find in the answers of run {spec['judged_run']}?"
    if material.probe != "placement":  # of a kind that a later version brought
        return f"What did {models} answer in a run of the probe {material.probe}?"
    where = _listed([_PLACES[arm] for arm in spec.get("place", ()) if arm in _PLACES], "or") or "nowhere"
    return f"What {does} {models} make of a text{length} when the same instruction stands {where}?"


def comparison_question(found: SideBySide) -> str:
    """What setting models side by side asks."""
    if found.refused:
        return "Why are these models not compared?"
    first = next(iter(found.outcomes.values()), "what they answer")
    return f"Do {_listed(list(found.letters.values()))} differ in {first}, on the same texts and questions?"


def compared_runs(found: SideBySide) -> str:
    """Which runs the models stand in that are compared, and who they are."""
    who = "; ".join(f"{letter} is {name}" for letter, name in found.letters.items())
    return f"{who}. From {'run' if len(found.runs) == 1 else 'runs'} {_listed(list(found.runs))}."


def _joined(asks: Sequence[str]) -> str:
    """Asks as one sentence.

    Example: ["How often ...", "where it stands", "where the question stands"] -> "How often ..., and does it matter
    where it stands and where the question stands"
    """
    if len(asks) == 1:
        return asks[0]
    asks = [asks[0], asks[1] if asks[1].startswith("does") else f"does it matter {asks[1]}", *asks[2:]]
    return f"{asks[0]}, and {_listed(asks[1:])}"


def _listed(names: Sequence[str], word: str = "and") -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {word} {names[-1]}"


def _lengths(spec: Mapping[str, Any]) -> str:
    lengths = spec.get("lengths") or ()
    if spec.get("document") or not lengths or not all(isinstance(length, int) for length in lengths):
        return ""  # the user's own documents are as long as they are
    low, high = min(lengths), max(lengths)
    return f" of {low:,} tokens" if low == high else f" of {low:,} to {high:,} tokens"


def method(material: Material) -> list[tuple[str, str]]:
    """How it was asked: what is told of the design, a name and its words."""
    spec = material.spec
    said = [("Models", ", ".join(material.models))]
    if material.probe == "needle":
        said.append(("Task", str(spec.get("task", "multi-key"))))
        said.append(("Controls", ", ".join(spec.get("controls", ())) or "none"))
    elif material.probe == "placement":
        said.append(("Framing and task", ", ".join(str(spec[key]) for key in ("framing", "task") if key in spec)))
        said.append(("Arms", ", ".join(spec.get("place", ()))))
        said.append(("Measured", ", ".join(spec.get("measure", ()))))
    lengths = ", ".join(f"{each:,}" if isinstance(each, int) else str(each) for each in spec.get("lengths", ()))
    texts = f"{spec.get('blocks', '?')} of each length ({lengths} tokens)"
    if spec.get("document"):
        texts = f"{spec.get('blocks', '?')} of the user's own documents ({', '.join(map(str, spec['document']))})"
    if "blocks" in spec:
        made = f"{texts}, made from seed {spec.get('seed', '?')}; lengths by the tokenizer {spec.get('ruler', '?')}"
        said.append(("Texts", made))
    said += [
        (
            "Unit of all statistics",
            "the text (block): what is inside it is averaged first, so n counts texts",
        ),
        (
            "Intervals and tests",
            "95% intervals over texts; differences are paired by text, p is corrected after Holm",
        ),
    ]
    if scorer := _SCORERS.get(material.probe):
        said.append(("Scorer", scorer))
    return said


def declared_plan(material: Material) -> list[tuple[str, str]]:
    """Everything that the store kept of the plan before the first call was made."""
    return [(key.replace("_", " "), _plain(value)) for key, value in _flat(material.spec)]


def _flat(spec: Mapping[str, Any]) -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in spec.items():
        if isinstance(value, Mapping):
            flat += [(f"{key}: {name}", each) for name, each in value.items()]
        else:
            flat.append((key, value))
    return flat


def _plain(value: Any) -> str:
    """Example: [["after", "before"]] -> "after less before"; None -> "not set"; [500, 1000] -> "500, 1,000"."""
    if isinstance(value, list | tuple):
        if value and all(isinstance(each, list | tuple) and len(each) == 2 for each in value):
            return "; ".join(f"{arm} less {control}" for arm, control in value)
        return ", ".join(map(_plain, value)) or "none"
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    return str(value) if isinstance(value, str | float) else json.dumps(value, ensure_ascii=False)


def findings(tables: Sequence[WordTable]) -> tuple[list[tuple[str, list[str]]], int]:
    """The sentences under the tables that test what was declared, and those on effective lengths, by their tables.

    Where there are more than a reader takes in, those that tell of a clear difference are kept before others; the
    number is that of the sentences left out.
    """
    said: dict[tuple[str, str], None] = {}  # table and sentence, each pair once
    for table in tables:
        if is_exploratory(table) or not (_has_test(table) or table.headings[0].lower() == "definition"):
            continue
        for note in table.notes:
            if not note.startswith(_READINGS) and "(exploratory)" not in note:
                said[table.title, note] = None
    clear_first = sorted(said, key=lambda each: any(words in each[1] for words in _UNCLEAR))
    kept = set(clear_first[:MOST_FINDINGS])
    found: dict[str, list[str]] = {}
    for title, note in said:
        if (title, note) in kept:
            found.setdefault(title, []).append(note)
    return list(found.items()), len(said) - len(kept)


def _has_test(table: WordTable) -> bool:
    return any(heading.lower() in ("p", "p (holm)", "p (bh)") for heading in table.headings)


def is_exploratory(table: WordTable) -> bool:
    """Whether a table, by its own words, shows what was not declared before the run."""
    return "exploratory" in table.title.lower() or any("exploratory, without a test" in note for note in table.notes)


def reading(table: WordTable) -> str:
    """What a table's figures are, as far as its notes do not say it: n, unit, intervals, test and correction."""
    headings = {heading.strip().lower() for heading in table.headings}
    by_row = "of one answer" in headings  # a unit in each row's name
    cells = [cell for row in table.rows for cell in row]
    notes = " ".join(table.notes)
    said = _what_n_is(headings, cells, notes)
    units = [unit for unit in ("nats", "points", "seconds", "dollars") if any(unit in each for each in headings)]
    if not by_row and any("%" in cell for row in table.rows for cell in row[1:]):
        units.append("per cent")
    if units:
        said.append(f"Unit: {_listed(units)}.")
    if any(re.search(r"\[[-+\d]", cell) for cell in cells) and "interval" not in notes:
        said.append("In brackets: 95% intervals over texts.")
    if _has_test(table):
        if "test" not in notes and "Holm" not in notes:
            said.append("p: two-sided test over texts, see the method.")
    elif "without a test" not in notes:
        said.append("No test, so no correction.")
    return " ".join(said)


def _what_n_is(headings: set[str], cells: Sequence[str], notes: str) -> list[str]:
    if headings & {"texts", "blocks", "transcripts"}:
        return ["n: texts (blocks)."]
    if headings & {"n", "answers", "of answers"}:
        return ["n: answers."]
    if any(re.search(r"\d/\d|% of \d", cell) for cell in cells):
        return ["n: after the stroke or the word “of”."]
    return [] if "block" in notes else ["n: the answers counted."]


# ------------------------------------------------------------------------------------------------------- limits


def limits(material: Material) -> list[str]:
    """What this run cannot tell, in sentences chosen by its figures."""
    return [
        sentence
        for make in (_about_blocks, _about_models, _about_missing, _about_outcomes, _about_scope, _about_cells)
        for sentence in make(material)
    ]


def _about_blocks(material: Material) -> list[str]:
    blocks, said = material.spec.get("blocks"), []
    if not isinstance(blocks, int):
        return []
    texts = "1 text" if blocks == 1 else f"{blocks} texts"
    declared = (material.spec.get("declared") or {}).get("contrasts", material.spec.get("contrasts", ()))
    tests = max(1, len(declared)) if material.probe == "placement" else 1
    if blocks < fewest_blocks(tests):
        said.append(
            f"{texts} of each length cannot tell a difference from chance: it takes {fewest_blocks(tests)} at least."
        )
    elif blocks < STANDARD_BLOCKS:
        said.append(f"{texts} of each length show large differences only; {STANDARD_BLOCKS} are what a study takes.")
    return said


def _about_models(material: Material) -> list[str]:
    simulated = [name for name in material.models if name.startswith("sim/")]
    said = []
    if simulated:
        said.append(
            f"{_listed(simulated)} {'is a simulated reader' if len(simulated) == 1 else 'are simulated readers'}: "
            "what is shown tests the method and says nothing about any language model."
        )
    if len(material.models) == 1 and not simulated:
        said.append("One model was asked; others may do otherwise.")
    return said


def _about_missing(material: Material) -> list[str]:
    failed = sum(each.completion is None and each.error_kind is not None for each in material.results)
    waiting = sum(each.completion is None and each.error_kind is None for each in material.results)
    parts = [f"{failed:,} failed"] if failed else []
    parts += [f"{waiting:,} {'was' if waiting == 1 else 'were'} not asked yet"] if waiting else []
    if not parts:
        return []
    return [f"Of {len(material.results):,} trials {_listed(parts)}; they count as neither right nor wrong."]


def _about_outcomes(material: Material) -> list[str]:
    written = [
        each.completion
        for each in material.results
        if each.completion is not None and each.trial.request.continuation is None
    ]
    total, said = len(written), []
    cut = sum(answer.is_cut for answer in written)
    if cut > OFTEN * total:
        said.append(f"{cut:,} of {total:,} answers were cut at the token limit; how they go on is not known.")
    refused = sum(answer.stop_reason == "refusal" for answer in written)
    if refused > OFTEN * total:
        said.append(f"{refused:,} of {total:,} answers were refused by the model or its server.")
    return said


def _about_scope(material: Material) -> list[str]:
    spec, said = material.spec, []
    lengths = spec.get("lengths", ())
    if len(lengths) == 1 and isinstance(lengths[0], int) and not spec.get("document"):
        said.append(f"All texts have about {lengths[0]:,} tokens; nothing is said about longer or shorter ones.")
    own = spec.get("haystack") or spec.get("document")
    if not own:
        said.append("The texts are made by rule, not written by people; natural texts may be easier or harder.")
    if spec.get("samples", 1) == 1:
        said.append("Each request was sent once, so the spread of repeated answers is not known.")
    if material.answered_before:
        said.append(f"{material.answered_before:,} answers were kept from earlier runs and asked for only once.")
    if material.read_from:
        said.append(
            f"Read from exported rows in {material.read_from}, which hold no prompts; a prompt that is shown was made "
            "again from the plan, and has the hash that stands in its row."
        )
    if material.left_out:
        said.append(f"{material.left_out:,} trials of the plan are not in that file; nothing is said of them.")
    if material.no_prompts:
        said.append(f"The prompts are not shown: {material.no_prompts}.")
    return said


def _about_cells(material: Material) -> list[str]:
    said = []
    if any(row.get("measurable") is False for row in material.rows.get("arm", ())):
        said.append("Coverage is not measurable here: in some arm too few answers are summaries.")
    cells = [row for row in material.rows.get("retrieval", ()) if row.get("depth") is not None]
    if few := sum(row["n"] < FEW for row in cells):
        said.append(f"{few} of {len(cells)} cells by depth and length have fewer than {FEW} texts.")
    if cells:
        said.append("Single cells and points were not declared as tests: what stands out among many may be chance.")
    return said


# ------------------------------------------------------------------------------------------------------- origins


def origins(material: Material) -> list[tuple[str, str]]:
    """What made the run: ids, versions, and hashes that name its plan, requests and answers exactly."""
    answers = (each.completion.text if each.completion else "" for each in material.results)
    said = [("Run", material.id)]
    if material.read_from:
        said.append(("Read from", f"{material.read_from}, rows as `needlepoint runs export` writes them"))
    said += [
        ("Begun", material.created_utc),
        ("needlepoint", material.code_version),
        ("Plan", f"sha256 {sha256_text(canonical_json(dict(material.spec)))}"),
        (f"{len(material.results):,} requests", f"sha256 {_hash_all(each.trial_id for each in material.results)}"),
        ("Their answers", f"sha256 {_hash_all(map(sha256_text, answers))}"),
    ]
    said += [(name, canonical_json(dict(identity))) for name, identity in material.identities.items()]
    served = Counter(each.completion.model for each in material.results if each.completion and each.completion.model)
    if served:
        said.append(
            ("Answered by, in the servers' words", ", ".join(f"{name} ({count:,})" for name, count in served.items()))
        )
    return said


def _hash_all(lines: Any) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()
