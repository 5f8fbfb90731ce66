"""Studies: one file each, values only."""

from nas.study import Study
from studies import quickstart

STUDIES: dict[str, Study] = {study.name: study for study in (quickstart.STUDY,)}
