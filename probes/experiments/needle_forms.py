"""The words of every needle task: what is planted, what is asked, how it is to be answered, in each language.

task          planted                                             asked
single        The passcode for Brenmoor is 48213.                 What is the passcode for Brenmoor?
multi-key     the same, several of them                           the same, for each, and for one that is not there
multi-value   One of the passcodes for Brenmoor is 48213.         What are all the passcodes for Brenmoor?
kv            "9f0c…": "51be…", hundreds, a JSON object           What is the value of the key "9f0c…"?
chain         VAR Brenmoor = 48213.  VAR Holvick = VAR Brenmoor.  Which variables have the value 48213?
count         A delivery for Brenmoor was recorded.               How many deliveries for Brenmoor were recorded?
paraphrase    a sentence of probes/paraphrases.py                 its question, which shares no word with it

The gaps are {name} (what is asked for), {value}, and {source} (the variable that a variable of a chain copies).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "de"]


@dataclass(frozen=True, slots=True)
class Form:
    """How one task speaks in one language.

    `statement`: what is planted. `question`, and `reply`: how it is to be answered, and what to say where the text has
    no answer. `stem`: the beginning of an answer. `link`: the second kind of statement of a chain.
    """

    statement: str
    question: str
    reply: str
    stem: str
    link: str = ""


FORMS: Mapping[str, Mapping[Language, Form]] = {
    "single": {
        "en": Form(
            statement="The passcode for {name} is {value}.",
            question="What is the passcode for {name}?",
            reply="Answer with the passcode only. If it is not in the text, answer: not in the text.",
            stem="The passcode for {name} is",
        ),
        "de": Form(
            statement="Der Zugangscode für {name} ist {value}.",
            question="Wie lautet der Zugangscode für {name}?",
            reply="Antworte nur mit dem Zugangscode. Steht er nicht im Text, antworte: steht nicht im Text.",
            stem="Der Zugangscode für {name} ist",
        ),
    },
    "multi-value": {
        "en": Form(
            statement="One of the passcodes for {name} is {value}.",
            question="What are all the passcodes for {name}?",
            reply="Answer with the passcodes only. If there are none in the text, answer: not in the text.",
            stem="The passcodes for {name} are",
        ),
        "de": Form(
            statement="Einer der Zugangscodes für {name} ist {value}.",
            question="Wie lauten alle Zugangscodes für {name}?",
            reply="Antworte nur mit den Zugangscodes. Steht keiner im Text, antworte: steht nicht im Text.",
            stem="Die Zugangscodes für {name} sind",
        ),
    },
    "kv": {
        "en": Form(
            statement='"{name}": "{value}"',
            question='What is the value of the key "{name}"?',
            reply="Answer with the value only. If the key is not in the text, answer: not in the text.",
            stem='The value of the key "{name}" is',
        ),
        "de": Form(
            statement='"{name}": "{value}"',
            question='Welchen Wert hat der Schlüssel "{name}"?',
            reply="Antworte nur mit dem Wert. Steht der Schlüssel nicht im Text, antworte: steht nicht im Text.",
            stem='Der Wert des Schlüssels "{name}" ist',
        ),
    },
    "chain": {
        "en": Form(
            statement="VAR {name} = {value}.",
            link="VAR {name} = VAR {source}.",
            question="Which variables have the value {value}?",
            reply="Answer with their names only. If there are none in the text, answer: not in the text.",
            stem="The variables that have the value {value} are",
        ),
        "de": Form(
            statement="VAR {name} = {value}.",
            link="VAR {name} = VAR {source}.",
            question="Welche Variablen haben den Wert {value}?",
            reply="Antworte nur mit ihren Namen. Steht keine im Text, antworte: steht nicht im Text.",
            stem="Die Variablen mit dem Wert {value} sind",
        ),
    },
    "count": {
        "en": Form(
            statement="A delivery for {name} was recorded.",
            question="How many deliveries for {name} were recorded?",
            reply="Answer with the number only. If there are none in the text, answer: 0.",
            stem="The number of deliveries recorded for {name} is",
        ),
        "de": Form(
            statement="Eine Lieferung für {name} wurde verzeichnet.",
            question="Wie viele Lieferungen für {name} wurden verzeichnet?",
            reply="Antworte nur mit der Zahl. Steht keine im Text, antworte: 0.",
            stem="Die Zahl der verzeichneten Lieferungen für {name} ist",
        ),
    },
    "own": {  # the user's needles bring their sentences and questions
        "en": Form(
            statement="",
            question="",
            reply="Answer in a few words. If it is not in the text, answer: not in the text.",
            stem="The answer is",
        ),
        "de": Form(
            statement="",
            question="",
            reply="Antworte in wenigen Worten. Steht es nicht im Text, antworte: steht nicht im Text.",
            stem="Die Antwort ist",
        ),
    },
    "paraphrase": {
        "en": Form(
            statement="",  # the sentence and its question are those of the pair
            question="",
            reply="Answer with the name or the number only. If it is not in the text, answer: not in the text.",
            stem="The answer is",
        ),
    },
}
