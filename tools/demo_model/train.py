"""Trains the demo model: `python tools/demo_model/train.py --run FOLDER`.

Everything random comes from the seed and the step's number, so an interrupted run that is started
again goes on from its last checkpoint as if nothing had happened. The learning rates warm up, stay,
and fall to zero over the last part, so a longer run can begin from any checkpoint before that fall.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from random import Random

import torch
import torch.distributed
import torch.multiprocessing
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from app_corpus import Topic, app_chat, read_topics
from corpus import Mix, document_chat
from kinds import ABSENT
from model import WIDTH, DemoModel, DemoShape
from optimizer import make_optimizers
from torch import Tensor
from vocabulary import PADDING, Chat, Encoder, Vocabulary, train_vocabulary


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Attributes:
        steps: of the optimizers.
        document_tokens, app_tokens: in a step, about documents and about the app.
        layers: alternately of lightning and of softmax attention, lightning first.
        heads: of attention; together they are as wide as the model.
        shards: parts of a step; each can be computed by a process of its own.
        shortest, longest: characters of a document set.
        growing: share of the steps after which document sets have their full length.
        falling: share of the steps, the last ones, in which the learning rates fall.
        new: share of facts (see `Mix`) in training; it falls evenly to a third. What can be guessed
            is learnt by heart; finding and copying are not.
        other_weight: of the loss outside answers.
    """

    seed: int = 1
    steps: int = 4000
    vocabulary: int = 1024
    layers: int = 4
    heads: int = 4
    document_tokens: int = 9000
    app_tokens: int = 2000
    shards: int = 2
    shortest: int = 250
    longest: int = 5000
    growing: float = 0.5
    falling: float = 0.7
    new: float = 0.3
    matrix_rate: float = 0.02
    other_rate: float = 0.003
    other_weight: float = 0.03
    balance_weight: float = 0.01


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded sequences, each (rows, tokens).

    Attributes:
        tokens: their ids.
        weights: of the loss of predicting that token.
    """

    tokens: Tensor
    weights: Tensor


class Corpus:
    """Batches by the step's number."""

    def __init__(self, recipe: Recipe, encoder: Encoder, topics: list[Topic]) -> None:
        self.recipe, self.encoder, self.topics = recipe, encoder, topics

    def batches(self, step: int, shard: int) -> list[Batch]:
        """Make a shard of a step: one batch about documents, one about the app."""
        random = Random(f"{self.recipe.seed} {step} {shard}")
        batches = [self._documents(random, self._characters(step), self._mix(step))]
        chats: list[Chat] = []
        while sum(len(chat.ids) for chat in chats) < self.recipe.app_tokens / self.recipe.shards:
            chats.append(self.encoder.chat(app_chat(random, self.topics, 5)))
        return [*batches, self._pad(chats)]

    def _mix(self, step: int) -> Mix:
        """What can't be learnt by heart: much of it at first, a third of that at the end."""
        return Mix(new=self.recipe.new * (1 - step / self.recipe.steps / 1.5))

    def _characters(self, step: int) -> float:
        """How long the step's document sets are: long ones come in by and by."""
        recipe = self.recipe
        progress = min(1.0, step / (recipe.growing * recipe.steps))
        longest = recipe.shortest * 2 * (recipe.longest / recipe.shortest / 2) ** progress
        even = Random(f"{recipe.seed} {step}").uniform(math.log(recipe.shortest), math.log(longest))
        return math.exp(even)

    def _documents(self, random: Random, characters: float, mix: Mix) -> Batch:
        questions = 4 + int(characters / 1000)
        chats: list[Chat] = []
        wanted = self.recipe.document_tokens / self.recipe.shards
        while sum(len(chat.ids) for chat in chats) < wanted:
            length = int(characters * random.uniform(0.9, 1.1))
            messages = document_chat(random, length, questions, mix)
            if random.random() < 0.2:
                messages += app_chat(random, self.topics, 1)[-2:]
            chats.append(self.encoder.chat(messages))
        return self._pad(chats)

    def _pad(self, chats: list[Chat]) -> Batch:
        length = max(len(chat.ids) for chat in chats)
        padding = self.encoder.vocabulary.special(PADDING)
        tokens = torch.full((len(chats), length), padding)
        weights = torch.zeros(len(chats), length)
        for row, chat in enumerate(chats):
            size = len(chat.ids)
            tokens[row, :size] = torch.tensor(chat.ids)
            weights[row, 1:size] = self.recipe.other_weight
            for start, end in chat.answers:
                weights[row, start:end] = 1.0
        return Batch(tokens, weights)


