"""Makes the shipped tables: `python -m resources_servers.workplace_assistant.make_tables` in the repository's root.

Everyone in them is invented, and every address ends with the reserved `.example`. The same files come out every time.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random

from resources_servers.workplace_assistant.reading import COLUMNS, DIRECTORY_FILE, SHIPPED

Cells = Sequence[object]

TODAY = date(2023, 11, 30)
PEOPLE = (
    "aisha.bello mateo.rossi ingrid.solberg tomasz.nowak priya.menon hugo.lambert keiko.mori samuel.otieno "
    "clara.weiss daniel.ferreira emeka.obi freya.lindholm george.papadakis hana.novotna ismail.demir "
    "julia.marchetti karim.haddad liv.andersen miguel.navarro nora.byrne"
)
ADDRESSES = [f"{name}@harbor.example" for name in PEOPLE.split()]
TEAM = ADDRESSES[:10]
SALES = ADDRESSES[10:16]

SUBJECTS = (
    "Budget for {thing}",
    "Draft of {thing}",
    "Feedback on {thing}",
    "Notes about {thing}",
    "Question about {thing}",
    "Update on {thing}",
    "Next steps for {thing}",
    "Please review {thing}",
)
THINGS = (
    "the annual report",
    "the customer survey",
    "the data migration",
    "the design system",
    "the hiring plan",
    "the launch event",
    "the mobile app",
    "the office move",
    "the onboarding guide",
    "the partner portal",
    "the payment page",
    "the pricing page",
    "the quarterly review",
    "the search index",
    "the security audit",
    "the training week",
)
SENTENCES = (
    "I have put everything into the shared folder.",
    "Could you have a look before the end of the week?",
    "Two points are still open, and I would like your opinion.",
    "The first numbers look better than we expected.",
    "We should talk about it when you are back in the office.",
    "Let me know if anything is missing.",
    "The deadline has moved by a few days.",
    "I will send the final version tomorrow.",
    "Thanks again for your help with this.",
)
EVENTS = ("Planning of", "Review of", "Workshop on", "Call about", "Demo of", "Retrospective of")
TASKS = ("Add tests for", "Fix layout of", "Write copy for", "Improve speed of", "Prepare", "Clean up")
BOARDS = ("Back end", "Front end", "Design")
LISTS = ("Backlog", "In Progress", "In Review", "Completed")
SOURCES = ("direct", "referral", "search engine", "social media")
FIRST = "Ada Boris Celia Dana Elena Farid Greta Hiro Irene Jonas Kavya Leon Mina Nils Olive Pablo Quinn Rosa Sven Ute"
LAST = "Abbott Brandt Castillo Dvorak Eriksen Fontaine Grimaldi Huang Iversen Jansen"
PRODUCTS = ("Software", "Hardware", "Services", "Consulting", "Training")
STATUSES = ("Qualified", "Won", "Lost", "Lead", "Proposal")


def write_tables(folder: Path) -> None:
    """Write all files of a workplace into a folder, which is made where it is missing."""
    random = Random(20231130)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DIRECTORY_FILE).write_text("\n".join(ADDRESSES) + "\n")
    makers = (_emails, _events, _visits, _tasks, _customers)
    for (name, columns), make in zip(COLUMNS.items(), makers, strict=True):
        _write(folder / name, columns, make(random))


def _write(path: Path, columns: Sequence[str], rows: Iterable[Cells]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        # A table whose first column is its key is numbered here.
        numbers = (f"{number:08}" for number in count())
        is_numbered = columns[0].endswith("_id")
        writer.writerows((next(numbers), *row) if is_numbered else row for row in rows)


def _emails(random: Random) -> Iterator[Cells]:
    times = sorted(_time(random, days_back=90, hours=range(7, 20)) for _ in range(500))
    for sent in times:
        person, thing = random.choice(ADDRESSES), random.choice(THINGS)
        box, greeting = random.choice((("inbox", "Hello,"), ("outbox", f"Hi {person.partition('.')[0].title()},")))
        body = " ".join([greeting, f"this is about {thing}.", *random.sample(SENTENCES, 2)])
        yield box, person, random.choice(SUBJECTS).format(thing=thing), sent, body


def _events(random: Random) -> Iterator[Cells]:
    for _ in range(300):
        start = _time(random, days_back=random.randint(-31, 60), hours=range(9, 17), minutes=(0, 30))
        name = f"{random.choice(EVENTS)} {random.choice(THINGS)}"
        yield name, random.choice(ADDRESSES), start, random.choice((30, 30, 60, 60, 90))


def _visits(random: Random) -> Iterator[Cells]:
    days = sorted(TODAY - timedelta(days=random.randint(0, 90)) for _ in range(1000))
    for day in days:
        visitor, pages = random.randint(1000, 9999), random.randint(1, 20)
        yield day, visitor, pages, random.randint(1, 30) * pages, random.choice(SOURCES), random.random() < 0.3


def _tasks(random: Random) -> Iterator[Cells]:
    for _ in range(300):
        due = TODAY + timedelta(days=random.randint(-30, 45))
        name = f"{random.choice(TASKS)} {random.choice(THINGS)}"
        yield name, random.choice(TEAM), random.choice(LISTS), due, random.choice(BOARDS)


def _customers(random: Random) -> Iterator[Cells]:
    names = [f"{first} {last}" for last in LAST.split() for first in FIRST.split()]
    random.shuffle(names)
    for name in names:
        email = f"{name.lower().replace(' ', '.')}@{random.choice(('mail', 'post', 'box'))}.example"
        contact = TODAY - timedelta(days=random.randint(0, 75))
        follow_up = contact + timedelta(days=random.randint(5, 45))
        phone, notes = f"555-01{random.randint(0, 99):02}", random.choice(("", "", *SENTENCES[:4]))
        product, status = random.choice(PRODUCTS), random.choice(STATUSES)
        yield random.choice(SALES), name, email, phone, contact, product, status, follow_up, notes


def _time(random: Random, *, days_back: int, hours: range, minutes: Sequence[int] = range(60)) -> datetime:
    day = TODAY - timedelta(days=random.randint(min(1, days_back), max(1, days_back)))
    return datetime(day.year, day.month, day.day, random.choice(hours), random.choice(minutes))


if __name__ == "__main__":
    write_tables(SHIPPED)
