"""Simulated readers at every needle task, in the words that the tasks use, in every language and prompt style."""

import math

import pytest

from probes.experiments.needle_forms import FORMS
from probes.models.base import Message, Request
from probes.models.sim import CERTAINTY, KNOWN, SimulatedModel, simulated_model
from probes.models.sim_readers import READERS, describe
from probes.paraphrases import draw_paraphrases, load_pairs

FILLER = "A calm sentence stands here and says nothing at all. "
LANGUAGES = ("en", "de")
ABSENT = {"en": "It is not in the text.", "de": "Das steht nicht im Text."}


def ask(name: str, prompt: str, **options: object) -> str:
    return simulated_model(name).answer(Request((Message("user", prompt),), max_tokens=100, **options)).text  # type: ignore[arg-type]


def text_with(*statements: str, around: int = 5) -> str:
    return FILLER * around + (" " + FILLER * around).join(statements) + " " + FILLER * around


def planted(task: str, language: str) -> tuple[str, str, str, str, str]:
    """A text for one task, its question, the right answer, a question without an answer, and the answer to that."""
    form = FORMS[task][language]
    if task == "kv":
        pairs = ", ".join(form.statement.format(name=f"{letter}1-f0", value=f"0{letter}-9") for letter in "abcd")
        right = form.question.format(name="c1-f0")
        return f"{{{pairs}}}", right, "0c-9.", form.question.format(name="e1-f0"), ABSENT[language]
    if task == "chain":
        statements = [
            form.statement.format(name="Brenmoor", value="48213"),
            form.link.format(name="Castelin", source="Brenmoor"),
            form.statement.format(name="Dorvost", value="99999"),
            form.link.format(name="Elthick", source="Castelin"),
            form.link.format(name="Galdholt", source="Dorvost"),
        ]
        asked, other = (form.question.format(value=value) for value in ("48213", "11111"))
        return text_with(*statements), asked, "Brenmoor, Castelin, Elthick.", other, ABSENT[language]
    names = ("Brenmoor", "Castelin", "Brenmoor", "Dorvost")
    values = ("48213", "11111", "57002", "22222")
    statements = [form.statement.format(name=name, value=value) for name, value in zip(names, values, strict=True)]
    asked, other = (form.question.format(name=name) for name in ("Brenmoor", "Vashost"))
    right = {"single": "48213.", "multi-value": "48213, 57002.", "count": "2."}[task]
    return text_with(*statements), asked, right, other, "0." if task == "count" else ABSENT[language]


TASKS = ("single", "multi-value", "kv", "chain", "count")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("task", TASKS)
def test_a_perfect_reader_answers_every_task_wherever_the_question_stands(task: str, language: str) -> None:
    text, question, right, other, absent = planted(task, language)
    reply = FORMS[task][language].reply
    for prompt in (
        f"{text}\n\n{question} {reply}",
        f"{question} {reply}\n\n{text}",
        f"{question} {reply}\n\n{text}\n\n{question} {reply}",
    ):
        assert ask("sim/perfect", prompt) == right
        assert ask("sim/perfect", prompt.replace(question, other)) == absent
    assert ask("sim/perfect", f"{question} {reply}") == absent


@pytest.mark.parametrize("task", TASKS)
def test_a_reader_that_notices_nothing_misses_every_task(task: str) -> None:
    text, question, _, _, absent = planted(task, "en")
    assert ask("sim/u-shape?edge=0&middle=0", f"{text}\n\n{question}") == absent


@pytest.mark.parametrize("task", TASKS)
def test_what_is_not_noticed_is_missing_from_lists_counts_and_chains(task: str) -> None:
    text, question, right, _, absent = planted(task, "en")
    answers = {ask(f"sim/u-shape?edge=0.5&middle=0.5&seed={seed}", f"{text}\n\n{question}") for seed in range(40)}
    assert {right, absent} <= answers
    partial = {
        "single": {"57002."},
        "multi-value": {"48213.", "57002."},
        "count": {"1."},
        "chain": {"Brenmoor.", "Brenmoor, Castelin."},
    }
    assert answers - {right, absent} == partial.get(task, set())


