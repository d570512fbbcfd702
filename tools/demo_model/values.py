"""Invented values: names, amounts, dates, codes. Most have never been seen by anyone before."""

from __future__ import annotations

from random import Random


def _words(text: str) -> list[str]:
    return text.split()


def _phrases(text: str) -> list[str]:
    return text.split("|")


_ONSETS = _words("b br c ch d dr f fl g gr h j k kl l m n p pr r s sch sh st t th tr v w z")
_VOWELS = _words("a e i o u a e i o ai au ei ie oo")
_CODAS = _phrases("n|r|l|s|t|m|ck|nd|rt|ll|x|ng|nn|sk|th||||||")
_FIRST = _words(
    "Anna Ben Clara David Emma Felix Greta Hugo Ida Jonas Karin Leo Maria Nils Olga Paul Rosa "
    "Stefan Tina Viktor Aisha Bruno Chen Dilek Elias Farid Ines Jamal Keiko Luca Mei Noor Omar "
    "Priya Raj Sofia Tomas Yusuf Zoe Helen Peter Ruth Simon Laura Martin Julia Oskar Nadia"
)
_LAST = _words(
    "Keller Brandt Novak Silva Haas Moreau Larsen Costa Weber Lindqvist Okafor Tanaka Rossi Kaya "
    "Meyer Duarte Sato Fischer Petrov Vogel Jensen Marino Adler Nguyen Schulz Bauer Romero Berg"
)
_COMPANY_ENDS = _phrases(
    "Ltd|GmbH|Inc|LLC|AG|Group|Partners|Systems|Logistics|Foods|Energy|Labs|& Co"
)
_TOWNS = _words(
    "Berlin Oslo Lyon Porto Vienna Prague Zurich Madrid Dublin Hamburg Leeds Milan Ghent Turku "
    "Boston Denver Toronto Osaka Seoul Lisbon Krakow Basel Bergen Aarhus Utrecht Graz"
)
_COUNTRIES = _phrases(
    "Germany|France|Spain|Norway|Austria|Ireland|Switzerland|Italy|Poland|Japan|Canada|"
    "the Netherlands|England and Wales|the State of New York|Sweden|Denmark|Portugal|Belgium"
)
_MONTHS = _words(
    "January February March April May June July August September October November December"
)
_ROLES = _phrases(
    "head of sales|accountant|project manager|lawyer|engineer|head of purchasing|nurse|driver|"
    "data analyst|receptionist|team leader|electrician|designer|quality manager|technician"
)
_REASONS = _phrases(
    "a strike at the port|missing spare parts|heavy snow|a broken pump|a lack of staff|"
    "a fire in the warehouse|a change of plans|late permits|a software fault|high water|"
    "a supplier's bankruptcy|a missing signature|a power cut|road works|an accident at the plant"
)
_TASKS = _phrases(
    "call the supplier|write the report|book the hotel|check the figures|prepare the contract|"
    "order new chairs|update the website|talk to the bank|send the samples|repair the pump|"
    "invite the guests|collect the offers|test the new machine|translate the manual|"
    "train the new staff|clean the store|compare the prices|draw up a plan"
)
_MATERIALS = _phrases(
    "steel|aluminium|oak|glass|plastic|brass|copper|concrete|carbon fibre|pine|zinc"
)
_COLOURS = _phrases(
    "white|light grey|dark blue|green|yellow|red|beige|pale blue|orange|black|cream"
)
_WORDS = {
    "adjective": _words(
        "good useful clear new old simple difficult important short long quiet careful ready late "
        "complete open strong small pleasant usual"
    ),
    "thing": _phrases(
        "plan|draft|new building|old system|schedule|list of parts|website|garden|canteen|first "
        "version|test|training|car park|roof|archive|brochure|delivery note|annual report|"
        "machine hall|office|printer|summary|proposal|strategy|survey|market|catalogue|agenda|"
        "contract|budget|invoice|warranty|meeting|project|order|rent|insurance|salary|deposit"
    ),
    "act": _words("checked sent finished moved discussed signed changed accepted improved stored"),
}
_FILES = _words(
    "contract agreement report minutes mail letter invoice offer lease policy handbook annex "
    "protocol summary order memo notes plan statement terms"
)
_ENDS = _words("pdf pdf pdf docx txt md eml")


def invented(random: Random, parts: int = 2) -> str:
    """Make a name of a few syllables."""
    pieces = [
        random.choice(_ONSETS) + random.choice(_VOWELS) + random.choice(_CODAS)
        for _ in range(parts)
    ]
    return "".join(pieces).capitalize()


def company(random: Random) -> str:
    """Make a company's name."""
    base = invented(random, random.choice((1, 2, 2, 2, 3)))
    if random.random() < 0.2:
        base += f" {invented(random, 2)}"
    return f"{base} {random.choice(_COMPANY_ENDS)}"


