"""Build a step from what is sealed, and judge it: the one way, in Dagster and in a shell."""

import logging
from collections.abc import Iterable
from typing import Any

from rl_core.base.checks import Check
from rl_core.base.code import code_fingerprint
from rl_core.base.errors import TollgateError
from rl_core.base.files import sha256_json
from rl_core.base.settings import slice_settings
from rl_core.steps.context import DeskContext, Opened, Task
from rl_core.steps.options import BuildOptions
from rl_core.steps.step import F_co, Step
from rl_core.store.documents import read_document, write_document

log = logging.getLogger(__name__)


def build(
    context: DeskContext, step: Step[F_co], options: BuildOptions | None = None
) -> Opened[F_co]:
    """Build a step's artefact and let the chain stand on it.

    Raises:
        TollgateError: an input is missing, stale or stopped by a check, or the step itself refuses.
    """
    how = options or BuildOptions()
    if step.kept_in == "models":
        raise TypeError(f"{step.name} is not built into the lake")
    require_inputs_sound(context, step)
    with context.artifacts.draft(step.name, wait=step.moves) as draft:
        inputs = context.inputs_of(step)
        task = Task(context, step, inputs, draft.directory, how, draft.timings)
        facts = step.build(task)
        draft.inputs = {name: each.identity for name, each in inputs.items()}
        draft.settings = context.slice_of(step)
        sections = {section.split(".")[0] for section in step.reads}
        draft.overrides = {
            name: value
            for name, value in context.overrides.items()
            if name.split(".")[0] in sections
        }
        draft.facts = facts.model_dump(mode="json")
        sealed = context.artifacts.keep(step.name, draft)
        step.before_use(context, context.open_artifact(step, sealed.identity))
        context.artifacts.point(sealed)
        for finish in task.afterwards:
            finish()
    return context.open_artifact(step, sealed.identity)


def run_chain(
    context: DeskContext,
    until: Step[Any],
    options: BuildOptions | None = None,
    *,
    only_missing: bool = False,
) -> None:
    """Build every step up to and with `until`, and judge each before the next one.

    Args:
        context: the desk.
        until: the last step.
        options: how each is built.
        only_missing: leave alone what was ever built; what is there is only checked.

    Raises:
        TollgateError: a check failed that stops the chain in Dagster too.
    """
    for step in (*until.ancestors, until):
        if only_missing and context.artifacts.has(step.name):
            continue
        if only_missing:
            log.info(
                "%s of desk %s was never built: building it first", step.name, context.desk.name
            )
        build(context, step, options)
        require_checks_passed(context, [step])


def require_inputs_sound(context: DeskContext, step: Step[Any]) -> None:
    """Refuse to build on artefacts that are stale, or that Dagster would have stopped at.

    Raises:
        TollgateError: says which, and why.
    """
    for ancestor in step.ancestors:
        context.require_fresh(ancestor)
    require_checks_passed(context, step.ancestors)


def require_checks_passed(context: DeskContext, steps: Iterable[Step[Any]]) -> None:
    """Refuse steps whose blocking checks failed.

    Raises:
        TollgateError: names the first one, with what it found.
    """
    for step in steps:
        for check in verdicts(context, step):
            if check.is_blocking and not check.passed:
                raise TollgateError(
                    f"{step.name} of desk {context.desk.name} must pass {check.name}, was refused: "
                    f"{check.detail}"
                )


def verdicts(context: DeskContext, step: Step[Any], *, fresh: bool = False) -> list[Check]:
    """What the checks of a step's current artefact find; sealed beside it, computed once.

    Verdicts are computed again when the artefact, the settings that they depend on, or the code is
    another one; those that depend on the time of asking always are.

    Args:
        context: the desk.
        step: whose checks.
        fresh: compute them now, whatever is sealed.
    """
    if step.kept_in == "models":
        return step.judge(context, None)
    opened = context.open_artifact(step)
    opened.artifact.folder.verify()
    return [*_sealed_verdicts(context, step, opened, fresh), *step.judge_now(context, opened)]


def _sealed_verdicts(
    context: DeskContext, step: Step[Any], opened: Opened[Any], fresh: bool
) -> list[Check]:
    path = context.artifacts.verdicts_path(opened.artifact)
    basis = sha256_json(
        {
            "artifact": opened.identity,
            "settings": slice_settings(context.desk.resolved(), step.judged_by),
            "code": code_fingerprint(),
        }
    )
    if not fresh and path.exists():
        try:
            body = read_document(path)
        except TollgateError as error:
            log.warning("computing verdicts of %s again: %s", step.name, error)
        else:
            if body["basis"] == basis:
                return [Check.model_validate(each) for each in body["checks"]]
    checks = step.judge(context, opened)
    write_document(path, {"basis": basis, "checks": [c.model_dump(mode="json") for c in checks]})
    return checks
