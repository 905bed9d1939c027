"""Null policies: answers without any thought never get the maximum."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean

from nemo_gym.environment_checks.fitting import fitting
from nemo_gym.environment_checks.report import CheckResult, Finding
from nemo_gym.environment_checks.subject import Subject, play
from nemo_gym.environment_checks.task_texts import leaves_of, prompt_of
from nemo_gym.environment_checks.verifier_words import verifier_words
from nemo_gym.testing.in_process import InProcess
from nemo_gym.testing.policy import Answer, Policy, PolicyStep
from nemo_gym.testing.words import Item, call
from nemo_gym.wire.json_object import JsonObject

CHECK = "null policies"
_VERY_LONG = "The answer is somewhere in here. " * 6_000
_LETTERS = list("ABCDEFGHIJ")
_MAX_OPTIONS = 60


async def check_null_policies(subject: Subject) -> CheckResult:
    """Roll every task out with every null policy, in each of its variants; the best of those counts."""
    best: dict[str, list[float]] = defaultdict(list)
    cheated: dict[str, list[int]] = defaultdict(list)
    broken: dict[str, list[tuple[int, str]]] = defaultdict(list)
    async with subject.start() as env:
        for index, task in enumerate(subject.tasks):
            for name, variants in (await null_policies(env, subject, task)).items():
                outcomes = [await play(env, policy, task) for policy in variants]
                rewards = [outcome.reward for outcome in outcomes if outcome.reward is not None]
                broken[name] += [(index, str(outcome.error)) for outcome in outcomes if outcome.reward is None]
                best[name].append(max(rewards, default=0.0))
                if best[name][-1] >= subject.max_reward:
                    cheated[name].append(index)
    findings = [
        Finding("cheatable_verifier", f"the null policy '{name}' gets the maximum", tuple(tasks))
        for name, tasks in cheated.items()
    ]
    for name, errors in broken.items():
        if errors:
            tasks = tuple(dict.fromkeys(index for index, _ in errors))
            findings.append(Finding("failed_rollout", f"the null policy '{name}' breaks it: {errors[0][1]}", tasks))
    rows = [
        {"null policy": name, "mean reward": fmean(rewards), "best": max(rewards), "maximum on": len(cheated[name])}
        for name, rewards in best.items()
    ]
    return CheckResult(CHECK, f"{len(rows)} policies on {len(subject.tasks)} tasks", findings, rows)


async def null_policies(env: InProcess, subject: Subject, task: JsonObject) -> dict[str, list[Policy]]:
    """Return every null policy by name, with its variants for one task."""
    tools = await env.tools()
    words = verifier_words(env)
    options = _options(subject.tasks, task)
    prompt = prompt_of(task)
    policies: dict[str, list[Policy]] = {
        "empty": [_always("")],
        "I don't know": [_always("I don't know.")],
        "echo of the prompt": [_always(prompt), _always(prompt.splitlines()[-1] if prompt else "")],
        "the verifier's own words": [_always("\n".join(words)), *map(_always, words)],
        "every option at once": _every_option(options, tools),
        "very long text": [_always(_VERY_LONG)],
    }
    if tools:
        policies["echo of a tool's result"] = [_echo(tool) for tool in tools]
    return policies


def _always(*answers: Answer) -> Policy:
    """Return the policy that gives these answers, and the last of them to whatever comes then."""
    return lambda step: answers[min(step.index, len(answers) - 1)]


def _call(tool: JsonObject, text: str) -> Item:
    return call(tool["name"], None, **fitting(tool.get("parameters") or {}, text))


def _echo(tool: JsonObject) -> Policy:
    def policy(step: PolicyStep) -> Answer:
        if step.index:
            return "\n".join(step.results)
        return _call(tool, "x")

    return policy


def _every_option(options: list[str], tools: list[JsonObject]) -> list[Policy]:
    boxed = ", ".join(f"\\boxed{{{option}}}" for option in options)
    texts = [", ".join(options), "\n".join(options), boxed, "The answer is " + " or ".join(options)]
    called = [_always([_call(tool, option) for option in options], "Done.") for tool in tools]
    return [*map(_always, texts), *called]


def _options(tasks: Iterable[JsonObject], own: JsonObject) -> list[str]:
    """Return the values of all tasks' fields, this task's in the middle: a verifier that reads the first or the last
    of several answers isn't cheated by chance."""
    mine = list(dict.fromkeys(leaves_of(own)))
    others = [one for one in dict.fromkeys(_of_all(tasks)) if one not in mine]
    letters = [letter for letter in _LETTERS if letter not in mine]
    rest = [*others[:_MAX_OPTIONS], *letters]
    half = max(1, len(others[:_MAX_OPTIONS]) // 2)
    return [*rest[:half], *mine, *rest[half:]]


def _of_all(tasks: Iterable[JsonObject]) -> Iterable[str]:
    for task in tasks:
        yield from leaves_of(task)
