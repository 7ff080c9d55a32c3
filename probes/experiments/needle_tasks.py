"""The tasks: what each plants in a text, what it asks, and what is right. The words are those of needle_forms.py.

single, paraphrase                       one needle, a text for each depth
multi-key, multi-value, chain, count     several needles in one text
kv                                       the text itself is a JSON object, one of whose pairs is asked for
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from probes.draws import Draws
from probes.experiments.needle_files import OwnNeedle, ensure_unanswered
from probes.experiments.needle_forms import FORMS, Form
from probes.experiments.needle_kv import plant_kv
from probes.experiments.needle_parts import (
    Ground,
    Planted,
    Question,
    Task,
    asking,
    asking_one,
    other_statements,
    plant,
    statements_for,
    turned,
)
from probes.paraphrases import draw_paraphrases
from probes.plugins import plugin, plugin_names
from probes.statements import Statement
from tokenizer.errors import UsageError

PLUGINS = "needlepoint.tasks"


def plant_single(ground: Ground) -> Iterator[Planted]:
    """One needle at each depth in turn, asked for, and something that is not there."""
    if ground.own:
        needle, *left = turned(ground.own, ground.block)
        questions = [_asking_own(ground, needle, 0), *(_asking_own(ground, other, None) for other in left[:1])]
        for depth in ground.depths:
            yield _plant_own(ground, [needle], [depth], questions)
        return
    form = FORMS["single"][ground.language]
    drawn = statements_for(2, f"single/{ground.seed}/{ground.block}")
    present, absent = drawn
    others = other_statements(drawn, ground)
    questions = [asking_one(form, present.name, 0), asking_one(form, absent.name, None)]
    for depth in ground.depths:
        yield plant(
            ground,
            _stated(form, [present]),
            [depth],
            questions,
            values=[each.value for each in (present, *others)],
            distractors=_stated(form, others),
            drawn=[*drawn, *others],
        )


def plant_paraphrase(ground: Ground) -> Iterator[Planted]:
    """As `single`, but the question shares no content word with its needle; distractors are other such sentences."""
    form = FORMS["paraphrase"][ground.language]
    seed = f"paraphrase/{ground.seed}/{ground.block}"
    present, absent, *others = draw_paraphrases(2 + ground.distractors, seed)
    questions = [
        Question(present.question, form.reply, form.stem, present.question, asked=0, right=(0,)),
        Question(absent.question, form.reply, form.stem, absent.question, absent=True),
    ]
    for depth in ground.depths:
        yield plant(
            ground,
            [present.text],
            [depth],
            questions,
            values=[each.value for each in (present, *others)],
            distractors=[other.text for other in others],
            absent=[each.value for each in (present, absent, *others)],
        )


def plant_multi_key(ground: Ground) -> Iterator[Planted]:
    """A needle at each depth, a question for each, and one whose answer is not there.

    As many blocks in a row as there are depths share their needles, and each needle stands at another depth in each.
    """
    count = len(ground.depths)
    if ground.own:
        own = turned(ground.own, ground.block)
        questions = [_asking_own(ground, each, asked) for asked, each in enumerate(own[:count])]
        questions += [_asking_own(ground, each, None) for each in own[count : count + 1]]
        yield _plant_own(ground, own[:count], ground.depths, questions)
        return
    form = FORMS["single"][ground.language]
    *drawn, absent = statements_for(count + 1, f"needle/{ground.seed}/{ground.block // count}")
    drawn = turned(drawn, ground.block)
    others = other_statements([*drawn, absent], ground)
    yield plant(
        ground,
        _stated(form, drawn),
        ground.depths,
        [
            *(asking_one(form, each.name, asked) for asked, each in enumerate(drawn)),
            asking_one(form, absent.name, None),
        ],
        values=[each.value for each in (*drawn, *others)],
        distractors=_stated(form, others),
        drawn=[*drawn, absent, *others],
    )


def plant_multi_value(ground: Ground) -> Iterator[Planted]:
    """Several values of one name, all of them asked for at once; distractors are values of other names."""
    form = FORMS["multi-value"][ground.language]
    count = len(ground.depths)
    *drawn, absent = statements_for(count + 1, f"multi-value/{ground.seed}/{ground.block}")
    others = other_statements([*drawn, absent], ground)
    name = drawn[0].name
    yield plant(
        ground,
        [form.statement.format(name=name, value=each.value) for each in drawn],
        ground.depths,
        [
            asking(form, name, right=tuple(range(count)), answer="all"),
            asking(form, absent.name, answer="all", absent=True),
        ],
        values=[each.value for each in (*drawn, *others)],
        distractors=_stated(form, others),
        drawn=[*drawn, absent, *others],
    )


def plant_chain(ground: Ground) -> Iterator[Planted]:
    """One variable gets a value, each of the next ones copies the one before; which of them have the value?

    The candidates are the names. The distractors are a chain of their own, with another value.
    """
    form = FORMS["chain"][ground.language]
    count = len(ground.depths)
    *drawn, absent = statements_for(count + ground.distractors + 1, f"chain/{ground.seed}/{ground.block}")
    chain, others = drawn[:count], drawn[count:]
    names = [each.name for each in drawn]
    yield plant(
        ground,
        _chained(form, chain),
        ground.depths,
        [
            asking(
                form,
                names[0],
                value=chain[0].value,
                right=tuple(range(count)),
                answer="names",
                expected=tuple(names[:count]),
            ),
            asking(form, absent.name, value=absent.value, answer="names", absent=True),
        ],
        values=names,
        distractors=_chained(form, others),
        drawn=[*drawn, absent],
    )


def plant_count(ground: Ground) -> Iterator[Planted]:
    """A thing is recorded at some of the depths, once at each: how often? Every number comes equally often."""
    form = FORMS["count"][ground.language]
    often = 1 + ground.block % len(ground.depths)
    draws = Draws(f"count/{ground.seed}/{ground.block}/often")
    chosen = sorted(draws.sample(ground.depths, often))
    drawn = statements_for(2 + ground.distractors, f"count/{ground.seed}/{ground.block}")
    name, absent, *others = (each.name for each in drawn)
    yield plant(
        ground,
        [form.statement.format(name=name)] * often,
        chosen,
        [
            asking(form, name, answer="number", expected=(str(often),)),
            asking(form, absent, answer="number", expected=("0",), absent=True),
        ],
        values=[],
        distractors=[form.statement.format(name=other) for other in others],
        drawn=drawn,
    )


# Worked examples for the prompt styles that have one; Exampleton and its like are never drawn.
EXAMPLES = {
    "multi-value": """\
