# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of what the reports speak of, in Lithuanian and English."""

from __future__ import annotations

from typing import Literal

Language = Literal["lt", "en"]
Words = dict[Language, str]

ROLES: dict[str, Words] = {
    "pupil": {"lt": "Mokiniai", "en": "Pupils"},
    "teacher": {"lt": "Mokytojai", "en": "Teachers"},
    "vet_trainer": {"lt": "Profesijos mokytojai", "en": "VET trainers"},
    "trainee": {"lt": "Praktikantai", "en": "Trainees"},
}
SCHOOL_TYPES: dict[str, Words] = {
    "primary": {"lt": "Pradinė mokykla", "en": "Primary school"},
    "progymnasium": {"lt": "Progimnazija", "en": "Progymnasium"},
    "basic": {"lt": "Pagrindinė mokykla", "en": "Basic school"},
    "gymnasium": {"lt": "Gimnazija", "en": "Gymnasium"},
    "vocational": {"lt": "Profesinio mokymo įstaiga", "en": "Vocational school"},
    "special": {"lt": "Specialioji mokykla", "en": "Special school"},
    "university": {"lt": "Aukštoji mokykla", "en": "University"},
    "other": {"lt": "Kita", "en": "Other"},
}
LANGUAGES: dict[str, Words] = {
    "lt": {"lt": "Lietuvių", "en": "Lithuanian"},
    "en": {"lt": "Anglų", "en": "English"},
    "lv": {"lt": "Latvių", "en": "Latvian"},
    "et": {"lt": "Estų", "en": "Estonian"},
    "de": {"lt": "Vokiečių", "en": "German"},
}
NOT_KNOWN: Words = {"lt": "Nežinoma", "en": "Not known"}

_MONTHS_LT = (
    *("sausis", "vasaris", "kovas", "balandis", "gegužė", "birželis"),
    *("liepa", "rugpjūtis", "rugsėjis", "spalis", "lapkritis", "gruodis"),
)
_MONTHS_EN = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def month(key: str) -> Words:
    """Return the name of a month given as YYYY-MM."""
    year, _, number = key.partition("-")
    if not number.isdigit() or not 1 <= int(number) <= 12:
        return {"lt": key, "en": key}
    return {"lt": f"{year} m. {_MONTHS_LT[int(number) - 1]}", "en": f"{_MONTHS_EN[int(number) - 1]} {year}"}