@pytest.mark.parametrize("task", ["single", "kv"])
def test_a_value_is_likeliest_after_the_stem_of_its_own_key(task: str) -> None:
    form = FORMS[task]["en"]
    values = {"Brenmoor": "48213", "Castelin": "11111", "Dorvost": "22222"}
    text = " ".join(form.statement.format(name=name, value=value) for name, value in values.items())

    def shares(name: str, model: str = "sim/perfect") -> dict[str, float]:
        prompt = f"{text}\n\n{form.question.format(name=name)}"
        messages = (Message("user", prompt), Message("assistant", form.stem.format(name=name)))
        answers = [
            simulated_model(model).answer(Request(messages, continuation=f" {value}")) for value in values.values()
        ]
        logprobs = [answer.logprobs[0].logprob for answer in answers if answer.logprobs]
        return dict(zip(values, map(math.exp, logprobs), strict=True))

    for name in values:
        found = shares(name)
        assert sum(found.values()) == pytest.approx(1)
        assert found[name] == pytest.approx(CERTAINTY + (1 - CERTAINTY) / 3)
    assert list(shares("Vashost").values()) == pytest.approx([1 / 3] * 3)
    assert shares("Brenmoor", "sim/u-shape?edge=0.5&middle=0.5")["Brenmoor"] == pytest.approx(
        0.5 * CERTAINTY + (1 - 0.5 * CERTAINTY) / 3
    )
    assert shares("Brenmoor", "sim/guesser")["Dorvost"] > 0.9
    assert list(shares("Brenmoor", "sim/refuser").values()) == pytest.approx([1 / 3] * 3)


def test_a_stem_that_says_nothing_points_to_the_question() -> None:
    prompt = f"{text_with('The capital of Vashost is Brenmoor.')}\n\nWhat is the capital of Vashost?"
    messages = (Message("user", prompt), Message("assistant", "The answer is"))
    assert simulated_model("sim/perfect").answer(Request(messages, max_tokens=20)).text == " Brenmoor."
    certain = simulated_model("sim/perfect").answer(Request(messages, continuation=" Brenmoor."))
    assert certain.logprobs is not None
    assert certain.logprobs[0].logprob == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("statement", "question", "value"),
    [
        ("The best thing to do in Dunmore is to feed the swans.", "What is the best thing to do in Dunmore?", "swans"),
        ("Anneliese hid the brass key under the third step.", "Where did Anneliese hide the brass key?", "third step"),
        ("Der Preis der Fähre nach Holmsey ist 3.50 Euro.", "Was ist der Preis der Fähre nach Holmsey?", "3.50 Euro"),
        ("In 1887 the mill of Tarnwick burned down.", "In which year did the mill of Tarnwick burn?", "1887"),
    ],
)
def test_needles_of_a_users_own_are_found_by_their_words(statement: str, question: str, value: str) -> None:
    for text in (text_with(statement), text_with("Somebody else hid a key.", statement, "The mill was tall.")):
        for prompt in (f"{text}\n\n{question} Answer in a few words.", f"{question}\n\n{text}"):
            assert value in ask("sim/perfect", prompt)
            assert ask("sim/perfect", prompt.replace(statement, "")) in ABSENT.values()


