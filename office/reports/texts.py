# SPDX-License-Identifier: GPL-3.0-or-later
"""The sentences and headings of the evidence report, in Lithuanian and English."""

from __future__ import annotations

from office.reports.words import Language, Words

TEXTS: dict[str, Words] = {
    "title": {"lt": "Įrodymų ataskaita", "en": "Evidence report"},
    "subtitle": {
        "lt": "Mobilioji inžinerijos laboratorija InfoMobil",
        "en": "InfoMobil mobile engineering laboratory",
    },
    "made": {"lt": "Sudaryta {time} UTC", "en": "Made {time} UTC"},
    "all_time": {"lt": "Visas laikotarpis", "en": "All time"},
    "between": {"lt": "Apsilankymai nuo {first} iki {last}", "en": "Visits from {first} to {last}"},
    "since": {"lt": "Apsilankymai nuo {first}", "en": "Visits from {first}"},
    "until": {"lt": "Apsilankymai iki {last}", "en": "Visits until {last}"},
    "of_lab": {"lt": "tik laboratorija {lab}", "en": "lab {lab} only"},
    "hero": {"lt": "iš {target} mokinių ir mokytojų", "en": "of {target} pupils and teachers"},
    "hero_waiting": {
        "lt": "Iš jų {n} laboratorijos jau suskaičiavo, bet jų faktai dar negauti.",
        "en": "Of these, {n} were counted by the vans whose facts have not come yet.",
    },
    "hero_forecast": {
        "lt": "Tokiu tempu tikslas bus pasiektas {mid} (nuo {low} iki {high}).",
        "en": "At this pace the target is reached on {mid} (from {low} to {high}).",
    },
    "hero_by_due": {
        "lt": "Iki termino, {due}, tikėtina {mid} (nuo {low} iki {high}).",
        "en": "By the due day, {due}, {mid} are to be expected (from {low} to {high}).",
    },
    "page": {"lt": "{n} puslapis iš {all}", "en": "Page {n} of {all}"},
    "none": {"lt": "Nėra.", "en": "None."},
    "more": {"lt": "Parodyta {shown} iš {total}.", "en": "{shown} of {total} are shown."},
    "yes": {"lt": "taip", "en": "yes"},
    "no": {"lt": "ne", "en": "no"},
    "open": {"lt": "dar ne laikas", "en": "not yet due"},
    "indicators": {"lt": "Rodikliai", "en": "Indicators"},
    "milestones": {"lt": "Tarpiniai tikslai", "en": "Milestones"},
    "statements": {"lt": "Pareikšti rodikliai", "en": "Figures that were stated"},
    "indicator": {"lt": "Rodiklis", "en": "Indicator"},
    "value": {"lt": "Pasiekta", "en": "Reached"},
    "target": {"lt": "Tikslas", "en": "Target"},
    "share": {"lt": "Dalis", "en": "Share"},
    "due": {"lt": "Terminas", "en": "Due"},
    "forecast": {"lt": "Prognozė", "en": "Forecast"},
    "known_by": {"lt": "Kaip žinoma", "en": "Known by"},
    "counted": {"lt": "suskaičiuota", "en": "counted"},
    "stated": {"lt": "pareikšta", "en": "stated"},
    "not_stated": {"lt": "nepareikšta", "en": "not stated"},
    "date": {"lt": "Diena", "en": "Day"},
    "then": {"lt": "Tą dieną", "en": "On that day"},
    "met": {"lt": "Įvykdyta", "en": "Met"},
    "source": {"lt": "Šaltinis", "en": "Source"},
    "breakdowns": {"lt": "Kur ir kas", "en": "Where and who"},
    "map": {"lt": "Pasiekti mokiniai ir mokytojai pagal savivaldybę", "en": "Pupils and teachers by municipality"},
    "map_note": {
        "lt": "Kiekvienas langelis – savivaldybė, išdėstyta panašiai kaip šalyje. Tuščiose dar nebūta.",
        "en": "Each tile is a municipality, arranged much like the country. In an empty one nobody was reached yet.",
    },
    "map_more": {"lt": "Dar {people} kitur: {names}.", "en": "Another {people} elsewhere: {names}."},
    "municipality": {"lt": "Savivaldybė", "en": "Municipality"},
    "school_type": {"lt": "Mokyklos tipas", "en": "School type"},
    "month": {"lt": "Mėnuo", "en": "Month"},
    "role": {"lt": "Kas", "en": "Role"},
    "lab": {"lt": "Laboratorija", "en": "Lab"},
    "language": {"lt": "Apsilankymo kalba", "en": "Language of the visit"},
    "total": {"lt": "Iš viso", "en": "Total"},
    "visits": {"lt": "Apsilankymai", "en": "Visits"},
    "sessions": {"lt": "Kiosko seansai", "en": "Kiosk sessions"},
    "interest": {"lt": "Prieš ir po", "en": "Before and after"},
    "interest_note": {
        "lt": "Atsakymai nuo 1 (ne) iki 5 (taip), to paties žmogaus prieš apsilankymą ir po jo. Įtraukti tik baigti"
        " apsilankymai, kuriuose tokių porų yra bent {smallest}; kitų grupių neparodyta ir jų dydis nesakomas.",
        "en": "Answers from 1 (no) to 5 (yes), of the same person before and after the visit. Only closed visits with"
        " at least {smallest} such pairs take part; other groups are not shown, nor is their size.",
    },
    "question": {"lt": "Klausimas", "en": "Question"},
    "band": {"lt": "Amžius", "en": "Age"},
    "pairs": {"lt": "Poros", "en": "Pairs"},
    "before": {"lt": "Prieš", "en": "Before"},
    "after": {"lt": "Po", "en": "After"},
    "difference": {"lt": "Skirtumas", "en": "Difference"},
    "interval": {"lt": "95 % intervalas", "en": "95 % interval"},
    "hidden": {"lt": "nerodoma", "en": "not shown"},
    "hours": {"lt": "Staklių darbas", "en": "Machine hours"},
    "machine": {"lt": "Staklės", "en": "Machine"},
    "finished": {"lt": "Baigti darbai", "en": "Jobs finished"},
    "other_jobs": {"lt": "Kiti darbai", "en": "Other jobs"},
    "hours_done": {"lt": "Valandos", "en": "Hours"},
    "parts": {"lt": "Gaminiai pagal stakles", "en": "Parts by its counter"},
    "corrections": {"lt": "Pataisos", "en": "Corrections"},
    "corrections_note": {
        "lt": "Skaičius niekada neperrašomas: pataisa yra naujas faktas. „Pirma“ yra grupės suma be pataisų, „Dabar“"
        " – su"
        " visomis.",
        "en": "No number is ever overwritten: a correction is a new fact. First is the sum of the group without"
        " corrections, now is with all of them.",
    },
    "school": {"lt": "Mokykla", "en": "School"},
    "group": {"lt": "Grupė", "en": "Group"},
    "first": {"lt": "Pirma", "en": "First"},
    "change": {"lt": "Pataisa", "en": "Change"},
    "now": {"lt": "Dabar", "en": "Now"},
    "by": {"lt": "Kas taisė", "en": "By"},
    "by_operator": {"lt": "operatorius", "en": "operator"},
    "by_office": {"lt": "biuras", "en": "office"},
    "reason": {"lt": "Priežastis", "en": "Reason"},
    "quality": {"lt": "Duomenų kokybė", "en": "Quality of the data"},
    "what": {"lt": "Kas", "en": "What"},
    "number": {"lt": "Skaičius", "en": "Number"},
    "q_events": {"lt": "Faktai, kuriuos turi biuras", "en": "Facts in the ledger"},
    "q_duplicates": {
        "lt": "Dar kartą atėję paketai, nepriskaičiuoti",
        "en": "Batches that came again and were not added",
    },
    "q_missing": {"lt": "Faktai, kurių trūksta", "en": "Facts that are missing"},
    "q_explained": {
        "lt": "Faktai, kurių nebus, su įrašyta priežastimi",
        "en": "Facts that never come, with the reason",
    },
    "q_invalid": {"lt": "Nesuprasti faktai, nepriskaičiuoti", "en": "Facts not understood, and not added up"},
    "q_quarantined": {"lt": "Atidėti pranešimai", "en": "Messages set aside"},
    "q_alarms": {"lt": "Grandinių pavojaus ženklai", "en": "Alarms of the chains"},
    "q_doubts": {"lt": "Abejonės dėl laboratorijų", "en": "Doubts about labs"},
    "q_corrections": {"lt": "Pataisos", "en": "Corrections"},
    "q_recount": {"lt": "Skirtumai perskaičiavus {at}", "en": "Differences at the recount of {at}"},
    "q_no_recount": {"lt": "Dar neperskaičiuota", "en": "Not recounted yet"},
    "unsynced": {"lt": "Laboratorijos, dar ne viską atsiuntusios", "en": "Labs that have not sent everything"},
    "waiting": {"lt": "Laukia faktų", "en": "Facts waiting"},
    "last_heard": {"lt": "Girdėta", "en": "Last heard"},
    "gaps": {"lt": "Tarpai", "en": "Gaps"},
    "stream": {"lt": "Srautas", "en": "Stream"},
    "epoch": {"lt": "Epocha", "en": "Epoch"},
    "from": {"lt": "Nuo", "en": "From"},
    "to": {"lt": "Iki", "en": "To"},
    "why": {"lt": "Kodėl", "en": "Why"},
    "why_missing": {"lt": "dar negauta", "en": "not received yet"},
    "why_rolled_up": {"lt": "suvesta į santrauką", "en": "rolled up"},
    "why_quota": {"lt": "diske nebuvo vietos", "en": "no room on the disk"},
    "why_lost": {"lt": "diskas prarado", "en": "lost by the disk"},
    "doubts": {"lt": "Abejonės", "en": "Doubts"},
    "kind": {"lt": "Rūšis", "en": "Kind"},
    "text": {"lt": "Kas pastebėta", "en": "What was seen"},
    "method": {"lt": "Kaip suskaičiuota", "en": "How it was counted"},
    "check": {"lt": "Kaip patikrinti", "en": "How to check"},
    "digest": {"lt": "Žurnalo santrauka", "en": "Digest of the ledger"},
    "events": {"lt": "Faktų", "en": "Facts"},
    "people": {"lt": "Mokinių ir mokytojų žurnale", "en": "Pupils and teachers in the ledger"},
    "audit_head": {"lt": "Audito galvutė", "en": "Head of the audit"},
    "audit_rows": {"lt": "Audito eilučių", "en": "Rows of the audit"},
    "plan": {"lt": "Rodiklių failo SHA-256", "en": "SHA-256 of the file of indicators"},
    "sealed": {"lt": "Santrauka sudaryta", "en": "Digest made"},
    "said": {"lt": "Reikšmė", "en": "Value"},
    "software": {"lt": "Programa", "en": "Software"},
    "q_interest": {"lt": "Ar įdomu", "en": "Interest"},
    "q_confidence": {"lt": "Ar pavyktų", "en": "Confidence"},
    "q_career": {"lt": "Ar norėtų dirbti", "en": "Career"},
    "b_under_11": {"lt": "iki 11 metų", "en": "under 11"},
    "b_11_12": {"lt": "11–12 metų", "en": "11 to 12"},
    "b_13_up": {"lt": "nuo 13 metų", "en": "13 and older"},
}

