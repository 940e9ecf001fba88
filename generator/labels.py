"""The `openfda` block of a drug entry: identifiers of labels and packages, made up, in the shape and size of real ones.

A block is a function of the drug and product alone, so the same drug always has the same one. It names one substance,
the drug itself: a decoder that takes the name from it finds the name it would find without.

As in 100 real reports: a trade name has few labels, a substance mostly a few dozen, the most common ones hundreds,
and openFDA finds nothing for a third of all names.
"""

from __future__ import annotations

import math
import random
import uuid
import zlib
from functools import lru_cache

import msgspec

__all__ = ["label_of"]

UNLABELLED_SHARE, TRADE_SHARE = 0.33, 0.33
"""Of names that are not known to be a substance: how many have no block, and how many one such as a trade name's."""
TRADE_LABELS = (1, 1, 1, 2)
MEDIAN_LABELS, SPREAD, MOST_LABELS = 25.0, 2.2, 500
"""Labels (set ids) of a substance are log-normal, more of them than in the 100 reports (16, 1.7), where the most common
remedies have most; of a trade name, any of `TRADE_LABELS`."""
LEAST_PACKAGED, PACKAGES_PER_PRODUCT = 3, 3


@lru_cache(maxsize=4096)
def label_of(drug: str, product: str, *, is_substance: bool) -> msgspec.Raw | None:
    """The block as JSON, under 1 KB for a trade name, up to some 75 KB for a substance; None for some drugs.

    `is_substance` says whether the drug's name is known to be one; it then has a block under any product name.
    """
    source = random.Random(zlib.crc32(f"{drug}/{product}".encode()))  # noqa: S311 - synthetic data, not secrets
    kind = 1.0 if is_substance else source.random()
    if kind < UNLABELLED_SHARE:
        return None
    if product != drug or kind < UNLABELLED_SHARE + TRADE_SHARE:
        labels = source.choice(TRADE_LABELS)
    else:
        labels = min(MOST_LABELS, 1 + int(source.lognormvariate(math.log(MEDIAN_LABELS), SPREAD)))
    makers = [f"LABELER {source.randrange(1_000, 9_999)}" for _ in range(max(1, labels // 2))]
    ndcs = [
        f"{source.randrange(10_000, 99_999):05d}-{source.randrange(100, 999)}"
        for _ in range(max(LEAST_PACKAGED, labels))
    ]
    block = {
        "application_number": [f"ANDA{source.randrange(60_000, 99_999):06d}" for _ in range(max(1, labels // 4))],
        "brand_name": [product],
        "generic_name": [drug],
        "manufacturer_name": makers,
        "product_ndc": ndcs,
        "product_type": ["HUMAN PRESCRIPTION DRUG"],
        "route": ["ORAL"],
        "substance_name": [drug],
        "rxcui": [str(source.randrange(100_000, 2_000_000)) for _ in range(max(1, labels // 4))],
        "spl_id": [_uuid(source) for _ in range(labels)],
        "spl_set_id": [_uuid(source) for _ in range(labels)],
        "package_ndc": [f"{ndc}-{package:02d}" for ndc in ndcs for package in range(1, PACKAGES_PER_PRODUCT + 1)],
        "nui": [f"N{source.randrange(10**10):010d}" for _ in range(2)],
        "pharm_class_moa": [f"Mechanism {source.randrange(1_000)} Agents [MoA]"],
        "pharm_class_epc": [f"Established Class {source.randrange(1_000)} [EPC]"],
        "unii": [f"{source.randrange(16**10):010X}"],
    }
    return msgspec.Raw(msgspec.json.encode(block))


def _uuid(source: random.Random) -> str:
    return str(uuid.UUID(int=source.getrandbits(128), version=4))
