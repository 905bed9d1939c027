"""Tools of the calendar."""

from typing import Literal

from nemo_gym.environments import tool
from nemo_gym.wire.json_object import JsonObject
from resources_servers.workplace_assistant.arguments import Needed, TextOrNumber, minutes, moment
from resources_servers.workplace_assistant.tables import Row, Workplace, contains, page_of


class CalendarTools:
    @tool
    async def calendar_get_event_information_by_id(
        self, state: Workplace, event_id: Needed, field: Needed
    ) -> dict[str, str]:
        """Read one field of a calendar event.

        Args:
            event_id: Id of the event, 8 digits.
            field: event_id, event_name, participant_email, event_start or duration.
        """
        return state.events.cell(event_id, field)

    @tool
    async def calendar_search_events(
        self,
        state: Workplace,
        query: str | None = None,
        time_min: str | None = None,
        time_max: str | None = None,
        page: int | None = 1,
        page_size: int | None = 5,
    ) -> JsonObject:
        """Search for calendar events, latest first.

        Args:
            query: Text that the event's name or its participant's address contains.
            time_min: Earliest start, YYYY-MM-DD HH:MM:SS.
            time_max: Latest start, YYYY-MM-DD HH:MM:SS.
            page: Which page of the events found.
            page_size: Events on a page.
        """
        first, last = moment(time_min) if time_min else "", moment(time_max) if time_max else "9999"

        def fits(row: Row) -> bool:
            named = contains(row["event_name"], query) or contains(row["participant_email"], query)
            return named and first <= row["event_start"] <= last

        found = sorted(filter(fits, state.events.rows), key=lambda row: row["event_start"], reverse=True)
        return page_of(found, "events", page, page_size)

    @tool
    async def calendar_create_event(
        self,
        state: Workplace,
        event_name: Needed,
        participant_email: Needed,
        event_start: Needed,
        duration: TextOrNumber,
    ) -> str:
        """Create a calendar event; the answer is its id.

        Args:
            event_name: Name of the event.
            participant_email: Email address of the participant.
            event_start: When it starts, YYYY-MM-DD HH:MM:SS.
            duration: In minutes.
        """
        return state.events.add(event_name, participant_email.lower(), moment(event_start), minutes(duration))

    @tool
    async def calendar_delete_event(self, state: Workplace, event_id: Needed) -> str:
        """Delete a calendar event.

        Args:
            event_id: Id of the event, 8 digits.
        """
        state.events.delete(event_id)
        return "Event deleted successfully."

    @tool
    async def calendar_update_event(
        self,
        state: Workplace,
        event_id: Needed,
        field: Literal["event_name", "participant_email", "event_start", "duration"],
        new_value: TextOrNumber,
    ) -> str:
        """Change one field of a calendar event.

        Args:
            event_id: Id of the event, 8 digits.
            field: Which field.
            new_value: Its new value.
        """
        value = str(new_value)
        match field:
            case "participant_email":
                value = value.lower()
            case "event_start":
                value = moment(value)
            case "duration":
                value = minutes(value)
        state.events.change(event_id, field, value)
        return "Event updated successfully."
