# SPDX-License-Identifier: GPL-3.0-or-later
"""Lithuania in sixty tiles as the office would answer it: code, name, column, row; and where people were reached."""

from __future__ import annotations

PLACES = [
    *[("AKM", "Akmenės rajonas", 3, 0), ("JON", "Joniškio rajonas", 4, 0), ("PAK", "Pakruojo rajonas", 5, 0)],
    *[("BIR", "Biržų rajonas", 6, 0), ("ROK", "Rokiškio rajonas", 7, 0), ("MAZ", "Mažeikių rajonas", 2, 0)],
    *[("SKU", "Skuodo rajonas", 1, 1), ("TEL", "Telšių rajonas", 2, 1), ("SIR", "Šiaulių rajonas", 3, 1)],
    *[("SIA", "Šiaulių miestas", 4, 1), ("PSR", "Pasvalio rajonas", 5, 1), ("KUP", "Kupiškio rajonas", 6, 1)],
    *[("ZAR", "Zarasų rajonas", 7, 1), ("VIS", "Visagino savivaldybė", 8, 1), ("PAL", "Palangos miestas", 0, 2)],
    *[("KRE", "Kretingos rajonas", 1, 2), ("PLU", "Plungės rajonas", 2, 2), ("KEL", "Kelmės rajonas", 3, 2)],
    *[("RAD", "Radviliškio rajonas", 4, 2), ("PNM", "Panevėžio miestas", 5, 2), ("PNR", "Panevėžio rajonas", 6, 2)],
    *[("UTE", "Utenos rajonas", 7, 2), ("IGN", "Ignalinos rajonas", 8, 2), ("KLM", "Klaipėdos miestas", 0, 3)],
    *[("KLR", "Klaipėdos rajonas", 1, 3), ("RIE", "Rietavo savivaldybė", 2, 3), ("SIL", "Šilalės rajonas", 3, 3)],
    *[("RAS", "Raseinių rajonas", 4, 3), ("KED", "Kėdainių rajonas", 5, 3), ("UKM", "Ukmergės rajonas", 6, 3)],
    *[("ANY", "Anykščių rajonas", 7, 3), ("MOL", "Molėtų rajonas", 8, 3), ("NER", "Neringos savivaldybė", 0, 4)],
    *[("SLT", "Šilutės rajonas", 1, 4), ("PAG", "Pagėgių savivaldybė", 2, 4), ("TAU", "Tauragės rajonas", 3, 4)],
    *[("JUR", "Jurbarko rajonas", 4, 4), ("KNR", "Kauno rajonas", 5, 4), ("JNV", "Jonavos rajonas", 6, 4)],
    *[("SRV", "Širvintų rajonas", 7, 4), ("SVE", "Švenčionių rajonas", 8, 4), ("SAK", "Šakių rajonas", 4, 5)],
    *[("KNM", "Kauno miestas", 5, 5), ("KAI", "Kaišiadorių rajonas", 6, 5), ("ELE", "Elektrėnų savivaldybė", 7, 5)],
    *[("VLR", "Vilniaus rajonas", 8, 5), ("VLM", "Vilniaus miestas", 9, 5), ("VLK", "Vilkaviškio rajonas", 4, 6)],
    *[("KZR", "Kazlų Rūdos savivaldybė", 5, 6), ("PRI", "Prienų rajonas", 6, 6), ("TRA", "Trakų rajonas", 7, 6)],
    *[("SAL", "Šalčininkų rajonas", 8, 6), ("KLV", "Kalvarijos savivaldybė", 4, 7), ("MAR", "Marijampolės sav.", 5, 7)],
    *[("BST", "Birštono savivaldybė", 6, 7), ("ALR", "Alytaus rajonas", 7, 7), ("VAR", "Varėnos rajonas", 8, 7)],
    *[("LAZ", "Lazdijų rajonas", 6, 8), ("ALM", "Alytaus miestas", 7, 8), ("DRU", "Druskininkų savivaldybė", 8, 8)],
]
VISITED = {
    "KRE": 612,
    "PNM": 288,
    "KNM": 455,
    "VLM": 301,
    "SIA": 190,
    "UTE": 77,
    "TEL": 54,
    "DRU": 48,
    "MAR": 131,
    "VIS": 22,
}