METHOD: dict[Language, tuple[tuple[str, str], ...]] = {
    "lt": (
        (
            "Žmonės",
            "Kiekvieną grupę suskaičiuoja operatorius ir skaičių įveda laboratorijoje. Seansai prie kioskų skaičiuojami"
            " atskirai: seansas nėra žmogus. Pasiektais laikomi mokiniai ir mokytojai.",
        ),
        (
            "Lygiai vieną kartą",
            "Kiekvienas faktas turi laboratoriją, srautą, epochą ir eilės numerį be tarpų, suteiktą toje pačioje"
            " transakcijoje, kurioje jis įrašytas. Biuras jį prideda vieną kartą, kad ir kiek kartų jis ateitų, ir"
            " kasnakt viską perskaičiuoja iš naujo.",
        ),
        (
            "Diena ir mokykla",
            "Jas nurodo operatorius, atidarydamas apsilankymą, todėl jos nepriklauso nuo kompiuterio laikrodžio. Kas"
            " nepriklauso jokiam apsilankymui, neturi dienos ir į laikotarpio skaičius neįeina.",
        ),
        (
            "Pareikšti rodikliai",
            "Ko laboratorija negali suskaičiuoti, įrašyta rodiklių faile su diena ir šaltiniu. Su suskaičiuotais"
            " skaičiais tai nesudedama. Failo SHA-256 nurodytas šioje ataskaitoje.",
        ),
        (
            "Prognozė",
            "Tempas yra paskutinių metų žmonės per kalendorinę dieną. Apsilankymai laikomi sudėtiniu Puasono procesu;"
            " rėžiai apima keturis atvejus iš penkių, jei ateitis bus panaši į praeitį. Atostogos ir naujos"
            " laboratorijos neįvertintos.",
        ),
        (
            "Mažos grupės",
            "Kiekvienas apklausos skaičius sudarytas iš ištisų apsilankymų, kurių kiekviename yra bent penkios atsakymų"
            " poros. Todėl vieno žmogaus atsakymo negalima sužinoti nei tiesiogiai, nei atimant. Intervalas yra"
            " Stjudento"
            " t vidutiniam porų skirtumui; kai apsilankymų bent penki, jis sudarytas iš apsilankymų sumų, jei taip"
            " platesnis.",
        ),
        ("Asmens duomenys", "Jų nėra: nei vardų, nei atvaizdų, nei gimimo datų."),
    ),
    "en": (
        (
            "People",
            "The operator counts each group and enters the number in the van. Sessions at the kiosks are counted apart:"
            " a session is not a person. Reached are pupils and teachers.",
        ),
        (
            "Exactly once",
            "Each fact has a lab, a stream, an epoch and a gapless number that was given in the very transaction that"
            " stored it. The office adds it up once, however often it comes, and counts everything again each night.",
        ),
        (
            "Day and school",
            "The operator says them when a visit is opened, so they do not hang on a computer's clock. What belongs"
            " to no"
            " visit has no day, and is in no figure of a period.",
        ),
        (
            "Stated figures",
            "What no van can count stands in the file of indicators with its day and source. It is never added to what"
            " was counted. This report names the SHA-256 of that file.",
        ),
        (
            "Forecast",
            "The pace is that of the last year in people per calendar day. Visits are taken as a compound Poisson"
            " process;"
            " the band holds four of five outcomes if the time to come is like the time past. Holidays and further vans"
            " are not foreseen.",
        ),
        (
            "Small groups",
            "Each figure of the survey is made of whole visits, of which each has at least five pairs of answers. So"
            " the"
            " answer of one person cannot be found out, neither directly nor by subtraction. The interval is"
            " Student's t"
            " of the mean difference of pairs; from five visits on it is made of the visits' sums where that is wider.",
        ),
        ("Personal data", "There are none: no names, no pictures, no dates of birth."),
    ),
}

