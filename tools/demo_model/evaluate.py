"""Scores the demo model on fresh documents and unseen wordings.

With PyTorch:   python tools/demo_model/evaluate.py --run FOLDER
With llama.cpp: .venv/bin/python tools/demo_model/evaluate.py --gguf FILE

Both ask the same questions and take the likeliest token each time. The second needs no PyTorch.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app_corpus import read_topics, worded
from corpus import Case, Fact, Mix, Question, first_turn, make_case
from kinds import ABSENT, KINDS
from make_samples import sample_pages

from m1desk.documents.citations import CitationChecker
from m1desk.documents.prompt import DocumentsText, PlacedPage, page_marker

Messages = list[dict[str, str]]
Answerer = Callable[[Messages, str], str]
"""Answers a conversation; the expected answer is only there to be checked quickly."""

LENGTHS = (1000, 2000, 4000)
"""Characters of the document sets: about 450, 900 and 1,800 tokens."""

SAMPLE_QUESTIONS = Path(__file__).parent / "samples" / "questions.json"


@dataclass(slots=True)
class Score:
    """Counts for one length. Shares are None where nothing was asked."""

    asked: int = 0
    value: int = 0
    page: int = 0
    cited: int = 0
    both: int = 0
    false_absent: int = 0
    absent_asked: int = 0
    absent: int = 0
    wrong: list[str] = field(default_factory=list)

    def shares(self) -> dict[str, float | int | None]:
        """Percentages, as printed."""

        def share(part: int, whole: int) -> float | None:
            return round(100 * part / whole, 1) if whole else None

        return {
            "questions": self.asked,
            "value": share(self.value, self.asked),
            "page": share(self.page, self.asked),
            "page named by the model": share(self.cited, self.asked),
            "value and page": share(self.both, self.asked),
            "false absent": share(self.false_absent, self.asked),
            "absent questions": self.absent_asked,
            "absent": share(self.absent, self.absent_asked),
        }


def found_page(case: Case, answer: str) -> tuple[str | None, str | None]:
    """Return the page on which the app finds the answer's quote, and the one the answer names."""
    cited = CitationChecker(placed(case)).check(answer).citations
    if not cited:
        return None, None
    first = cited[0]
    named = page_marker(first.cited_file, first.cited_page) if first.cited_page else None
    found = page_marker(first.file, first.page) if first.status != "not_found" else None
    return found, named


def placed(case: Case) -> DocumentsText:
    """The case's documents as the app places them."""
    pages, start = [], 0
    for label, text in case.pages.items():
        start += len(label) + 1
        name, _, number = label.strip("[]").rpartition(" p.")
        page = PlacedPage(name, int(number), "page", "", label, start, start + len(text))
        pages.append(page)
        start += len(text) + 2
    return DocumentsText(case.text, tuple(pages))


def mark(score: Score, case: Case, question: Question, answer: str) -> None:
    """Count one answer."""
    says_absent = answer.rstrip().endswith(ABSENT)
    if question.fact is None or question.value is None:
        score.absent_asked += 1
        score.absent += says_absent
        right = says_absent
    else:
        score.asked += 1
        score.false_absent += says_absent
        short = answer.split(' "', 1)[0]
        value = re.search(rf"(?<!\w){re.escape(question.value)}(?!\w)", short)
        found, named = found_page(case, answer)
        place = question.fact.place
        page = found == place if found else named == place
        score.value += bool(value)
        score.page += page
        score.cited += named == place
        right = bool(value) and page
        score.both += right
    if not right:
        score.wrong.append(f"{question.text}\n    wanted {question.answer}\n    got    {answer}")


def score_documents(answer: Answerer, characters: int, cases: int) -> Score:
    """Ask about `cases` fresh document sets, five questions each, every one in a new chat."""
    score = Score()
    for index in range(cases):
        case = make_case(Random(f"evaluation {characters} {index}"), characters, 5, Mix(absent=0.2))
        for question in case.questions:
            messages = [{"role": "user", "content": first_turn(case, question.text)}]
            mark(score, case, question, answer(messages, question.answer).strip())
    return score


