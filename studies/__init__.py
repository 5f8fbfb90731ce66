"""Studies to search, one file each, as values only; `STUDIES` has them by name."""

from nas.study.study import Study
from studies import compressed, portable, portable_today, quickstart, snapdragon

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        quickstart.STUDY,
        compressed.STUDY,
        portable.STUDY,
        portable.TRAINED,
        portable_today.STUDY,
        portable_today.TRAINED,
        snapdragon.STUDY,
    )
}
