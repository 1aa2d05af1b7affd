"""What `sonora_find_passages` in Supabase judges passages by.

It reckons with the likeness as the model gives it, not without what all texts have in common, so it
has weights of its own. They were fitted to the same questions, over the embedded index.
"""

WEIGHTS: dict[str, float] = {
    "meaning": 2.02,
    "mean_meaning": 0.29,
    "words": 0.25,
    "heading_words": -0.18,
    "bm25": 1.49,
    "both": 1.25,
    "length": 0.98,
}
"""How much each number counts for a passage."""

FIT_WEIGHTS: dict[str, float] = {
    "bias": -5.27,
    "best": 0.65,
    "similarity": 2.33,
    "standing_out": -1.09,
    "words": 0.36,
    "known": 1.03,
    "length": 1.08,
}
"""How much each number counts for whether anything fits."""

SCORE_MIDDLE = 5.0
"""The score at which a passage is as likely as not to be the right one."""