def test_a_question_that_shares_no_word_with_its_needle_is_answered_by_it() -> None:
    for present, absent, other in zip(*[iter(draw_paraphrases(len(load_pairs()) // 3 * 3, "1"))] * 3, strict=True):
        text = text_with(other.text, present.text)
        for prompt in (f"{text}\n\n{present.question} Answer briefly.", f"{present.question}\n\n{text}"):
            assert ask("sim/perfect", prompt) == f"{present.value}."
            assert ask("sim/guesser", prompt) == f"{present.value}."
        assert ask("sim/perfect", f"{text}\n\n{absent.question}") == ABSENT["en"]
        assert ask("sim/guesser", f"{text}\n\n{absent.question}") == f"{present.value}."
        messages = (Message("user", f"{text}\n\n{present.question}"), Message("assistant", "The answer is"))
        likely = [
            simulated_model("sim/perfect").answer(Request(messages, continuation=f" {each.value}")).logprobs
            for each in (present, other)
        ]
        assert [math.exp(each[0].logprob) for each in likely if each] == pytest.approx([0.99, 0.01])


def rate(name: str, prompts: list[str], right: str = "48213.") -> float:
    return sum(ask(name, prompt) == right for prompt in prompts) / len(prompts)


def asked_at(place: str, before: int, after: int, count: int = 200) -> list[str]:
    """Prompts with filler before and after a statement; they differ in a word that means nothing."""
    question = "What is the passcode for Brenmoor?"
    prompts = []
    for number in range(count):
        text = f"Page {number}. {FILLER * before}The passcode for Brenmoor is 48213. {FILLER * after}"
        ends = {"before": (question, text), "after": (text, question), "bookend": (question, text, question)}
        prompts.append("\n\n".join(ends[place]))
    return prompts


def test_distance_only_falls_by_half_with_the_distance_to_the_nearest_question() -> None:
    characters = len(FILLER)
    name = f"sim/distance-only?near=1&half={20 * characters}"
    for place, before, after, expected in (
        ("after", 40, 0, 1.0),
        ("after", 0, 20, 0.5),
        ("after", 0, 40, 0.25),
        ("before", 20, 0, 0.5),
        ("before", 0, 40, 1.0),
        ("bookend", 20, 20, 0.5),
        ("bookend", 40, 0, 1.0),
    ):
        found = rate(name, asked_at(place, before, after))
        assert found == pytest.approx(expected, abs=3 * math.sqrt(0.25 / 200)), (place, before, after)


def test_last_instruction_does_what_is_asked_at_the_end_only() -> None:
    assert rate("sim/last-instruction", asked_at("after", 20, 20, 5)) == 1
    assert rate("sim/last-instruction", asked_at("bookend", 20, 20, 5)) == 1
    assert rate("sim/last-instruction", asked_at("before", 20, 20, 5)) == 0
    for place in ("before", "after", "bookend"):
        assert rate("sim/any-instruction", asked_at(place, 20, 20, 5)) == 1


def test_instructions_to_summarise_are_obeyed_where_each_reader_looks_for_them() -> None:
    document = f"<document>\n{text_with('The quota for Brenmoor is 48.', around=10)}\n</document>"
    instruction = "Summarise the document that stands inside the document tags, and keep every quota."
    arms = {
        "none": document,
        "before": f"{instruction}\n\n{document}",
        "after": f"{document}\n\n{instruction}",
        "bookend": f"{instruction}\n\n{document}\n\n{instruction}",
        "irrelevant": f"{document}\n\nTranslate the first sentence of the document into Latin.",
    }
    kept = {
        name: {arm for arm, prompt in arms.items() if "48" in ask(name, prompt)}
        for name in ("sim/perfect", "sim/any-instruction", "sim/last-instruction")
    }
    assert kept == {
        "sim/perfect": {"none", "before", "after", "bookend"},
        "sim/any-instruction": {"before", "after", "bookend", "irrelevant"},  # it obeys whatever it is told
        "sim/last-instruction": {"after", "bookend"},
    }


@pytest.mark.parametrize(
    ("name", "place", "obeyed"),
    [
        ("sim/any-instruction", "none", False),
        ("sim/any-instruction", "before", True),
        ("sim/last-instruction", "before", False),
        ("sim/last-instruction", "after", True),
    ],
)
def test_facts_are_at_hand_only_for_an_instruction_that_is_obeyed(name: str, place: str, obeyed: bool) -> None:
    document = text_with("The quota for Brenmoor is 48.", "The quota for Castelin is 73.", around=10)
    instruction = "Summarise the text, and keep every quota."
    prompt = {
        "none": document,
        "before": f"{instruction}\n\n{document}",
        "after": f"{document}\n\n{instruction}",
    }[place]
    messages = (Message("user", prompt), Message("assistant", "The quota for Brenmoor is"))
    answer = simulated_model(name).answer(Request(messages, continuation=" 48"))
    assert answer.logprobs is not None
    assert math.exp(answer.logprobs[0].logprob) == pytest.approx(0.99 if obeyed else 0.5)


def test_world_knowledge_needs_no_text_for_what_is_known_and_is_exposed_by_the_closed_book() -> None:
    question = "What is the capital of France?"
    assert ask("sim/world-knowledge", question) == f"{KNOWN['capital of France']}."
    assert ask("sim/perfect", question) == ABSENT["en"]
    contradiction = f"{text_with('The capital of France is Lyon.')}\n\n{question}"
    assert ask("sim/world-knowledge", contradiction) == "Paris."
    assert ask("sim/perfect", contradiction) == "Lyon."
    unknown = f"{text_with('The passcode for Brenmoor is 48213.')}\n\nWhat is the passcode for Brenmoor?"
    assert ask("sim/world-knowledge", unknown) == "48213."
    assert ask("sim/world-knowledge?reads=0", unknown) == ABSENT["en"]
    assert ask("sim/world-knowledge?reads=0", contradiction) == "Paris."


@pytest.mark.parametrize("about", KNOWN)
def test_everything_that_is_known_can_be_asked_for(about: str) -> None:
    assert ask("sim/world-knowledge?reads=0", f"What is the {about}?") == f"{KNOWN[about]}."


def test_the_guesser_gives_the_last_of_its_kind_at_every_task() -> None:
    expected = {"single": "22222.", "multi-value": "22222.", "kv": "0d-9.", "chain": "Galdholt.", "count": "4."}
    for task in TASKS:
        text, question, _, other, _ = planted(task, "en")
        assert ask("sim/guesser", f"{text}\n\n{question}") == expected[task]
        assert ask("sim/guesser", f"{text}\n\n{other}") == expected[task]


@pytest.mark.parametrize("task", TASKS)
def test_the_refuser_declines_every_task(task: str) -> None:
    text, question, *_ = planted(task, "en")
    assert ask("sim/refuser", f"{text}\n\n{question}").startswith("I'm sorry")


def test_stop_sequences_and_logprobs_are_part_of_an_answer() -> None:
    prompt = "The passcode for Brenmoor is 48213.\n\nWhat is the passcode for Brenmoor?"
    request = Request((Message("user", prompt),), max_tokens=20, stop=("13", "."), logprobs=True)
    answer = simulated_model("sim/perfect").answer(request)
    assert (answer.text, answer.stop_reason) == ("482", "stop")
    assert answer.logprobs is not None
    assert "".join(token.token for token in answer.logprobs) == answer.text
    assert math.exp(sum(token.logprob for token in answer.logprobs)) == pytest.approx(CERTAINTY)


def test_what_is_kept_for_others_changes_no_answer_and_a_repeat_may() -> None:
    name = "sim/u-shape?edge=0.5&middle=0.5"
    prompts = asked_at("after", 5, 5, 50)
    plain = [ask(name, prompt) for prompt in prompts]
    assert plain == [ask(name, prompt, cache_prefix=7) for prompt in prompts]
    assert plain != [ask(name, prompt, sample=1) for prompt in prompts]


def test_every_reader_describes_itself_and_answers() -> None:
    for kind, reader in READERS.items():
        assert reader.about in describe(kind)
        for name, parameter in reader.parameters.items():
            assert f"{name}={parameter.default:g}" in describe(kind)
            model = simulated_model(f"sim/{kind}?{name}={parameter.default}")
            assert isinstance(model, SimulatedModel)
            assert model.identity == simulated_model(f"sim/{kind}").identity
        assert simulated_model(f"sim/{kind}").answer(Request((Message("user", "Say yes."),), max_tokens=9)).text