def score_samples(answer: Answerer) -> Score:
    """Ask the questions about the documents in resources/samples, all of them in the prompt."""
    score, pages = Score(), sample_pages()
    for asked in json.loads(SAMPLE_QUESTIONS.read_text("utf-8")):
        fact = None
        if asked["place"]:
            file, _, page = asked["place"].strip("[]").rpartition(" p.")
            fact = Fact(KINDS[0], asked["value"], "", "", file, int(page))
        question = Question(asked["question"], "", asked["value"], fact)
        case = Case(pages, [question])
        messages = [{"role": "user", "content": first_turn(case, question.text)}]
        mark(score, case, question, answer(messages, ABSENT).strip())
    return score


def score_app(answer: Answerer, questions: int) -> dict[str, float | int | list[str]]:
    """Ask about the app in wordings that training never saw."""
    random = Random("evaluation app")
    pairs = [(text, topic.answer) for topic in read_topics() for text in topic.held_out]
    pairs = random.sample(pairs, min(questions, len(pairs)))
    wrong, right = [], 0
    for wording, wanted in pairs:
        text = worded(random, wording)
        got = answer([{"role": "user", "content": text}], wanted).strip()
        right += got == wanted
        if got != wanted:
            wrong.append(f"{text}\n    wanted {wanted}\n    got    {got}")
    return {"questions": len(pairs), "right": round(100 * right / len(pairs), 1), "wrong": wrong}


def torch_answerer(run: Path, checkpoint: str) -> Answerer:
    """Answer with a checkpoint, in PyTorch."""
    import torch  # noqa: PLC0415 - only this way of answering needs it
    from export import load_checkpoint  # noqa: PLC0415
    from vocabulary import END, Encoder, Vocabulary  # noqa: PLC0415

    torch.set_num_threads(1)
    encoder = Encoder(Vocabulary.load(run / "vocabulary.json"))
    model = load_checkpoint(run / f"{checkpoint}.pt")
    end = encoder.vocabulary.special(END)

    @torch.no_grad()
    def answer(messages: Messages, wanted: str) -> str:
        prompt = encoder.prompt(messages)
        guess = [*encoder.text(wanted), end]
        best = model(torch.tensor([prompt + guess]))[0, len(prompt) - 1 :].argmax(-1).tolist()
        said: list[int] = []
        # As long as the guess is what the model says, one pass is enough for all of it.
        for token, likeliest in zip(guess, best, strict=False):
            said.append(likeliest)
            if token != likeliest:
                break
        while said[-1] != end and len(said) < 150:
            said.append(int(model(torch.tensor([prompt + said]))[0, -1].argmax()))
        return encoder.decode(said)

    return answer


def llama_answerer(path: Path) -> Answerer:
    """Answer with a GGUF file, in llama.cpp, through the app's own worker classes."""
    from engine import Engine  # noqa: PLC0415 - only this way of answering needs llama.cpp

    engine = Engine(path)
    return lambda messages, _wanted: engine.answer(messages)


def main() -> None:
    """Read the command line, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--checkpoint", default="latest")
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--cases", type=int, default=25, help="document sets of each length")
    parser.add_argument("--app", type=int, default=100, help="questions about the app")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--wrong", type=int, default=0, help="show so many wrong answers of each")
    arguments = parser.parse_args()
    if arguments.gguf:
        answer = llama_answerer(arguments.gguf)
    else:
        answer = torch_answerer(arguments.run, arguments.checkpoint)
    for characters in arguments.lengths:
        score = score_documents(answer, characters, arguments.cases)
        print(json.dumps({"characters": characters} | score.shares()), flush=True)
        print("\n".join(score.wrong[: arguments.wrong]), file=sys.stderr)
    samples = score_samples(answer)
    print(json.dumps({"samples": samples.shares()}), flush=True)
    print("\n".join(samples.wrong[: arguments.wrong]), file=sys.stderr)
    app = score_app(answer, arguments.app)
    wrong = app.pop("wrong")
    print(json.dumps({"app": app}), flush=True)
    print("\n".join(wrong[: arguments.wrong]), file=sys.stderr)  # type: ignore[index]


if __name__ == "__main__":
    main()
