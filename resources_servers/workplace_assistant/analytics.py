"""Tools of the website's analytics: counts by day, and plots, of which only the name is made."""

from collections.abc import Callable
from typing import Literal, TypeVar

from nemo_gym.environments import ToolError, tool
from nemo_gym.wire.json_object import JsonObject
from resources_servers.workplace_assistant.arguments import Needed
from resources_servers.workplace_assistant.tables import Row, Workplace

Number = TypeVar("Number", int, float)
PlotValue = Literal[
    "total_visits",
    "session_duration_seconds",
    "user_engaged",
    "visits_direct",
    "visits_referral",
    "visits_search_engine",
    "visits_social_media",
]


class AnalyticsTools:
    @tool
    async def analytics_get_visitor_information_by_id(self, state: Workplace, visitor_id: Needed) -> list[JsonObject]:
        """Read all visits of one visitor of the website.

        Args:
            visitor_id: Id of the visitor.
        """
        found = [{**row, "user_engaged": _is_engaged(row)} for row in state.visits if row["visitor_id"] == visitor_id]
        if not found:
            raise ToolError(f"There is no visitor with the visitor_id {visitor_id!r}.")
        return found

    @tool
    async def analytics_create_plot(
        self,
        state: Workplace,
        time_min: Needed,
        time_max: Needed,
        value_to_plot: PlotValue,
        plot_type: Literal["bar", "line", "scatter", "histogram"],
    ) -> str:
        """Plot a value over the days of a time; the answer is the path of the plot.

        Args:
            time_min: First day, YYYY-MM-DD.
            time_max: Last day, YYYY-MM-DD.
            value_to_plot: Which value.
            plot_type: Which kind of plot.
        """
        path = f"plots/{time_min}_{time_max}_{value_to_plot}_{plot_type}.png"
        state.plots.append(path)
        return path

    @tool
    async def analytics_total_visits_count(
        self, state: Workplace, time_min: str | None = None, time_max: str | None = None
    ) -> dict[str, int]:
        """Count the visits of the website on each day.

        Args:
            time_min: First day, YYYY-MM-DD.
            time_max: Last day, YYYY-MM-DD.
        """
        return _by_day(state, time_min, time_max, len)

    @tool
    async def analytics_engaged_users_count(
        self, state: Workplace, time_min: str | None = None, time_max: str | None = None
    ) -> dict[str, int]:
        """Count the visits on each day in which the user was engaged.

        Args:
            time_min: First day, YYYY-MM-DD.
            time_max: Last day, YYYY-MM-DD.
        """
        return _by_day(state, time_min, time_max, lambda visits: sum(map(_is_engaged, visits)))

    @tool
    async def analytics_traffic_source_count(
        self,
        state: Workplace,
        time_min: str | None = None,
        time_max: str | None = None,
        traffic_source: str | None = None,
    ) -> dict[str, int]:
        """Count the visits on each day that came from one source.

        Args:
            time_min: First day, YYYY-MM-DD.
            time_max: Last day, YYYY-MM-DD.
            traffic_source: direct, referral, search engine or social media; without it, visits from all of them.
        """

        def count(visits: list[Row]) -> int:
            return sum(visit["traffic_source"] == (traffic_source or visit["traffic_source"]) for visit in visits)

        return _by_day(state, time_min, time_max, count)

    @tool
    async def analytics_get_average_session_duration(
        self, state: Workplace, time_min: str | None = None, time_max: str | None = None
    ) -> dict[str, float]:
        """Average the seconds that the visits of each day took.

        Args:
            time_min: First day, YYYY-MM-DD.
            time_max: Last day, YYYY-MM-DD.
        """
        return _by_day(
            state,
            time_min,
            time_max,
            lambda visits: sum(float(visit["session_duration_seconds"]) for visit in visits) / len(visits),
        )


def _by_day(
    state: Workplace, time_min: str | None, time_max: str | None, measure: Callable[[list[Row]], Number]
) -> dict[str, Number]:
    """Return a measure of the visits of each day from the first to the last, both included."""
    days: dict[str, list[Row]] = {}
    for visit in state.visits:
        day = visit["date_of_visit"]
        if (time_min or "") <= day <= (time_max or "9999"):
            days.setdefault(day, []).append(visit)
    return {day: measure(days[day]) for day in sorted(days)}


def _is_engaged(visit: Row) -> bool:
    return visit["user_engaged"] == "True"