Text: "One of the passcodes for Exampleton is 01234. It rained. One of the passcodes for Exampleton is 05678."
Question: What are all the passcodes for Exampleton?
Answer: 01234, 05678""",
    "kv": """\
Text: {"example-key": "example-value"}
Question: What is the value of the key "example-key"?
Answer: example-value""",
    "chain": """\
Text: "VAR Exampleton = 01234. It rained. VAR Samplewick = VAR Exampleton."
Question: Which variables have the value 01234?
Answer: Exampleton, Samplewick""",
    "count": """\
Text: "A delivery for Exampleton was recorded. It rained. A delivery for Exampleton was recorded."
Question: How many deliveries for Exampleton were recorded?
Answer: 2""",
    "paraphrase": """\
Text: "It rained. Mrs Exampleton keeps bees. We left."
Question: Who has honey of her own making?
Answer: Mrs Exampleton""",
}

TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            "single",
            "one needle, at each depth in turn",
            plant_single,
            likelihood=True,
            takes_own_needles=True,
            languages=("en", "de"),
            things="passcodes",
        ),
        Task(
            "multi-key",
            "a needle at each depth, a question for each and one whose answer is not there",
            plant_multi_key,
            several=True,
            likelihood=True,
            takes_own_needles=True,
            languages=("en", "de"),
            things="passcodes",
        ),
        Task(
            "multi-value",
            "several values of one name, all asked for at once",
            plant_multi_value,
            several=True,
            distractors=3,
            languages=("en", "de"),
            max_tokens=128,
            things="passcodes",
            example=EXAMPLES["multi-value"],
        ),
        Task(
            "kv",
            "the text is a JSON object of random keys and values, one value is asked for",
            plant_kv,
            makes_text=True,
            likelihood=True,
            distractors=None,
            languages=("en", "de"),
            max_tokens=80,
            things="keys with their values",
            example=EXAMPLES["kv"],
        ),
        Task(
            "chain",
            "variables that copy one another: which of them have a value?",
            plant_chain,
            several=True,
            distractors=4,
            languages=("en", "de"),
            max_tokens=128,
            things="variables",
            example=EXAMPLES["chain"],
        ),
        Task(
            "count",
            "how many times a thing is recorded",
            plant_count,
            several=True,
            distractors=3,
            languages=("en", "de"),
            things="deliveries",
            example=EXAMPLES["count"],
        ),
        Task(
            "paraphrase",
            "one needle, asked for in words that it does not hold",
            plant_paraphrase,
            likelihood=True,
            things="remarks",
            example=EXAMPLES["paraphrase"],
        ),
    )
}


def find_task(name: str) -> Task:
    """The task of this name, one of ours or of an installed package.

    Raises:
        UsageError: there is none of this name.
        UserError: a package brings it and it cannot be used.
    """
    if name in TASKS:
        return TASKS[name]
    make = plugin(PLUGINS, name)
    if make is None:
        known = [*TASKS, *plugin_names(PLUGINS)]
        nearest = get_close_matches(name, known, n=1)
        suggestion = f"did you mean {nearest[0]}? " if nearest else ""
        raise UsageError(f"there is no task {name!r}", hint=f"{suggestion}the tasks are {', '.join(known)}")
    task = make()
    if not isinstance(task, Task):
        raise UsageError(f"the task {name!r} of an installed package is no Task", hint="ask its authors")
    return task


def _asking_own(ground: Ground, own: OwnNeedle, asked: int | None) -> Question:
    form = FORMS["own"][ground.language]
    right = () if asked is None else (asked,)
    return Question(own.question, form.reply, form.stem, own.question, asked, right, absent=asked is None)


def _plant_own(
    ground: Ground, needles: Sequence[OwnNeedle], depths: Sequence[float], questions: Sequence[Question]
) -> Planted:
    ensure_unanswered(ground.haystack(()).text, needles)
    texts, answers = [each.needle for each in needles], [each.answer for each in needles]
    return plant(ground, texts, depths, questions, values=answers)


def _stated(form: Form, statements: Sequence[Statement]) -> list[str]:
    return [form.statement.format(name=each.name, value=each.value) for each in statements]


def _chained(form: Form, variables: Sequence[Statement]) -> list[str]:
    copies = zip(variables[1:], variables, strict=False)
    return _stated(form, variables[:1]) + [form.link.format(name=each.name, source=last.name) for each, last in copies]
