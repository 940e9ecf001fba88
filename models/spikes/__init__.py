"""When is the number of cases of one drug with one reaction, in one window, a spike?

Pure arithmetic on NumPy arrays: counts in, verdicts out. No clock, no storage, no randomness; the verdict on a
candidate depends on its own numbers and the settings alone (`close_verdict` also on its window's other candidates).
"""

from models.spikes.background import Background
from models.spikes.counts import CandidateCounts
from models.spikes.judgement import Judgement, confirm, evaluate, judge
from models.spikes.rules import Evaluation, zscore
from models.spikes.settings import DetectionRules, RuleBook, Season, SpikeRules
from models.spikes.verdict import close_verdict, open_verdict

__all__ = [
    "Background",
    "CandidateCounts",
    "DetectionRules",
    "Evaluation",
    "Judgement",
    "RuleBook",
    "Season",
    "SpikeRules",
    "close_verdict",
    "confirm",
    "evaluate",
    "judge",
    "open_verdict",
    "zscore",
]
