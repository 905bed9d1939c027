"""Public face: what a verifier needs to ask a judge model."""

from nemo_gym.models.judge.config import JudgeConfig
from nemo_gym.models.judge.judge import Judge
from nemo_gym.models.judge.judgement import JudgeEvaluation, Judgement, JudgeUsage, final_text
from nemo_gym.models.judge.verdicts import Parser, Verdict, json_parser, label_parser, score_parser

__all__ = [
    "Judge",
    "JudgeConfig",
    "JudgeEvaluation",
    "JudgeUsage",
    "Judgement",
    "Parser",
    "Verdict",
    "final_text",
    "json_parser",
    "label_parser",
    "score_parser",
]
