"""Oracle: the solution of each task, played by a scripted policy, is worth the maximum."""

from nemo_gym.environment_checks.report import CheckResult, Finding
from nemo_gym.environment_checks.subject import SOLUTION, Subject, play, solutions

CHECK = "oracle"


async def check_oracle(subject: Subject) -> CheckResult:
    """Play every solution."""
    findings: list[Finding] = []
    async with subject.start() as env:
        steps = await solutions(env, subject.tasks)
        for index, (task, solution) in enumerate(zip(subject.tasks, steps, strict=True)):
            if solution is None:
                continue
            outcome = await play(env, solution, task)
            if outcome.reward is None:
                findings.append(Finding("failed_rollout", f"the solution can't be played: {outcome.error}", (index,)))
            elif outcome.reward < subject.max_reward:
                said = f"the solution is worth {outcome}, not {subject.max_reward:g}"
                findings.append(Finding("wrong_oracle", said, (index,)))
            elif outcome.reward > subject.max_reward:
                said = f"the solution is worth {outcome}, more than the maximum of {subject.max_reward:g}"
                findings.append(Finding("reward_above_maximum", said, (index,)))
    missing = tuple(index for index, solution in enumerate(steps) if solution is None)
    if missing or not steps:
        what = f"no solution: add a field `{SOLUTION}` to the task, or a method `{SOLUTION}` to the environment"
        findings.append(Finding("no_solution", what, missing))
    solved = len(subject.tasks) - len({index for finding in findings for index in finding.tasks})
    return CheckResult(CHECK, f"{solved} of {len(subject.tasks)} tasks solved by their solution", findings)
