"""What stands around the sentences of an invented page: headings, heads of mails, typography."""

from __future__ import annotations

from random import Random

from values import company, make_value, person, word_for

_PLAIN_HEADINGS = (
    "Summary", "Introduction", "Decisions and tasks", "People and places", "Outlook",
    "Fees and payment", "Term, liability and law", "General terms", "Service Agreement",
)  # fmt: skip


def heading(random: Random) -> str:
    """Make a line above a page: plain, numbered, or as Markdown marks it."""
    thing = word_for(random, "thing").capitalize()
    made = random.choice(
        (
            random.choice(_PLAIN_HEADINGS),
            f"{thing} and {word_for(random, 'thing')}",
            f"Minutes of {company(random)}",
            f"Annual report of {company(random)}",
        )
    )
    return random.choice(("", "", "", "# ", "## ", f"{random.randint(1, 9)}. ")) + made


def mail_head(random: Random) -> str:
    """Make the lines above a mail, and its salutation."""
    sender, receiver = person(random), person(random)
    day = random.randint(1, 28)
    month = random.choice(("Jan", "Mar", "May", "Jun", "Aug", "Oct", "Nov"))
    time = f"{random.randint(7, 18):02d}:{random.randint(0, 59):02d}:00"
    sent = f"{day:02d} {month} {random.randint(2020, 2032)} {time} +0000"
    lines = (
        f"From: {sender} <{make_value(random, 'email')}>",
        f"To: {receiver} <{make_value(random, 'email')}>",
        f"Date: {random.choice(('Mon', 'Tue', 'Fri'))}, {sent}",
        f"Subject: {random.choice(('Your', 'The', 'A new'))} {word_for(random, 'thing')}",
    )
    salutation = random.choice((f"Dear {receiver},", "Dear colleagues,", "Hello,"))
    return "\n".join(lines) + f"\n\n{salutation}"


def typographic(text: str) -> str:
    """Write apostrophes as typesetters do."""
    return text.replace("'", "’")