def person(random: Random) -> str:
    """Make a first and a last name."""
    first = random.choice(_FIRST) if random.random() < 0.7 else invented(random, 2)
    last = random.choice(_LAST) if random.random() < 0.4 else invented(random, 2)
    return f"{first} {last}"


def town(random: Random) -> str:
    """Make a town's name."""
    if random.random() < 0.5:
        return random.choice(_TOWNS)
    return invented(random, 2) + random.choice(("", "burg", "ton", "stad", "ville", "dorf"))


def count(random: Random) -> str:
    """Make a number."""
    return f"{random.randint(2, 10 ** random.randint(1, 5)):,}"


def amount(random: Random) -> str:
    """Make a sum of money."""
    number = random.randint(1, 999) * 10 ** random.randint(0, 4)
    number += random.choice((0, 0, random.randint(0, 99)))
    text = f"{number:,}" + random.choice(("", "", "", f".{random.randint(0, 99):02}"))
    if random.random() < 0.12:
        text = f"{random.randint(1, 99)}.{random.randint(1, 9)} million"
    form = random.choice(("EUR {}", "EUR {}", "{} euros", "${}", "USD {}", "£{}", "€{}", "CHF {}"))
    return form.format(text)


def date(random: Random) -> str:
    """Make a date in one of four spellings."""
    day, month, year = random.randint(1, 28), random.randint(1, 12), random.randint(1995, 2039)
    name = _MONTHS[month - 1]
    forms = (f"{day} {name} {year}", f"{name} {day}, {year}", f"{year}-{month:02}-{day:02}")
    return random.choice((*forms, f"{day} {name}"))


def code(random: Random) -> str:
    """Make a reference number."""
    letters = "".join(random.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=random.randint(1, 3)))
    digits = "".join(random.choices("0123456789", k=random.randint(3, 6)))
    end = random.choice(("", "", f"-{random.choice('ABCDEFX')}", f"/{random.randint(1, 99)}"))
    return random.choice((f"{letters}-{digits}{end}", f"{letters}{digits}", f"{digits}{end}"))


def duration(random: Random) -> str:
    """Make a length of time."""
    unit, most = random.choice(
        (("days", 120), ("days", 120), ("weeks", 30), ("months", 60), ("years", 30), ("hours", 72))
    )
    return f"{random.randint(2, most)} {unit}"


def _email(random: Random) -> str:
    box = random.choice(("info", "office", "legal", "support", invented(random, 2).lower()))
    return f"{box}@{invented(random, 2).lower()}.example"


def _phone(random: Random) -> str:
    digits = [str(random.randint(2, 999)), *(f"{random.randint(0, 999):03}" for _ in range(2))]
    return f"+{random.randint(1, 99)} {' '.join(digits)}"


def make_value(random: Random, kind: str) -> str:
    """Make a value of the kind that facts.txt names."""
    makers = {
        "amount": amount, "date": date, "code": code, "duration": duration, "count": count,
        "person": person, "company": company, "town": town, "email": _email, "phone": _phone,
    }  # fmt: skip
    if kind in makers:
        return makers[kind](random)
    choices = {
        "country": _COUNTRIES, "role": _ROLES, "reason": _REASONS, "task": _TASKS,
        "material": _MATERIALS, "colour": _COLOURS,
    }  # fmt: skip
    if kind in choices:
        return random.choice(choices[kind])
    return _formatted(random, kind)


def _formatted(random: Random, kind: str) -> str:
    if kind == "percent":
        tenth = random.choice(("", f".{random.randint(1, 9)}"))
        return f"{random.randint(1, 99)}{tenth}{random.choice(('%', '%', ' %', ' percent'))}"
    if kind == "time":
        return f"{random.randint(0, 23)}:{random.randint(0, 59):02}"
    if kind == "year":
        return str(random.randint(1850, 2030))
    if kind == "room":
        return f"room {random.choice((random.randint(1, 499), invented(random, 2)))}"
    if kind == "place":
        return f"Hotel {invented(random, 2)}"
    if kind == "temperature":
        return f"{random.randint(-30, 60)} degrees"
    if kind == "weight":
        return f"{count(random)} {random.choice(('kg', 'tonnes', 'kilograms'))}"
    raise ValueError(f"facts.txt names an unknown kind of value: {kind}")


def word_for(random: Random, group: str) -> str:
    """One of the words that fillers are made of."""
    return random.choice(_WORDS[group])


def file_name(random: Random, used: set[str]) -> str:
    """Make a file name that is not in `used`, and add it there."""
    while True:
        base = random.choice(_FILES)
        roll = random.random()
        if roll < 0.35:
            base = f"{base}-{invented(random, 2).lower()}"
        elif roll < 0.5:
            base = f"{base}-{random.randint(1, 2030)}"
        name = f"{base}.{random.choice(_ENDS)}"
        if name not in used:
            used.add(name)
            return name