def demo_shape(recipe: Recipe, vocabulary: int) -> DemoShape:
    """The shape of the model that the recipe asks for; half of each head is rotated, as in M1."""
    head_dim = WIDTH // recipe.heads
    return DemoShape(
        vocabulary,
        heads=recipe.heads,
        head_dim=head_dim,
        rope_dimension=head_dim // 2,
        recurrent=tuple(layer % 2 == 0 for layer in range(recipe.layers)),
    )


class Training:
    """A run: model, optimizers, corpus, and the folder that holds its checkpoints."""

    def __init__(self, folder: Path, recipe: Recipe, rank: int = 0, processes: int = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.recipe = folder, recipe
        self.rank, self.processes, self.starter = rank, processes, os.getppid()
        torch.manual_seed(recipe.seed)
        self.topics = read_topics()
        self.vocabulary = Vocabulary.load(folder / "vocabulary.json")
        self.encoder = Encoder(self.vocabulary)
        self.corpus = Corpus(recipe, self.encoder, self.topics)
        self.model = initialized(DemoModel(demo_shape(recipe, len(self.vocabulary.tokens))))
        self.optimizers = make_optimizers(self.model, recipe.matrix_rate, recipe.other_rate)
        self.step = 0
        self._resume()

    def _resume(self) -> None:
        path = self.folder / "latest.pt"
        if path.exists():
            saved = torch.load(path, weights_only=True)
            self.model.load_state_dict(saved["model"])
            for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
                optimizer.load_state_dict(state)
            self.step = saved["step"]
            if not self.rank:
                print(f"resumed at step {self.step}", flush=True)

    def save(self, name: str) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "step": self.step,
            "recipe": asdict(self.recipe),
            "shape": asdict(self.model.shape),
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        path = self.folder / f"{name}.pt"
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def run(self, minutes: float) -> None:
        """Train to the end, or for so many minutes."""
        end = time.monotonic() + minutes * 60
        began, tokens, losses = time.monotonic(), 0, []
        while self.step < self.recipe.steps and self._goes_on(end):
            loss, size = self.one_step()
            losses.append(loss)
            tokens += size
            self.step += 1
            if self.step % 50 == 0:
                speed = tokens / (time.monotonic() - began)
                self._log({"loss": sum(losses) / len(losses), "tokens_per_second": speed})
                began, tokens, losses = time.monotonic(), 0, []
            if self.step % 250 == 0 and self.rank == 0:
                self._log(quick_scores(self.model, self.encoder, self.topics))
            if self.step % 50 == 0 and self.rank == 0:
                self.save("latest")
        if self.rank == 0:
            self.save("latest")

    def _goes_on(self, end: float) -> bool:
        """Whether there is time left and the starter still lives; all processes decide alike."""
        late = torch.tensor(float(time.monotonic() > end or os.getppid() != self.starter))
        if self.processes > 1:
            torch.distributed.all_reduce(late)
        return not late

    def _log(self, record: dict[str, float]) -> None:
        if self.rank:
            return
        line = json.dumps({"step": self.step} | {k: round(v, 4) for k, v in record.items()})
        print(line, flush=True)
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(line + "\n")

    def one_step(self) -> tuple[float, int]:
        """Learn from one step's shards; returns this process's loss and the tokens of all."""
        self._set_rates()
        total, size = 0.0, 0
        for shard in range(self.rank, self.recipe.shards, self.processes):
            batches = self.corpus.batches(self.step, shard)
            weight = self.recipe.shards * sum(float(batch.weights.sum()) for batch in batches)
            for batch in batches:
                total += self._learn(batch, weight)
                size += batch.tokens.numel()
        if self.processes > 1:
            self._share_gradients()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        return total * self.processes, size * self.processes

    def _learn(self, batch: Batch, weight: float) -> float:
        """Add the gradients of a batch; `weight` is what its losses are divided by."""
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.model(batch.tokens[:, :-1])
        loss = F.cross_entropy(
            logits.flatten(0, 1).float(), batch.tokens[:, 1:].flatten(), reduction="none"
        )
        mean = (loss * batch.weights[:, 1:].flatten()).sum() / weight
        balance = self.recipe.balance_weight / 4 * self.model.balance_loss()
        (mean + balance).backward()
        return float(mean.detach())

    def _share_gradients(self) -> None:
        """Sum the gradients over all processes, in one message."""
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        flat = torch.cat([p.grad.flatten() for p in parameters])
        torch.distributed.all_reduce(flat)
        for parameter, part in zip(
            parameters, flat.split([p.numel() for p in parameters]), strict=True
        ):
            parameter.grad.copy_(part.view_as(parameter))

    def _set_rates(self) -> None:
        recipe = self.recipe
        left = (recipe.steps - self.step) / (recipe.falling * recipe.steps)
        factor = min(1.0, (self.step + 1) / 100, left)
        rates = (recipe.matrix_rate, recipe.other_rate)
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor


def initialized(model: DemoModel) -> DemoModel:
    """Set the matrices' spread, seeded by torch's generator; branches begin small."""
    for name, parameter in model.named_parameters():
        if name == "token_embd.weight":
            torch.nn.init.normal_(parameter, std=1.0)
        elif name == "output.weight":
            torch.nn.init.normal_(parameter, std=0.02)
        elif parameter.ndim >= 2:
            torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return model


@torch.no_grad()
def quick_scores(model: DemoModel, encoder: Encoder, topics: list[Topic]) -> dict[str, float]:
    """Score fresh conversations: an answer is right when every token of it is the likeliest.

    That is what a greedy answer needs to be right word for word, at the price of one pass.
    """
    model.eval()
    scores: dict[str, list[bool]] = {}
    for name, characters, mix in (
        ("short", 1000, Mix()),
        ("middle", 2000, Mix()),
        ("long", 4000, Mix()),
        ("new", 1000, Mix(new=1.0)),
    ):
        for index in range(8):
            chat = document_chat(Random(f"quick {name} {index}"), characters, 6, mix)
            _score_chat(model, encoder, chat, name, scores)
    for index in range(8 if topics else 0):
        random = Random(f"quick app {index}")
        _score_chat(model, encoder, app_chat(random, topics, 5), "app", scores)
    model.train()
    return {name: sum(right) / len(right) for name, right in scores.items()}


def _score_chat(
    model: DemoModel,
    encoder: Encoder,
    chat: list[dict[str, str]],
    name: str,
    scores: dict[str, list[bool]],
) -> None:
    encoded = encoder.chat(chat)
    ids = encoded.ids
    with torch.autocast("cpu", torch.bfloat16):
        best = model(torch.tensor([ids]))[0].argmax(-1).tolist()
    texts = [message["content"] for message in chat if message["role"] == "assistant"]
    for (start, end), text in zip(encoded.answers, texts, strict=True):
        right = [best[i - 1] == ids[i] for i in range(start, end)]
        whole = all(right)
        if name == "app":
            scores.setdefault("app", []).append(whole)
        elif text.endswith(ABSENT):
            scores.setdefault(f"{name}_absent", []).append(whole)
        else:
            value = len(encoder.text(text.split(' "')[0]))
            quote = len(encoder.text(text.split('" [')[0]))
            scores.setdefault(f"{name}_value", []).append(all(right[:value]))
            scores.setdefault(f"{name}_quote", []).append(all(right[:quote]))
            scores.setdefault(f"{name}_page", []).append(whole)


def make_vocabulary(folder: Path, recipe: Recipe) -> None:
    """Train the vocabulary of a new run; an old run keeps the one it has."""
    path = folder / "vocabulary.json"
    if path.exists():
        return
    random = Random(recipe.seed)
    texts = [m["content"] for _ in range(600) for m in document_chat(random, 3000, 8)]
    for topic in read_topics():
        texts += [*topic.wordings[:20], *[topic.answer] * 10]
    train_vocabulary(texts, recipe.vocabulary).save(path)


def work(rank: int, folder: Path, recipe: Recipe, processes: int, minutes: float) -> None:
    """Be one of the training processes, on one thread.

    Several threads in one process wait for each other at every operation, which costs far more
    than it brings on a machine that does other things as well.
    """
    torch.set_num_threads(1)
    if processes > 1:
        store = torch.distributed.FileStore(str(folder / "meeting"), processes)
        torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=processes)
    Training(folder, recipe, rank, processes).run(minutes)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of checkpoints and log")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop then; go on later")
    for setting in fields(Recipe):
        option = f"--{setting.name.replace('_', '-')}"
        parser.add_argument(option, type=type(setting.default), default=setting.default)
    parser.add_argument("--processes", type=int, choices=(1, 2), default=2)
    arguments = parser.parse_args()
    arguments.run.mkdir(parents=True, exist_ok=True)
    # Without these, glibc gives every big tensor's memory back and asks for it again.
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "4000000000")
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "8000000000")
    os.environ.setdefault("MALLOC_TOP_PAD_", "268435456")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    (arguments.run / "meeting").unlink(missing_ok=True)
    recipe = Recipe(
        **{setting.name: getattr(arguments, setting.name) for setting in fields(Recipe)}
    )
    make_vocabulary(arguments.run, recipe)
    torch.multiprocessing.spawn(
        work,
        (arguments.run, recipe, arguments.processes, arguments.minutes),
        nprocs=arguments.processes,
    )


if __name__ == "__main__":
    main()
