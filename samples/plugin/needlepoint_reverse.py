"""A task of one's own, asked as `--task reverse`: the needle's value is given, and its name is asked for."""

from collections.abc import Iterator

from probes.experiments.needle_parts import Ground, Planted, Question, Task, plant, statements_for

REPLY = "Answer with the name only. If it is not in the text, answer: not in the text."


def plant_reverse(ground: Ground) -> Iterator[Planted]:
    """One text a depth, with one needle in it; a question that it answers, and one that nothing answers."""
    drawn = present, absent = statements_for(2, f"reverse/{ground.seed}/{ground.block}")
    questions = [
        Question(f"Whose passcode is {present.value}?", REPLY, "It is that of", present.value, asked=0, right=(0,)),
        Question(f"Whose passcode is {absent.value}?", REPLY, "It is that of", absent.value, absent=True),
    ]
    for depth in ground.depths:
        yield plant(ground, [present.text], [depth], questions, values=[present.name], drawn=drawn)


def make_task() -> Task:
    """What the entry point names."""
    return Task("reverse", "the name of a value that is given", plant_reverse, distractors=None, things="passcodes")
