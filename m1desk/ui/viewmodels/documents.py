"""What the Documents page shows: the sets, the open one, its budget, its questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from m1desk.documents import DEFAULT_ANSWER_TOKENS, state_name
from m1desk.engines.status import EngineState, EngineStatus
from m1desk.engines.turn import SamplingParameters
from m1desk.ui.viewmodels.document_budget import DocumentBudgetViewModel
from m1desk.ui.viewmodels.document_files import DocumentFilesViewModel
from m1desk.ui.viewmodels.document_prepared import PreparedViewModel
from m1desk.ui.viewmodels.document_questions import DocumentQuestionsViewModel
from m1desk.ui.viewmodels.document_search import TextSearchViewModel
from m1desk.ui.viewmodels.document_sets import DocumentSetsViewModel

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path
    from typing import Any, Protocol

    from m1desk.documents import (
        AskedQuestion,
        DocumentSet,
        DocumentSets,
        PreparedStates,
        QuestionRunner,
        Wish,
    )
    from m1desk.engines import EngineClient
    from m1desk.engines.status import LlamaSettings
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.viewmodels.document_files import ReadFiles
    from m1desk.ui.viewmodels.settings import SettingsViewModel

    class AskedDocuments(Protocol):
        """What the page needs of the core; used on the loop, `sets` and `prepared` anywhere."""

        sets: DocumentSets
        runner: QuestionRunner
        prepared: PreparedStates
        client: Callable[[], EngineClient]

        def ask(self, wish: Wish) -> Coroutine[Any, Any, AskedQuestion]:
            """Ask the loaded model, to the end of the answer."""

        def delete_set(self, set_id: int) -> Coroutine[Any, Any, None]:
            """Delete a set with all that belongs to it."""

        def make_room(self, budget_bytes: int) -> Coroutine[Any, Any, None]:
            """Delete prepared states beyond a budget, none that is in use."""


_STEP: Final = 1024


class DocumentsViewModel(QObject):
    """Holds the view models of the page and lets them know of each other.

    Signals:
        reason_changed: why (str) nothing can be asked now, or "".
        failed: the exception of something that did not work.
    """

    reason_changed = Signal(str)
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
        self._arriving: tuple[Path, ...] = ()
        self.sets = DocumentSetsViewModel(bridge, core.sets, core.delete_set, self)
        self.files = DocumentFilesViewModel(bridge, core.sets, read, self)
        self.budget = DocumentBudgetViewModel(bridge, core.client, self)
        self.questions = DocumentQuestionsViewModel(bridge, core.sets, core.runner, core.ask, self)
        self.prepared = PreparedViewModel(bridge, core.prepared, core.make_room, settings, self)
        self.search = TextSearchViewModel(bridge, self)
        self._connect()

    def _connect(self) -> None:
        files, sets, budget, questions = self.files, self.sets, self.budget, self.questions
        for part in (sets, files, budget, questions, self.prepared):
            part.failed.connect(self.failed)
        files.sets_stale.connect(sets.refresh)
        sets.changed.connect(lambda _: files.take_sets(sets.all))
        sets.created.connect(self._on_created)
        sets.deleted.connect(files.forget_set)
        sets.deleted.connect(lambda _: self.prepared.refresh())
        files.opened.connect(self._on_opened)
        files.files_changed.connect(lambda: budget.set_included(files.files))
        files.text_changed.connect(lambda text: budget.set_documents(files.files, text))
        budget.changed.connect(self._tell_reason)
        questions.changed.connect(lambda _: self._on_answered())

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
        budget = self.budget.budget
        if budget is not None and not budget.fits:
            return f"The documents do not fit: {budget.missing_tokens:,} tokens too many"
        return ""

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

    # -- what is asked -----------------------------------------------------------------------------

    def start(self) -> None:
        """Read the list of sets and open the one used last."""
        self.prepared.refresh()
        self.sets.refresh(then=self._open_first)

    def set_engine(self, status: EngineStatus, settings: LlamaSettings | None) -> None:
        """Take the engine's state, and what its model was loaded with while it is ready."""
        self._status, self._settings = status, settings
        self.budget.set_engine(status)
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

    def ask(self, question: str, predicted_seconds: tuple[float, float] | None = None) -> None:
        """Ask about the included documents of the open set."""
        self.questions.ask(question, self._sampling, predicted_seconds)

    def add(self, paths: Sequence[Path]) -> None:
        """Read files into the open set."""
        if self.files.set_id is None:
            self.add_to_new(paths)
        else:
            self.files.add(self.files.set_id, paths)

    def add_to_new(self, paths: Sequence[Path], name: str = "") -> None:
        """Make a set of files and folders, named after the first of them unless named."""
        if paths:
            self._arriving = tuple(paths)
            self.sets.create(name or paths[0].stem or str(paths[0]))

    # -- inside ------------------------------------------------------------------------------------

    def _open_first(self) -> None:
        if self.files.set_id is None and self.sets.all and not self._arriving:
            self.files.open(self.sets.all[0].id)

    def _on_created(self, set_id: int) -> None:
        paths, self._arriving = self._arriving, ()
        self.files.open(set_id)
        if paths:
            self.files.add(set_id, paths)

    def _on_opened(self, info: DocumentSet | None) -> None:
        self.questions.open(info.id if info else None)
        self._tell_reason()

    def _on_answered(self) -> None:
        self.prepared.refresh()
        self.sets.refresh()

    def _tell_reason(self) -> None:
        self.reason_changed.emit(self.reason)

    def _kept_tokens(self) -> int:
        """Tokens of the documents that the engine keeps from an earlier question."""
        set_id, settings = self.files.set_id, self._settings
        if set_id is None or settings is None:
            return 0
        state = self.prepared.state(
            state_name(set_id, self.files.text_sha256, settings.model_path, settings.kv_type)
        )
        return state.tokens if state is not None and state.is_complete else 0

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
        if state is EngineState.STARTING:
            return "Starting the engine…"
        if state is EngineState.LOADING:
            return f"Loading the model… {self._status.load_fraction:.0%}"
        if state is EngineState.STOPPING:
            return "Unloading the model…"
        return "Load a model to ask"