CHECK: dict[Language, tuple[str, ...]] = {
    "lt": (
        "Žurnalo santrauka yra visų faktų grandinių SHA-256. Biuro kompiuteryje komanda „infomobil-office verify"
        " SANTRAUKA"
        " --config office.toml“ iš naujo sudeda tuometinius faktus ir pasako, ar jie tie patys ir ar iš jų išeina tas"
        " pats"
        " žmonių skaičius.",
        "Audito galvutė yra paskutinės audito eilutės SHA-256; kiekviena eilutė saugo ankstesnės SHA-256. Komanda"
        " „infomobil-office recount --config office.toml“ patikrina visą grandinę, visus paketus ir visus skaičius.",
        "Kas turi šią ataskaitą popieriuje, vėliau pamatys, jei kas nors žurnale buvo pakeista, pridėta ar išimta.",
    ),
    "en": (
        "The digest of the ledger is the SHA-256 over the chains of all facts. On the office's computer, the command"
        " “infomobil-office verify DIGEST --config office.toml” adds up the facts of then anew and says whether they"
        " are"
        " the same and come to the same number of people.",
        "The head of the audit is the SHA-256 of its last row; each row holds that of the row before it. The command"
        " “infomobil-office recount --config office.toml” checks the whole chain, all batches and all figures.",
        "Whoever holds this report on paper will see later if anything in the ledger was altered, added or taken out.",
    ),
}
