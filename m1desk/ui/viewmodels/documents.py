"""What the Documents page shows: the sets, the open one, its budget, its questions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from m1desk.documents import DEFAULT_ANSWER_TOKENS, Wish, pass_budget, state_name
from m1desk.engines.status import EngineState, EngineStatus
from m1desk.engines.turn import SamplingParameters
from m1desk.ui.units import loading_text
from m1desk.ui.viewmodels.document_budget import DocumentBudgetViewModel
from m1desk.ui.viewmodels.document_files import DocumentFilesViewModel
from m1desk.ui.viewmodels.document_passes import PassesViewModel, PlanFor
from m1desk.ui.viewmodels.document_prepared import PreparedViewModel
from m1desk.ui.viewmodels.document_preparing import PreparingViewModel
from m1desk.ui.viewmodels.document_questions import DocumentQuestionsViewModel
from m1desk.ui.viewmodels.document_search import TextSearchViewModel
from m1desk.ui.viewmodels.document_sets import DocumentSetsViewModel
from m1desk.ui.viewmodels.document_times import Reading, UsualLength, usual_length

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from pathlib import Path
    from typing import Any, Protocol

    from m1desk.documents import (
        AskedQuestion,
        DocumentSet,
        DocumentSets,
        PreparedState,
        PreparedStates,
        QuestionRunner,
        TokenCounter,
    )
    from m1desk.engines import PrepareFinished
    from m1desk.engines.status import LlamaSettings
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.viewmodels.document_files import ReadFiles
    from m1desk.ui.viewmodels.document_times import PredictedTimes
    from m1desk.ui.viewmodels.settings import SettingsViewModel

    class AskedDocuments(Protocol):
        """What the page needs of the core; used on the loop, `sets` and `prepared` anywhere."""

        sets: DocumentSets
        runner: QuestionRunner
        prepared: PreparedStates

        def client(self) -> TokenCounter:
            """Who counts tokens, or estimates them."""

        def ask(self, wish: Wish) -> Coroutine[Any, Any, AskedQuestion]:
            """Ask the loaded model, to the end of the answer."""

        def prepare(self, set_id: int) -> Coroutine[Any, Any, PrepareFinished | None]:
            """Have the loaded model read a set, and keep that."""

        def delete_set(self, set_id: int) -> Coroutine[Any, Any, None]:
            """Delete a set with all that belongs to it."""

        def make_room(self, budget_bytes: int) -> Coroutine[Any, Any, None]:
            """Delete prepared states beyond a budget, none that is in use."""


_STEP: Final = 1024
_COMBINING: Final = 120
"""Tokens that the question which combines the answers of passes has beside them, about."""


class DocumentsViewModel(QObject):
    """Holds the view models of the page and lets them know of each other.

    Signals:
        reason_changed: why (str) nothing can be asked now, or "".
        outlook_changed: what is to be read for the next question, or the usual length of an answer.
        failed: the exception of something that did not work.
    """

    reason_changed = Signal(str)
    outlook_changed = Signal()
    failed = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        core: AskedDocuments,
        settings: SettingsViewModel,
        read: ReadFiles,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._status = EngineStatus(EngineState.STOPPED)
        self._settings: LlamaSettings | None = None
        self._sampling = SamplingParameters(max_tokens=DEFAULT_ANSWER_TOKENS)
        self._bridge = bridge
        self._stored = core.sets
        self._length = UsualLength()
        self._in_passes = False
        self._pass_states: tuple[str, ...] = ()
        self.sets = DocumentSetsViewModel(bridge, core.sets, core.delete_set, self)
        self.files = DocumentFilesViewModel(bridge, core.sets, read, self)
        self.budget = DocumentBudgetViewModel(bridge, core.client, self)
        self.questions = DocumentQuestionsViewModel(bridge, core.sets, core.runner, core.ask, self)
        self.passes = PassesViewModel(bridge, core.client, self)
        self.preparing = PreparingViewModel(bridge, core.runner, core.prepare, self)
        self.prepared = PreparedViewModel(bridge, core.prepared, core.make_room, settings, self)
        self.search = TextSearchViewModel(bridge, self)
        self._connect()

    def _connect(self) -> None:
        files, sets, budget, questions = self.files, self.sets, self.budget, self.questions
        for part in (sets, files, budget, questions, self.prepared, self.preparing):
            part.failed.connect(self.failed)
        files.sets_stale.connect(sets.refresh)
        sets.changed.connect(lambda _: files.take_sets(sets.all))
        sets.created.connect(files.open)
        sets.deleted.connect(files.forget_set)
        sets.deleted.connect(lambda _: self.prepared.refresh())
        files.opened.connect(self._on_opened)
        files.files_changed.connect(lambda: budget.set_included(files.files))
        files.text_changed.connect(lambda text: budget.set_documents(files.files, text))
        budget.changed.connect(self._on_budget)
        questions.changed.connect(self._on_question)
        questions.asking_changed.connect(lambda _: self.outlook_changed.emit())
        self.passes.changed.connect(self._on_passes)
        self.prepared.changed.connect(lambda _: self.outlook_changed.emit())
        self.preparing.changed.connect(self._tell_reason)
        self.preparing.ended.connect(lambda _: self.prepared.refresh())

    # -- what is known -----------------------------------------------------------------------------

    @property
    def status(self) -> EngineStatus:
        """The engine as it was last told."""
        return self._status

    @property
    def reason(self) -> str:
        """Why nothing can be asked now, or ""."""
        if self.files.set_id is None:
            return "Add documents to ask about them"
        if not self.files.used_files:
            return self._no_text()
        if not self._status.is_ready:
            return self._no_model()
        if not self._status.context_tokens:
            return f"{self._status.server} does not say its context length: enter it on Servers"
        if self.preparing.reading(self.files.set_id) is not None:
            return "The documents are being prepared…"
        budget = self.budget.budget
        if budget is None or budget.fits:
            return ""
        if not self._in_passes:
            return f"The documents do not fit: {budget.missing_tokens:,} tokens too many"
        if self.passes.problem:
            return self.passes.problem
        return "" if self.passes.passes else "Counting what goes into each pass…"

    @property
    def wished_context(self) -> int:
        """The least context (tokens) in which documents, question and answer fit, rounded up."""
        budget = self.budget.budget
        return 0 if budget is None else -(-budget.needed_tokens // _STEP) * _STEP

    @property
    def tokens_to_read(self) -> int | None:
        """What the engine will have to read for the next question; None while not counted."""
        budget = self.budget.budget
        if budget is None or not self.budget.is_exact:
            return None
        return max(1, budget.prompt_tokens - self._kept_tokens())

    @property
    def in_passes(self) -> bool:
        """Whether the next question goes to parts of the documents, because they do not fit."""
        budget = self.budget.budget
        return self._in_passes and budget is not None and not budget.fits

    @property
    def usual_length(self) -> UsualLength:
        """How long an answer of the loaded model will probably be."""
        return self._length

    @property
    def readings(self) -> tuple[Reading, ...]:
        """What the engine would read for the next question, in passes if the documents do not fit.

        Empty while that is not known.
        """
        budget, tokens = self.budget.budget, self.tokens_to_read
        if budget is None or tokens is None:
            return ()
        if budget.fits:
            return (Reading(tokens, budget.prompt_tokens - tokens),)
        return self._pass_readings()

    @property
    def prepared_state(self) -> PreparedState | None:
        """What the engine keeps of the documents as they are now, whole or cut off."""
        set_id, settings = self.files.set_id, self._settings
        if set_id is None or settings is None or not self.files.used_files:
            return None
        return self.prepared.state(self._state_name(set_id, self.files.text_sha256, settings))

    @property
    def can_prepare(self) -> bool:
        """Whether the documents could be read ahead now."""
        budget = self.budget.budget
        is_free = self.preparing.reading(self.files.set_id) is None and not self.questions.is_asking
        is_loaded = self._status.is_ready and self._settings is not None
        return is_loaded and is_free and budget is not None and self.budget.is_exact and budget.fits

    @property
    def no_preparing(self) -> str:
        """Why documents can't be prepared with what answers now, ""; said where it is offered."""
        if not self._status.is_ready or self._settings is not None:
            return ""
        if self._status.server:
            return f"On {self._status.server} nothing is prepared: each question sends them anew"
        return f"{self._status.engine} keeps no documents on disk, so nothing can be prepared"

    # -- what is asked -----------------------------------------------------------------------------

    def start(self) -> None:
        """Read the list of sets and open the one used last."""
        self.prepared.refresh()
        self.sets.refresh(then=self._open_first)

    def set_engine(self, status: EngineStatus, settings: LlamaSettings | None) -> None:
        """Take the engine's state, and what its model was loaded with while it is ready."""
        is_other = status.endpoint != self._status.endpoint
        self._status, self._settings = status, settings
        self.budget.set_engine(status)
        if is_other and status.is_ready:
            self._read_lengths()
        self._tell_reason()

    def set_sampling(self, sampling: SamplingParameters) -> None:
        """Set how answers are sampled; one without a limit may take all the context has left."""
        self._sampling = SamplingParameters(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            seed=sampling.seed,
            max_tokens=sampling.max_tokens,
        )
        self.budget.set_answer_tokens(sampling.max_tokens or DEFAULT_ANSWER_TOKENS)

    def set_in_passes(self, *, wanted: bool) -> None:
        """Choose to ask in passes where the documents do not fit."""
        self._in_passes = wanted
        self._tell_reason()
        self.outlook_changed.emit()

    def ask(self, question: str, predicted: PredictedTimes | None = None) -> None:
        """Ask about the included documents of the open set."""
        self._ask(question, predicted)

    def go_on(self, question: AskedQuestion) -> None:
        """Go on with a question in passes that was cut off."""
        self._ask(question.question, None, goes_on=question.id)

    def _ask(
        self, question: str, predicted: PredictedTimes | None, goes_on: int | None = None
    ) -> None:
        set_id = self.files.set_id
        if set_id is None:
            return
        wish = Wish(
            set_id,
            question,
            self._sampling,
            predicted_seconds=predicted.first_token if predicted else None,
            predicted_total_seconds=predicted.total if predicted else None,
            assumed_tokens=self._length.tokens if predicted else 0,
            in_passes=self.in_passes or goes_on is not None,
            goes_on=goes_on,
        )
        self.questions.ask(wish)

    def prepare(self) -> None:
        """Have the engine read the documents of the open set ahead, and keep that."""
        if self.files.set_id is not None and self.can_prepare:
            self.preparing.start(self.files.set_id)

    def stop_preparing(self) -> None:
        """End that; what was saved on the way is kept."""
        if self.files.set_id is not None:
            self.preparing.stop(self.files.set_id)

    def add(self, paths: Sequence[Path]) -> None:
        """Read files into the open set."""
        if self.files.set_id is None:
            self.add_to_new(paths)
        else:
            self.files.add(self.files.set_id, paths)

    def add_to_new(self, paths: Sequence[Path], name: str = "") -> None:
        """Make a set of files and folders, named after the first of them unless named."""
        if paths:
            arriving = tuple(paths)
            self.sets.create(
                name or paths[0].stem or str(paths[0]),
                then=lambda set_id: self.files.add(set_id, arriving),
            )

    # -- inside ------------------------------------------------------------------------------------

    def _open_first(self) -> None:
        if self.files.set_id is None and self.sets.all:
            self.files.open(self.sets.all[0].id)

    def _on_opened(self, info: DocumentSet | None) -> None:
        self._in_passes = False
        self.questions.open(info.id if info else None)
        self._tell_reason()

    def _on_question(self, question: AskedQuestion) -> None:
        if question.state != "streaming":
            self.prepared.refresh()
            self._read_lengths()

    def _on_budget(self) -> None:
        budget, status = self.budget.budget, self._status
        if budget is None or budget.fits or not self.budget.is_exact:
            self.passes.plan_for(None)
        else:
            used = (one.document for one in self.files.used_files)
            room = pass_budget(
                budget.context_tokens, budget.answer_tokens, self.budget.question_tokens
            )
            documents = tuple(one for one in used if one is not None)
            wanted = PlanFor(status.endpoint, self.files.text_sha256, room, documents)
            self.passes.plan_for(wanted)
        self._tell_reason()
        self.outlook_changed.emit()

    def _on_passes(self) -> None:
        set_id, settings = self.files.set_id, self._settings
        if set_id is None or settings is None:
            self._pass_states = ()
        else:
            self._pass_states = tuple(
                self._state_name(set_id, one.text.sha256, settings)
                for one in self.passes.passes or ()
            )
        self._tell_reason()
        self.outlook_changed.emit()

    def _read_lengths(self) -> None:
        def on_read(lengths: tuple[int, ...]) -> None:
            self._length = usual_length(lengths)
            self.outlook_changed.emit()

        work = asyncio.to_thread(self._stored.answer_lengths, self._status.model_name)
        self._bridge.submit(work, on_read, self.failed.emit)

    def _tell_reason(self) -> None:
        self.reason_changed.emit(self.reason)

    def _kept_tokens(self) -> int:
        """Tokens of the documents that the engine keeps from an earlier question."""
        state = self.prepared_state
        return state.tokens if state is not None and state.is_complete else 0

    def _pass_readings(self) -> tuple[Reading, ...]:
        """What is read in each pass, and then to combine what they brought."""
        passes, question = self.passes.passes or (), self.budget.question_tokens
        if not passes:
            return ()
        states = self._pass_states or ("",) * len(passes)
        readings = []
        for one, name in zip(passes, states, strict=True):
            state = self.prepared.state(name)
            kept = state.tokens if state is not None and state.is_complete else 0
            readings.append(Reading(max(1, one.tokens + question - kept), kept))
        combining = len(passes) * self._length.tokens + _COMBINING + question
        return (*readings, Reading(combining))

    @staticmethod
    def _state_name(set_id: int, text_sha256: str, settings: LlamaSettings) -> str:
        return state_name(set_id, text_sha256, settings.model_path, settings.kv_type)

    def _no_text(self) -> str:
        if self.files.reading is not None and self.files.reading.set_id == self.files.set_id:
            return "Reading the files…"
        if any(one.document is not None for one in self.files.files):
            return "All files are left out: take one in to ask about it"
        if self.files.files:
            return "Nothing could be read of these files"
        return "Add documents to ask about them"

    def _no_model(self) -> str:
        state = self._status.state
        if self._status.server:
            return f"Connecting to {self._status.server}…"
        if state is EngineState.STARTING:
            return "Starting the engine…"
        if state is EngineState.LOADING:
            how_far = loading_text(self._status.load_fraction, self._status.load_stage)
            return f"Loading the model… {how_far}"
        if state is EngineState.STOPPING:
            return "Unloading the model…"
        return "Load a model to ask"
