"""Tools of the company directory and of the mailbox."""

from datetime import date

from nemo_gym.environments import tool
from nemo_gym.wire.json_object import JsonObject
from resources_servers.workplace_assistant.arguments import Needed, address
from resources_servers.workplace_assistant.tables import Row, Workplace, contains, page_of

NOW = "2023-11-30 23:59:00"
"""When every session takes place; published tasks say so too."""


class EmailTools:
    @tool
    async def company_directory_find_email_address(self, state: Workplace, name: str | None = None) -> list[str]:
        """Find email addresses of people in the company.

        Args:
            name: Part of an address, such as a first or last name.
        """
        return [found for found in state.directory if name and contains(found, name)]

    @tool
    async def email_get_email_information_by_id(
        self, state: Workplace, email_id: Needed, field: Needed
    ) -> dict[str, str]:
        """Read one field of an email.

        Args:
            email_id: Id of the email, 8 digits.
            field: email_id, inbox/outbox, sender/recipient, subject, sent_datetime or body.
        """
        return state.emails.cell(email_id, field)

    @tool
    async def email_search_emails(
        self,
        state: Workplace,
        query: str | None = None,
        date_min: date | None = None,
        date_max: date | None = None,
        page: int | None = 1,
        page_size: int | None = 5,
    ) -> JsonObject:
        """Search for emails, newest first.

        Args:
            query: Words that subject, body and sender or recipient together must all contain.
            date_min: First day, YYYY-MM-DD.
            date_max: Last day, YYYY-MM-DD.
            page: Which page of the emails found.
            page_size: Emails on a page.
        """
        words = (query or "").lower().split()
        first, last = str(date_min or ""), str(date_max or "9999")

        def fits(row: Row) -> bool:
            text = f"{row['subject']} {row['body']} {row['sender/recipient']}".lower()
            return first <= row["sent_datetime"][:10] <= last and all(word in text for word in words)

        found = sorted(filter(fits, state.emails.rows), key=lambda row: row["sent_datetime"], reverse=True)
        return page_of(found, "emails", page, page_size)

    @tool
    async def email_send_email(self, state: Workplace, recipient: Needed, subject: Needed, body: Needed) -> str:
        """Send an email.

        Args:
            recipient: Email address.
            subject: Subject of the email.
            body: Text of the email.
        """
        _send(state, address(recipient), subject, body)
        return "Email sent successfully."

    @tool
    async def email_delete_email(self, state: Workplace, email_id: Needed) -> str:
        """Delete an email.

        Args:
            email_id: Id of the email, 8 digits.
        """
        state.emails.delete(email_id)
        return "Email deleted successfully."

    @tool
    async def email_forward_email(self, state: Workplace, email_id: Needed, recipient: Needed) -> str:
        """Forward an email.

        Args:
            email_id: Id of the email, 8 digits.
            recipient: Email address that gets it.
        """
        email = state.emails.row(email_id)
        _send(state, address(recipient), f"FW: {email['subject']}", email["body"])
        return "Email forwarded successfully."

    @tool
    async def email_reply_email(self, state: Workplace, email_id: Needed, body: Needed) -> str:
        """Reply to an email.

        Args:
            email_id: Id of the email, 8 digits.
            body: Text of the reply.
        """
        email = state.emails.row(email_id)
        _send(state, email["sender/recipient"].lower(), f"RE: {email['subject']}", body)
        return "Email replied successfully."


def _send(state: Workplace, recipient: str, subject: str, body: str) -> None:
    state.emails.add("outbox", recipient, subject, NOW, body, id_digits=1)
